"""`cvi bench latency`: how long a face takes to answer, as heard and seen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer


def latency(
    persona: Annotated[str, typer.Option(help="A persona's name or file.")] = "guide",
    replica: Annotated[
        str | None, typer.Option(help="A replica's name or folder, instead of the persona's own.")
    ] = None,
    profile: Annotated[str, typer.Option(help="auto, embedded, cpu or workstation.")] = "auto",
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
    baseline: Annotated[
        Literal["cascade"] | None, typer.Option(help="Measure the plain way too, block by block in between.")
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="10 turns against the cascade; fails when far off the recorded ratio."),
    ] = False,
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    film: Annotated[bool, typer.Option(help="Keep a film of every session.")] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder; else out/bench/<time>-latency.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole record for machines.")] = False,
) -> None:
    """Measure from the end of a caller's speech to the first sound and the first moving mouth.

    Recorded callers are played in real time into the program as it runs. What is heard and seen is taken
    down outside the program's own bookkeeping and measured; then the two are compared. Exit status 1 when
    they disagree.
    """
    from rich.console import Console

    from cvi.bench.latency import LatencyOptions, check_latency, judge_smoke, measure_latency, plan_latency
    from cvi.bench.run_store import RUN_NAME
    from cvi.bench.tables import print_latency_run
    from cvi.cli.request import frame_rate, picture_size

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
        output=output,
    )
    console = Console(highlight=False, stderr=json)
    with console.status("") as status:
        plan = plan_latency(options, progress=status.update)
        if plan.config.note:
            console.print(plan.config.note, style="yellow")
        run = asyncio.run(measure_latency(plan, progress=status.update))
    folder = plan.recorder.folder
    if json:
        typer.echo((folder / RUN_NAME).read_text(encoding="utf-8"), nl=False)
    else:
        print_latency_run(run, console)
        kept = f"Kept in {folder}; a page of it: cvi bench report {folder}"
        console.print(kept, style="dim", soft_wrap=True)
    check_latency(run, plan.turns, folder)
    if smoke:
        console.print(judge_smoke(run))
