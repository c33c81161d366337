"""`cvi bench`: measure. Each subcommand lives in a file of its own, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Subcommand -> where its function is, in the order `--help` shows them.
COMMANDS: dict[str, str] = {
    "latency": "cvi.cli.bench_latency:latency",
    "loopback": "cvi.cli.bench_loopback:loopback",
    "turns": "cvi.cli.bench_layers:turns",
    "barge-in": "cvi.cli.bench_layers:barge_in",
    "stt": "cvi.cli.bench_engines:stt",
    "llm": "cvi.cli.bench_engines:llm",
    "tts": "cvi.cli.bench_engines:tts",
    "face": "cvi.cli.bench_engines:face",
    "lips": "cvi.cli.bench_lips:lips",
    "replica": "cvi.cli.bench_replica:replica",
    "soak": "cvi.cli.bench_soak:soak",
    "ab": "cvi.cli.bench_ab:ab",
    "report": "cvi.cli.bench_report:report",
    "compare": "cvi.cli.bench_compare:compare",
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
