"""`cvi bench latency` and `loopback`: how long an answer takes, as heard and seen; what measuring adds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cvi.cli.bench import Fps, Json, Output, Persona, Profile, Replica, Size, print_record

if TYPE_CHECKING:
    from cvi.bench.latency import LatencyOptions


Baseline = Annotated[
    Literal["cascade", "unseen"] | None,
    typer.Option(
        help="Measure another way too, block by block in between: the plain one, or without perception."
    ),
]


def latency(
    persona: Persona = "guide",
    replica: Replica = None,
    profile: Profile = "auto",
    transport: Annotated[
        list[str] | None,
        typer.Option(
            help="The way the caller comes: file or webrtc. Give both, and they take turns.",
            show_default="file",
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="What lies between the ends of webrtc, such as 300kbit,5%,100ms (lost, jitter)."),
    ] = None,
    callers: Annotated[
        str, typer.Option(help="A set of callers that comes with cvi, or a recipe's .yaml.")
    ] = "standard",
    turns: Annotated[int, typer.Option(min=1, help="How many of the callers' turns to play.")] = 50,
    baseline: Baseline = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="10 turns against the cascade; fails when far off the recorded ratio."),
    ] = False,
    size: Size = "1280x720",
    fps: Fps = 25,
    camera: Annotated[
        Path | None, typer.Option(help="A film of a caller: every caller is seen like that, and perceived.")
    ] = None,
    film: Annotated[bool, typer.Option(help="Keep a film of every session.")] = True,
    output: Output = None,
    json: Json = False,
) -> None:
    """Measure from the end of a caller's speech to the first sound and the first moving mouth.

    Recorded callers are played in real time into the program as it runs. What is heard and seen is taken
    down outside the program's own bookkeeping and measured; then the two are compared. Exit status 1 when
    they disagree.
    """
    from cvi.bench.latency import LatencyOptions
    from cvi.cli.options import frame_rate, picture_size

    options = LatencyOptions(
        persona=persona,
        replica=replica,
        profile=profile,
        transports=tuple(transport or ("file",)),
        network=network,
        callers=callers,
        turns=turns,
        baseline=baseline,
        smoke=smoke,
        size=picture_size(size),
        fps=frame_rate(fps),
        film=film,
        camera=camera,
        output=output,
    )
    _measure(options, json)


def _measure(options: LatencyOptions, json: bool) -> None:
    from rich.console import Console

    from cvi.bench.latency import check_latency, judge_smoke, measure_latency, plan_latency
    from cvi.bench.tables import print_latency_run

    console = Console(highlight=False, stderr=json)
    with console.status("") as status:
        plan = plan_latency(options, progress=status.update)
        if plan.config.note:
            console.print(plan.config.note, style="yellow")
        run = asyncio.run(measure_latency(plan, progress=status.update))
    folder = plan.recorder.folder
    if json:
        print_record(folder)
    else:
        print_latency_run(run, console)
        place = f"Kept in {folder}; a page of it: cvi bench report {folder}"
        console.print(place, style="dim", soft_wrap=True)
    check_latency(run, plan.turns, folder)
    if options.smoke:
        console.print(judge_smoke(run))


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
