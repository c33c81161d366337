"""`cvi bench ab`: the same callers to any other system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.bench.ab.measure import Caller, Contender


def ab(
    peers: Annotated[
        list[str],
        typer.Argument(
            metavar="PEER...",
            help="A command in quotes, a ws:// address, or python:module:factory; each may be NAME=PEER.",
        ),
    ],
    callers: Annotated[
        str, typer.Option(help="A set of callers that comes with cvi, a recipe, a scenario or a recording.")
    ] = "standard",
    turns: Annotated[int, typer.Option(min=1, help="How many of the callers' turns to play.")] = 24,
    out_hz: Annotated[int, typer.Option(help="The rate of the sound the peers give.")] = 16_000,
    ready_s: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds from connecting to the caller's first sound.")
    ] = 2.0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder; else out/bench/<time>-ab.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole record for machines.")] = False,
) -> None:
    """Measure other systems as `cvi bench latency` measures cvi: same callers, same probe.

    A command is given 16 kHz mono s16le on its standard input in real time, and what it writes on its
    standard output is played. A WebSocket gets and gives the same as binary messages. See docs/bench.md.
    """
    import asyncio
    import sys

    from rich.console import Console

    from cvi.bench.ab.measure import measure_peers
    from cvi.bench.report.page import report_line
    from cvi.bench.run_store import new_run_folder, save_run

    contenders = [_contender(peer, out_hz) for peer in peers]
    _refuse_twins(contenders)
    console = Console(stderr=True, highlight=False)
    with console.status("Making the callers...") as status:
        said = _callers(callers, turns)
        folder = new_run_folder("ab", output)
        run = asyncio.run(
            measure_peers(
                contenders,
                said,
                folder,
                ("cvi", *sys.argv[1:]),
                {"callers": callers, "turns": sum(len(caller.turns) for caller in said), "transport": "peer"},
                ready_s=ready_s,
                progress=lambda step: status.update(step),
            )
        )
    save_run(run, folder)
    report = report_line(folder, run)
    if json:
        typer.echo((folder / "run.json").read_text(encoding="utf-8"), nl=False)
        return
    from cvi.bench.tables import print_latency_run

    print_latency_run(run, Console(highlight=False))
    typer.echo(report)


def _contender(text: str, out_hz: int) -> Contender:
    """`NAME=PEER`, or a peer alone, named after itself."""
    import re

    from cvi.bench.ab.address import peer_at
    from cvi.bench.ab.measure import Contender

    named = re.match(r"([A-Za-z][\w .-]{0,30})=(?=\S)", text)
    address = text[named.end() :] if named else text
    peer_at(address, out_hz)  # what is wrong with it is told before anything is played
    return Contender(named[1] if named else address, address, lambda: peer_at(address, out_hz))


def _refuse_twins(contenders: list[Contender]) -> None:
    from cvi.errors import UsageError

    names = [contender.name for contender in contenders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"Two peers are called '{twice}'.", "Give each a name of its own: NAME=PEER.")


def _callers(name: str, turns: int) -> list[Caller]:
    from cvi.bench.ab.measure import caller_of_block, caller_of_file
    from cvi.bench.callers.block import build_blocks
    from cvi.bench.callers.recipe import find_recipe, load_recipe

    path = Path(name)
    if path.is_file() and not _is_recipe(path):
        return [caller_of_file(path, turns)]
    return [caller_of_block(block) for block in build_blocks(load_recipe(find_recipe(name)), turns=turns)]


def _is_recipe(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml") and "\nblocks:" in path.read_text(encoding="utf-8")
