"""Tables that stay tables for a screen reader, also where a phone shows their rows as blocks."""

from __future__ import annotations

from collections.abc import Sequence

from cvi.bench.report.analysis import Summarized
from cvi.bench.report.axis import SPAN, number
from cvi.bench.report.html import Child, Markup, tag
from cvi.bench.report.plot import dots, horizontal, path
from cvi.bench.statistics import Interval


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Child]], class_: str = "") -> Markup:
    """The first cell of a row is its header."""
    heads = tag("tr", [tag("th", cell, scope="col", role="columnheader") for cell in head], role="row")
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", role="rowheader"),
            [
                tag("td", cell, role="cell", data_label=label)
                for cell, label in zip(row[1:], head[1:], strict=True)
            ],
            role="row",
        )
        for row in rows
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", heads, role="rowgroup"),
            tag("tbody", body, role="rowgroup"),
            role="table",
            class_=class_ or None,
        ),
        class_="table",
    )


FigureRow = tuple[int, str, Summarized]
"""The side's number and name, and what was summarized of it."""


def percentile_table(caption: str, figures: Sequence[FigureRow], variants: int) -> Markup:
    """Of samples."""
    rows = [
        [
            _figure_name(place, name, one, variants),
            *(
                _with_interval(found, one.figure.unit)
                for found in (one.summary.p50, one.summary.p90, one.summary.p95, one.summary.p99)
            ),
            str(one.summary.n),
        ]
        for place, name, one in figures
    ]
    return table(caption, ["", "P50", "P90", "P95", "P99", "n"], rows, "percentiles")


def share_table(caption: str, figures: Sequence[FigureRow], variants: int) -> Markup:
    """Of proportions: each on a line from none to all, with its interval."""
    rows = [
        [
            _figure_name(place, name, one, variants),
            tag("b", f"{number(one.middle.value)} %"),
            f"{between(one.middle)} %",
            _on_a_line(one.middle, place),
            f"{round(sum(one.figure.values))} of {one.summary.n}",
        ]
        for place, name, one in figures
    ]
    return table(caption, ["", "share", "95 %", "0 to 100 %", "counted"], rows, "shares")


def value_table(caption: str, figures: Sequence[FigureRow], variants: int) -> Markup:
    """Of figures that are one number."""
    rows = [
        [
            _figure_name(place, name, one, variants),
            tag("b", f"{number(one.middle.value)} {one.unit}".strip()),
            f"({between(one.middle)})" if one.figure.interval is not None else "",
        ]
        for place, name, one in figures
    ]
    return table(caption, ["", "value", "95 %"], rows, "values")


def facts(pairs: Sequence[tuple[str, Child]]) -> Markup:
    """Names and values."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def between(interval: Interval, digits: int | None = None) -> str:
    low, high = interval.low, interval.high
    if digits is not None:
        return f"{low:.{digits}f}–{high:.{digits}f}"
    return f"{number(low)}–{number(high)}" if low >= 0 else f"{number(low)} to {number(high)}"


def _with_interval(found: Interval, unit: str) -> Markup:
    shown = number(found.value) if unit in ("ms", "") else f"{number(found.value)} {unit}"
    return tag("span", tag("b", shown), tag("small", between(found), class_="interval"), class_="quantity")


def _on_a_line(found: Interval, place: int) -> Markup:
    low, high, at = (round(10 * value, 1) for value in (found.low, found.high, found.value))
    return tag(
        "svg",
        horizontal(500, "grid"),
        path([(low, 500), (high, 500)], f"reach side-{place}"),
        dots([(at, 500)], f"side-{place}"),
        viewbox=f"0 0 {SPAN:.0f} {SPAN:.0f}",
        preserveaspectratio="none",
        class_="share",
        aria_hidden="true",
    )


def _figure_name(place: int, name: str, one: Summarized, variants: int) -> Markup:
    unit = f", {one.unit}" if one.unit and one.share is None and not one.single else ""
    label = tag("span", f"{one.figure.label}{unit}")
    if variants < 2:
        return label
    return tag("span", label, tag("span", name, class_=f"chip side-{place}"))
