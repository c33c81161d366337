"""`cvi bench soak`: a long conversation under watch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from cvi.bench.run import Run


def soak(
    minutes: Annotated[float, typer.Option(help="How long; half a minute at least.")] = 30.0,
    persona: Annotated[str, typer.Option(help="A persona's name or file.")] = "guide",
    replica: Annotated[str | None, typer.Option(help="A replica's name or folder.")] = None,
    profile: Annotated[str, typer.Option(help="auto, embedded, cpu or workstation.")] = "auto",
    scenario: Annotated[
        Path | None, typer.Option(help="What the caller says, again and again: a scenario, or a recording.")
    ] = None,
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    film: Annotated[bool, typer.Option(help="Record the film meanwhile, as `cvi talk -o` does.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the film.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The run's folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The run's record, for machines.")] = False,
) -> None:
    """A conversation of many minutes: does anything grow, drift or fall behind?

    Memory, threads, open files, processor; late frames, picture against sound, answers: over time, each
    with a slope, its 95 % interval and a verdict. Exit status 1 when something grows.
    """
    import sys

    from rich.console import Console

    from cvi.bench.report.page import report_line
    from cvi.bench.run_store import new_run_folder, save_run
    from cvi.bench.soak.series import growing_series, judge_series
    from cvi.bench.soak.watch import SoakOptions
    from cvi.cli.request import FRAME_RATES, picture_size
    from cvi.errors import UsageError

    if not 0.5 <= minutes <= 24 * 60:
        raise UsageError(f"--minutes {minutes:g} is out of range.", "Choose from 0.5 to 1440.")
    if fps not in FRAME_RATES:
        raise UsageError(
            f"--fps {fps} is not supported.", f"Choose one of {', '.join(map(str, FRAME_RATES))}."
        )
    width, height = picture_size(size)
    options = SoakOptions(
        minutes, scenario or _questions(), persona, replica, profile, width, height, fps, film, keep
    )
    folder = new_run_folder("soak", output)
    console = Console(stderr=True, highlight=False)
    run = _watched(options, folder, ("cvi", *sys.argv[1:]), console)
    save_run(run, folder)
    report = report_line(folder, run)
    if json:
        typer.echo((folder / "run.json").read_text(encoding="utf-8"), nl=False)
    else:
        _print(run, Console(highlight=False))
        typer.echo(report)
    if growing_series(judge_series(run.series, run.duration_s)):
        raise typer.Exit(1)


def _watched(options: object, folder: Path, command: tuple[str, ...], console: Console) -> Run:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from cvi.bench.soak.processes import ProcessSample
    from cvi.bench.soak.watch import SoakOptions, soak

    assert isinstance(options, SoakOptions)
    total_s = options.minutes * 60
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Warming up", total=total_s)
        first: list[float] = []

        def show(sample: ProcessSample) -> None:
            first.append(sample.at_s)
            words = f"{sample.rss_mib:.0f} MiB, {sample.threads} threads, {sample.handles} files"
            bar.update(task, completed=min(sample.at_s - first[0], total_s), description=words)

        return soak(options, folder, command, show)


def _print(run: Run, console: Console) -> None:
    from rich.table import Table

    from cvi.bench.report.wording import number, signed, verdict_words
    from cvi.bench.soak.series import judge_series

    found = judge_series(run.series, run.duration_s)
    warm_min = found[0].warm_up_s / 60 if found else 0.0
    table = Table(
        title=f"{run.duration_s / 60:.1f} minutes, of which {warm_min:.1f} are warm-up", title_justify="left"
    )
    table.add_column("", no_wrap=True)
    for column in ("median", "peak", "slope an hour (95 %)", "flat if"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    colours = {"flat": "green", "not growing": "green", "growing": "red", "shrinking": "cyan"}
    for course in found:
        trend, unit = course.trend, f" {course.watched.unit}".rstrip()
        if trend is None:
            table.add_row(course.watched.label, "", "", "", "", "[yellow]too short[/]")
            continue
        table.add_row(
            course.watched.label,
            f"{number(trend.level)}{unit}",
            f"{number(max(course.values))}{unit}",
            f"{signed(trend.slope)} ({signed(trend.low)} to {signed(trend.high)})",
            f"±{number(trend.tolerance)}",
            f"[{colours.get(trend.verdict, 'yellow')}]{verdict_words(course).partition(':')[0]}[/]",
        )
    console.print(table)
    playout = run.variants[0].playout
    console.print(
        f"{playout.late} of {playout.frames} frames were late by more than a frame period.", style="dim"
    )


def _questions() -> Path:
    from importlib.resources import files

    return Path(str(files("cvi.bench").joinpath("scenarios", "questions.yaml")))
