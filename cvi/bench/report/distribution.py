"""Distributions: how many are done by when, and how far the tail reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cvi.bench.report.axis import SPAN, Axis, around, number
from cvi.bench.report.html import Markup, tag
from cvi.bench.report.plot import dots, legend, note, path, plot, steps, vertical
from cvi.bench.report.tables import FigureRow

_LEAST_SHARE = 1e-4
# Where a curve's axis ends: at this much of P95, when the largest value lies more than twice as far out.
_FAR, _MUCH_FARTHER = 1.5, 2.0
# Medians this near to each other (shares of the width) are written in rows of this height.
_NEAR, _ROW = 0.14, 0.075
# Beyond it a median is written before its dot, where there is room.
_RIGHTMOST = 0.8
_SHARES = ((0.0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (0.9, "90"), (1.0, "100 %"))


def cumulative(variants: Sequence[FigureRow]) -> Markup:
    """The share of values up to x, a staircase a side, with P50, P90, P95 and their intervals on it."""
    figure = variants[0][2].figure
    values = [value for _, _, one in variants for value in one.figure.values]
    least = min(0.0, *values) if figure.unit == "ms" else min(values)
    x, y = around(least, _far_enough(variants)), Axis(0.0, 1.0)
    marks: list[Markup] = []
    for place, _, one in variants:
        ordered = sorted(one.figure.values)
        inside = [value for value in ordered if value <= x.high]
        stairs = [(x.x(x.low), y.y(0))]
        stairs += [(x.x(value), y.y((rank + 1) / len(ordered))) for rank, value in enumerate(inside)]
        marks.append(steps([*stairs, (SPAN, y.y(len(inside) / len(ordered)))], f"line side-{place}"))
        for share, found in ((0.5, one.summary.p50), (0.9, one.summary.p90), (0.95, one.summary.p95)):
            level = y.y(share)
            marks.append(path([(x.x(found.low), level), (x.x(found.high), level)], f"reach side-{place}"))
            marks.append(dots([(x.x(found.value), level)], f"side-{place}"))
    medians = "; ".join(f"{name}: median {number(one.summary.p50.value)}" for _, name, one in variants)
    return tag(
        "figure",
        legend([(place, name) for place, name, _ in variants]),
        plot(
            marks,
            says=f"{figure.label}, cumulative distribution. {medians} {figure.unit}.",
            x=x,
            y=y,
            x_title=f"{figure.label}, {figure.unit}" if figure.unit else figure.label,
            y_labels=_SHARES,
            overlay=[*_medians(variants, x), _beyond(values, x)],
        ),
    )


def _far_enough(variants: Sequence[FigureRow]) -> float:
    """The largest value, unless it lies so far out that it would squeeze all the others."""
    most = max(one.summary.most for _, _, one in variants)
    usual = _FAR * max(one.summary.p95.value for _, _, one in variants)
    return usual if 0 < usual < most / _MUCH_FARTHER else most


def _medians(variants: Sequence[FigureRow], x: Axis) -> list[Markup]:
    """Each median beside its dot; where they come close, one below the other."""
    notes: list[Markup] = []
    before, row = -1.0, 0
    for place, _, one in sorted(variants, key=lambda variant: variant[2].summary.p50.value):
        at = x.share(one.summary.p50.value)
        row = row + 1 if at - before < _NEAR else 0
        before = at
        where = "value left" if at > _RIGHTMOST else "value"
        notes.append(note(number(one.summary.p50.value), at, 0.5 + _ROW * row, f"{where} side-{place}"))
    return notes


def _beyond(values: Sequence[float], x: Axis) -> Markup | None:
    far = sum(value > x.high for value in values)
    return note(f"{far} farther out", 1.0, 0.9, "edge") if far else None


def tail(names: Sequence[str], values: Sequence[Sequence[float]], mark: float, mark_says: str) -> Markup:
    """The share of values above x, on a logarithmic axis down to one in ten thousand."""
    highest = max((max(one) for one in values if one), default=0.0)
    x = around(0.0, max(highest, mark) * 1.02)
    y = Axis(math.log10(_LEAST_SHARE), 0.0)
    marks = [vertical(x.x(mark), "threshold")]
    for place, one in enumerate(values):
        if not one:
            continue
        ordered = np.sort(np.asarray(one))
        at = np.linspace(0.0, x.high, 240)
        above = 1 - np.searchsorted(ordered, at, side="right") / len(ordered)
        line = [
            (x.x(float(when)), y.y(math.log10(share)))
            for when, share in zip(at, above, strict=True)
            if share >= _LEAST_SHARE
        ]
        if line:
            marks.append(path(line, f"line side-{place}"))
    return tag(
        "figure",
        legend(list(enumerate(names))),
        plot(
            marks,
            says=f"Share of frames handed over later than so many ms. The line marks {mark_says}.",
            x=x,
            y=y,
            x_title="handed over later than, ms",
            y_labels=[(-4.0, "0.01"), (-3.0, "0.1"), (-2.0, "1"), (-1.0, "10"), (0.0, "100 %")],
            overlay=[note(mark_says, x.share(mark), 0.04, "beside")],
            size="low",
        ),
    )


def scatter(
    points: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, says: str, x_title: str, unit: str
) -> Markup:
    """Values over minutes, a colour a side; the zero line is drawn where it is in sight."""
    x = around(0.0, max(at / 60 for _, one in points for at, _ in one) or 1.0)
    y = around(
        min(0.0, *(v for _, one in points for _, v in one)), max(v for _, one in points for _, v in one)
    )
    marks = [
        dots([(x.x(at / 60), y.y(value)) for at, value in one], f"small side-{place}")
        for place, (_, one) in enumerate(points)
    ]
    labels = [
        (value, f"{number(value)}{f' {unit}' if value == y.ticks(5)[-1] else ''}") for value in y.ticks(5)
    ]
    return tag(
        "figure",
        legend(list(enumerate(name for name, _ in points))),
        plot(marks, says=says, x=x, y=y, x_title=x_title, y_labels=labels, size="low"),
    )
