"""`cvi bench`: measure. Each subcommand lives in a file of its own, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# Options that several of the commands have.
Persona = Annotated[str, typer.Option(help="A persona's name or file.")]
Replica = Annotated[
    str | None, typer.Option(help="A replica's name or folder, instead of the persona's own.")
]
Profile = Annotated[str, typer.Option(help="auto, embedded, cpu, laptop or workstation.")]
Size = Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")]
Fps = Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="The run's folder; else out/bench/...")]
Json = Annotated[bool, typer.Option("--json", help="Print the whole record for machines.")]

# Subcommand -> where its function is, in the order `--help` shows them.
COMMANDS: dict[str, str] = {
    "latency": "cvi.cli.bench_latency:latency",
    "loopback": "cvi.cli.bench_latency:loopback",
    "turns": "cvi.cli.bench_layers:turns",
    "barge-in": "cvi.cli.bench_layers:barge_in",
    "stt": "cvi.cli.bench_engines:stt",
    "llm": "cvi.cli.bench_engines:llm",
    "tts": "cvi.cli.bench_engines:tts",
    "face": "cvi.cli.bench_engines:face",
    "answers": "cvi.cli.bench_engines:answers",
    "lips": "cvi.cli.bench_engines:lips",
    "tools": "cvi.cli.bench_capabilities:tools",
    "memory": "cvi.cli.bench_capabilities:memory",
    "guardrails": "cvi.cli.bench_capabilities:guardrails",
    "objectives": "cvi.cli.bench_capabilities:objectives",
    "perception": "cvi.cli.bench_capabilities:perception",
    "knowledge": "cvi.cli.bench_capabilities:knowledge",
    "replica": "cvi.cli.bench_engines:replica",
    "soak": "cvi.cli.bench_soak:soak",
    "ab": "cvi.cli.bench_ab:ab",
    "report": "cvi.cli.bench_runs:report",
    "compare": "cvi.cli.bench_runs:compare",
}


class LazyGroup(TyperGroup):
    """Knows its commands by name alone, so that `cvi --help` imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, imported now; None for an unknown one."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, function = place.split(":")
        alone = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
        alone.command(cmd_name, no_args_is_help=False)(getattr(import_module(module), function))
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    help="Measure: latency as heard and seen, turn-taking, engines, long runs; report and compare.",
)


@app.callback()
def bench() -> None:
    """Measure: latency as heard and seen, turn-taking, engines, long runs; report and compare."""


def print_record(folder: Path) -> None:
    """Print a run's record for machines, as it is in its folder."""
    typer.echo((folder / "run.json").read_text(encoding="utf-8"), nl=False)
