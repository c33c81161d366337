"""`cvi bench loopback`: what the measuring path itself adds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def loopback(
    replica: Annotated[str, typer.Option(help="Whose face answers.")] = "june",
    turns: Annotated[int, typer.Option(min=1, max=5, help="Answers for each delay.")] = 5,
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder; else out/bench/<time>-loopback.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole record for machines.")] = False,
) -> None:
    """Measure a peer that answers after 0, 100, 250 and 500 ms, known to the sample, by the same probe.

    Exit status 1 when a sound is off by more than 5 ms, or a picture by more than a frame.
    """
    from rich.console import Console

    from cvi.bench.loopback import TOLERANCE_MS, judge_loopback, run_loopback
    from cvi.bench.run_store import RUN_NAME, RunRecorder
    from cvi.bench.tables import print_loopback
    from cvi.cli.request import picture_size

    console = Console(highlight=False, stderr=json)
    width_height = picture_size(size)
    recorder = RunRecorder("loopback", {"turns": turns, "size": size, "fps": fps}, output=output)
    with console.status("") as status:
        run = run_loopback(replica, turns, width_height, fps, recorder, status.update)
        _, answers = asyncio.run(run)
    if json:
        typer.echo((recorder.folder / RUN_NAME).read_text(encoding="utf-8"), nl=False)
    else:
        print_loopback(answers, TOLERANCE_MS, 1000 / fps, console)
        console.print(f"Kept in {recorder.folder}", style="dim", soft_wrap=True)
    judge_loopback(answers, fps)
