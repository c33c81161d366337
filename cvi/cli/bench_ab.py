"""`cvi bench ab`: the same callers to any other system."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvi.cli.bench import Json, Output, print_record

if TYPE_CHECKING:
    from cvi.bench.ab import PeerSetup
    from cvi.bench.recordings.caller_blocks import CallerBlock


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
    output: Output = None,
    json: Json = False,
) -> None:
    """Measure other systems as `cvi bench latency` measures cvi: same callers, same probe.

    A command is given 16 kHz mono s16le on its standard input in real time, and what it writes on its
    standard output is played. A WebSocket gets and gives the same as binary messages. See docs/bench.md.
    """
    from rich.console import Console

    from cvi.bench.ab import measure_peers
    from cvi.bench.report.page import report_line
    from cvi.bench.run_store import RunRecorder
    from cvi.bench.tables import print_latency_run

    setups = _setups(peers, out_hz)
    console = Console(stderr=True, highlight=False)
    with console.status("Making the callers...") as status:
        blocks = _blocks(callers, turns)
        played = sum(len(block.turns) for block in blocks)
        recorder = RunRecorder(
            "ab", {"callers": callers, "turns": played, "transport": "peer"}, output=output
        )
        run = asyncio.run(measure_peers(setups, blocks, recorder, ready_s=ready_s, progress=status.update))
    folder = recorder.folder
    report = report_line(folder, run)
    if json:
        print_record(folder)
        return
    print_latency_run(run, Console(highlight=False))
    typer.echo(report)


def _setups(peers: list[str], out_hz: int) -> list[PeerSetup]:
    """Each peer is `NAME=PEER`, or a peer alone, named after itself. Raises UsageError."""
    from cvi.bench.ab import PeerSetup
    from cvi.bench.ab_peers import peer_at
    from cvi.errors import UsageError

    setups: dict[str, PeerSetup] = {}
    for text in peers:
        named = re.match(r"([A-Za-z][\w .-]{0,30})=(?=\S)", text)
        address = text[named.end() :] if named else text
        name = named[1] if named else address
        peer_at(address, out_hz)  # what is wrong with it is told before anything is played
        if name in setups:
            raise UsageError(f"Two peers are called '{name}'.", "Give each a name of its own: NAME=PEER.")
        setups[name] = PeerSetup(name, address, partial(peer_at, address, out_hz))
    return list(setups.values())


def _blocks(callers: str, turns: int) -> list[CallerBlock]:
    from cvi.bench.recordings.caller_blocks import block_of_file, build_blocks
    from cvi.bench.recordings.recipe import find_recipe, load_recipe

    path = Path(callers)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    is_recipe = path.is_file() and is_yaml and "\nblocks:" in path.read_text(encoding="utf-8")
    if path.is_file() and not is_recipe:
        return [block_of_file(path, turns)]
    return build_blocks(load_recipe(find_recipe(callers)), turns=turns)
