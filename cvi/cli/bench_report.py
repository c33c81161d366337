"""`cvi bench report`: runs as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders; the first is what others are held to.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The page; else report.html in the first run's folder."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures instead of the paths.")] = False,
) -> None:
    """One self-contained HTML page of one or more runs, and the same figures as JSON beside it.

    Distributions, percentiles with intervals, every turn's timeline, frames and sound, the machine and
    the versions. The page fetches nothing, and prints.
    """
    from cvi.bench.report.page import REPORT_NAME, write_report
    from cvi.bench.run_store import load_run

    loaded = [(place, load_run(place)) for place in runs]
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    page, data = write_report(loaded, output or folder / REPORT_NAME)
    if json:
        typer.echo(data.read_text(encoding="utf-8"), nl=False)
    else:
        typer.echo(f"Report  {page}\nFigures {data}")
