"""`cvi bench loopback`: what the measuring path itself adds."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cvi.cli.bench import Fps, Json, Output, Size, print_record


def loopback(
    replica: Annotated[str, typer.Option(help="Whose face answers.")] = "june",
    turns: Annotated[int, typer.Option(min=1, max=5, help="Answers for each delay.")] = 5,
    size: Size = "1280x720",
    fps: Fps = 25,
    output: Output = None,
    json: Json = False,
) -> None:
    """Measure a peer that answers after 0, 100, 250 and 500 ms, known to the sample, by the same probe.

    Exit status 1 when a sound is off by more than 5 ms, or a picture by more than a frame.
    """
    from rich.console import Console

    from cvi.bench.loopback import TOLERANCE_MS, judge_loopback, run_loopback
    from cvi.bench.run_store import RunRecorder
    from cvi.bench.tables import print_loopback
    from cvi.cli.options import picture_size

    console = Console(highlight=False, stderr=json)
    width_height = picture_size(size)
    recorder = RunRecorder("loopback", {"turns": turns, "size": size, "fps": fps}, output=output)
    with console.status("") as status:
        run = run_loopback(replica, turns, width_height, fps, recorder, status.update)
        _, answers = asyncio.run(run)
    if json:
        print_record(recorder.folder)
    else:
        print_loopback(answers, TOLERANCE_MS, 1000 / fps, console)
        console.print(f"Kept in {recorder.folder}", style="dim", soft_wrap=True)
    judge_loopback(answers, fps)
