"""`cvi bench compare` and `cvi bench report`: two runs compared, and runs as one page."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="A run's folder: what is compared against.")],
    b: Annotated[Path, typer.Argument(help="The other run's folder.")],
    variants: Annotated[
        str | None,
        typer.Option(
            "--sides", help="A side of each, as A:B (for example cascade:cvi); else those of equal name."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Whether B differs from A: ratios of medians with 95 % intervals.

    The exit status is 0 whatever is found; 2 when the runs cannot be compared.
    """
    from rich.console import Console

    from cvi.bench.compare import compare_runs
    from cvi.bench.run_store import as_json, load_run
    from cvi.bench.tables import print_comparison

    found = compare_runs(load_run(a), load_run(b), _variants(variants))
    if json:
        rows = [{**as_json(row), "real": row.comparison.real} for row in found.rows]
        typer.echo(dumps({**as_json(found), "rows": rows}, indent=2, ensure_ascii=False))
    else:
        print_comparison(found, Console(highlight=False))


def _variants(text: str | None) -> tuple[str, str] | None:
    from cvi.errors import UsageError

    if text is None:
        return None
    left, colon, right = text.partition(":")
    if not (left and colon and right):
        raise UsageError(f"--sides {text} does not name two variants.", "Write A:B, e.g. cascade:cvi.")
    return left, right


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
