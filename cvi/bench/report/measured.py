"""What a run measured, and its sides against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from cvi.bench.compare import Row
from cvi.bench.report.analysis import RunAnalysis, SideAnalysis, Summarized
from cvi.bench.report.axis import number, signed
from cvi.bench.report.distribution import cumulative
from cvi.bench.report.html import Child, Markup, section, tag
from cvi.bench.report.tables import (
    FigureRow,
    between,
    facts,
    percentile_table,
    share_table,
    table,
    value_table,
)
from cvi.bench.statistics import Comparison, ShareComparison

_FEWEST_FOR_A_CURVE = 5
# Runs whose sides did the same tasks; elsewhere they are sizes or settings, not contenders.
_CONTESTS = frozenset({"latency", "ab", "turns", "barge-in"})
_FROM_OUTSIDE = "From waveforms and pictures recorded outside the program. "
_CURVES = (
    "A curve shows which share of the values lies below; the dots are P50, P90 and P95, the bars through "
    "them their 95 % intervals."
)


def figure_section(analysis: RunAnalysis) -> Markup | None:
    """Every measured figure, sides together: samples as curves and percentiles, proportions with their
    intervals, single numbers as they are."""
    names = list(dict.fromkeys(one.figure.name for variant in analysis.variants for one in variant.measured))
    if not names:
        return None
    rows = [_rows(analysis.variants, name) for name in names]
    samples = [row for row in rows if any(one.share is None and not one.single for _, _, one in row)]
    shares = [row for row in rows if any(one.share is not None for _, _, one in row)]
    singles = [row for row in rows if all(one.single for _, _, one in row)]
    curves = [curve for row in samples if (curve := _curve(row)) is not None]
    lead = _FROM_OUTSIDE if any(variant.variant.turns for variant in analysis.variants) else ""
    count = len(analysis.variants)
    return section(
        "Measured",
        (lead + (_CURVES if curves else "")).strip(),
        tag("div", curves, class_="curves") if curves else None,
        percentile_table("Percentiles, with 95 % intervals below them", _flat(samples), count)
        if samples
        else None,
        share_table("Shares, with their 95 % intervals", _flat(shares), count) if shares else None,
        value_table("Single numbers; in brackets 95 % intervals", _flat(singles), count) if singles else None,
        _protocols([one for _, _, one in _flat(rows)]),
    )


def ratio_section(analysis: RunAnalysis) -> Markup | None:
    if not analysis.against or analysis.run.kind not in _CONTESTS:
        return None
    return section(
        "Against each other",
        "Ratios of medians; of shares the difference, in percentage points. Where both met the same tasks "
        "these are paired, so that what is hard for both does not blur the difference.",
        ratio_table("With 95 % intervals", analysis.against),
    )


def ratio_table(caption: str, rows: Sequence[Row], names: tuple[str, str] = ("", "")) -> Markup:
    """B against A; `names` are what to call them, else their sides where all rows have the same two."""
    pairs = {(row.variant_a, row.variant_b) for row in rows}
    alike = len(pairs) == 1
    a, b = names if any(names) else pairs.pop() if alike else ("A", "B")
    shown = [
        [
            tag("span", f"{row.label} ", tag("small", _about_row(row, alike))),
            *_compared(row.comparison, row.unit),
            f"{row.comparison.n_a} pairs" if row.paired else f"{row.comparison.n_a}, {row.comparison.n_b}",
            tag("span", row.finding, class_=f"verdict {row.finding.split()[0]}"),
        ]
        for row in rows
    ]
    return table(caption, ["", a, b, "ratio", "n", f"{b} is"], shown)


def _compared(found: Comparison | ShareComparison, unit: str) -> tuple[Child, Child, Child]:
    """A, B, and B against A: a ratio, or for proportions the difference in percentage points."""
    if isinstance(found, ShareComparison):
        apart, low, high = (signed(100 * x) for x in astuple(found.difference))
        return (
            f"{number(100 * found.share_a)} %",
            f"{number(100 * found.share_b)} %",
            _quantity(f"{apart} points", f"{low} to {high}"),
        )
    ratio = _quantity(f"{found.ratio.value:.2f} ×", between(found.ratio, 2))
    return f"{number(found.median_a)} {unit}".strip(), f"{number(found.median_b)} {unit}".strip(), ratio


def _quantity(value: str, interval: str) -> Markup:
    return tag("span", tag("b", value), tag("small", interval, class_="interval"), class_="quantity")


def _about_row(row: Row, alike: bool) -> str:
    said = [] if alike else [f"{row.variant_b} to {row.variant_a}"]
    return ", ".join([*said, *(["by the journal"] if row.name.startswith("journal.") else [])])


def _rows(variants: Sequence[SideAnalysis], name: str) -> list[FigureRow]:
    """One figure on the sides that have it."""
    there = ((place, variant.variant.name, variant.of(name)) for place, variant in enumerate(variants))
    return [(place, variant, one) for place, variant, one in there if one is not None]


def _flat(rows: Sequence[Sequence[FigureRow]]) -> list[FigureRow]:
    return [one for row in rows for one in row]


def _curve(row: Sequence[FigureRow]) -> Markup | None:
    """None where a side has too few values for one."""
    if any(one.summary.n < _FEWEST_FOR_A_CURVE for _, _, one in row):
        return None
    return cumulative([(place, variant, one) for place, variant, one in row])


def _protocols(rows: Sequence[Summarized]) -> Markup | None:
    said = {one.figure.label: one.figure.protocol for one in rows if one.figure.protocol}
    if len(set(said.values())) < 2:
        return None
    return facts(list(said.items()))


