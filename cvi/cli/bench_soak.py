"""`cvi bench soak`: a long conversation under watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvi.cli.bench import Fps, Json, Output, Persona, Profile, Replica, Size, print_record

if TYPE_CHECKING:
    from rich.console import Console

    from cvi.bench.soak.watch import ProcessSample


def soak(
    minutes: Annotated[float, typer.Option(help="How long; half a minute at least.")] = 30.0,
    persona: Persona = "guide",
    replica: Replica = None,
    profile: Profile = "auto",
    scenario: Annotated[
        Path | None, typer.Option(help="What the caller says, again and again: a scenario, or a recording.")
    ] = None,
    size: Size = "1280x720",
    fps: Fps = 25,
    film: Annotated[bool, typer.Option(help="Record the film meanwhile, as `cvi talk -o` does.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the film.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """A conversation of many minutes: does anything grow, drift or fall behind?

    Memory, threads, open files, processor; late frames, picture against sound, answers: over time, each
    with a slope, its 95 % interval and a verdict. Exit status 1 when something grows.
    """
    from rich.console import Console

    from cvi.bench.report.page import report_line
    from cvi.bench.soak.watch import SoakOptions
    from cvi.bench.soak.watch import soak as soak_conversation
    from cvi.bench.statistics import growing_series, judge_series
    from cvi.bench.tables import print_soak
    from cvi.cli.options import frame_rate, picture_size
    from cvi.errors import UsageError

    if not 0.5 <= minutes <= 24 * 60:
        raise UsageError(f"--minutes {minutes:g} is out of range.", "Choose from 0.5 to 1440.")
    frame_rate(fps)
    width, height = picture_size(size)
    options = SoakOptions(
        minutes=minutes,
        scenario=scenario or _questions(),
        persona=persona,
        replica=replica,
        profile=profile,
        width=width,
        height=height,
        fps=fps,
        film=film,
        keep=keep,
    )
    with _progress_bar(minutes * 60, Console(stderr=True, highlight=False)) as show:
        run, folder = soak_conversation(options, output, show)
    report = report_line(folder, run)
    verdicts = judge_series(run.series, run.duration_s)
    if json:
        print_record(folder)
    else:
        print_soak(run, verdicts, Console(highlight=False))
        typer.echo(report)
    if growing_series(verdicts):
        raise typer.Exit(1)


@contextmanager
def _progress_bar(total_s: float, console: Console) -> Iterator[Callable[[ProcessSample], None]]:
    """Gives a function that shows a sample."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Warming up", total=total_s)
        first: list[float] = []

        def show(sample: ProcessSample) -> None:
            first.append(sample.at_s)
            text = f"{sample.rss_mib:.0f} MiB, {sample.threads} threads, {sample.handles} files"
            bar.update(task, completed=min(sample.at_s - first[0], total_s), description=text)

        yield show


def _questions() -> Path:
    from importlib.resources import files

    return Path(str(files("cvi.bench").joinpath("scenarios", "questions.yaml")))
