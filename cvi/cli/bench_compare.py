"""`cvi bench compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from cvi.bench.compare import Row, RunComparison
    from cvi.bench.statistics import Comparison, ShareComparison


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
    from cvi.bench.compare import compare_runs
    from cvi.bench.run_store import load_run

    found = compare_runs(load_run(a), load_run(b), _variants(variants))
    if json:
        _print_json(found)
    else:
        _print(found)


def _variants(text: str | None) -> tuple[str, str] | None:
    from cvi.errors import UsageError

    if text is None:
        return None
    left, colon, right = text.partition(":")
    if not (left and colon and right):
        raise UsageError(f"--sides {text} does not name two sides.", "Write them as A:B, e.g. cascade:cvi.")
    return left, right


def _print(found: RunComparison) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for warning in found.warnings:
        console.print(f"[yellow]{escape(warning)}[/]")
    by_variants: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows:
        by_variants.setdefault((row.variant_a, row.variant_b), []).append(row)
    for (variant_a, variant_b), rows in by_variants.items():
        console.print(_table(variant_a, variant_b, rows))
    console.print(
        "Ratios of medians, B to A, with bootstrapped 95 % intervals; a difference is shown when the "
        "interval does not hold 1. Shares: their difference in percentage points, and it must not hold 0.",
        style="dim",
    )


def _table(variant_a: str, variant_b: str, rows: list[Row]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"A: {escape(variant_a)}   B: {escape(variant_b)}", title_justify="left")
    table.add_column("median, or share")
    for column in ("A", "B", "B / A", "95 %", "n"):
        table.add_column(column, justify="right")
    table.add_column("B is")
    colours = {"better": "green", "worse": "red"}
    for row in rows:
        c = row.comparison
        finding = colours.get(row.finding)
        table.add_row(
            escape(row.label),
            *_figures(c, row.unit),
            f"{c.n_a} pairs" if row.paired else f"{c.n_a}, {c.n_b}",
            f"[{finding}]{row.finding}[/]" if finding else f"[dim]{row.finding}[/]",
        )
    return table


def _figures(c: Comparison | ShareComparison, unit: str) -> tuple[str, str, str, str]:
    """A, B, B against A, and its interval."""
    from cvi.bench.statistics import ShareComparison

    if isinstance(c, ShareComparison):
        apart, low, high = (100 * x for x in (c.difference.value, c.difference.low, c.difference.high))
        return (
            f"{100 * c.share_a:.1f} %",
            f"{100 * c.share_b:.1f} %",
            f"{apart:+.1f} pt",
            f"{low:+.1f} to {high:+.1f}",
        )
    return (
        f"{c.median_a:.4g} {unit}".strip(),
        f"{c.median_b:.4g} {unit}".strip(),
        f"{c.ratio.value:.2f}",
        f"{c.ratio.low:.2f}-{c.ratio.high:.2f}",
    )


def _print_json(found: RunComparison) -> None:
    import json

    from cvi.bench.run_store import as_json

    rows = [{**as_json(row), "real": row.comparison.real} for row in found.rows]
    typer.echo(json.dumps({**as_json(found), "rows": rows}, indent=2, ensure_ascii=False))
