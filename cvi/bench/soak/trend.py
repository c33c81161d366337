"""Whether a figure grows: a robust slope with its interval, and a verdict that may say "undecided".

The slope is Theil's and Sen's: the median of the slopes between all pairs of points, which an outlier
in four does not move. Neighbouring samples of a process resemble each other, which would make its
interval too narrow, so the points given here are medians of bins, not raw samples.

A leak goes on. What rose once and stays (a backlog of a busy minute, whose pages the allocator keeps) gives
the same slope over the whole, so the second half is judged by itself too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cvi.bench.statistics import theil_sen

Verdict = Literal["flat", "growing", "not growing", "levelled", "shrinking", "undecided"]
FEWEST_POINTS = 6


@dataclass(frozen=True, slots=True)
class Trend:
    """`slope` an hour with its 95 % interval, `level` the median; `tolerance`: a slope that counts as flat.

    Both are of the points from `since_s` on: all of them, or the second half where that was decisive.
    `verdict`: "flat" when the whole interval lies within the tolerance, "growing" or "shrinking" when the
    whole of it lies beyond; "not growing" when it ends within the tolerance, but whether the value falls
    cannot be told; "levelled" when it is higher by `rise` than at first, and the second half's
    interval ends below the tolerance; "undecided" between: then only a longer run can tell.
    """

    n: int
    level: float
    slope: float
    low: float
    high: float
    tolerance: float
    verdict: Verdict
    since_s: float = 0.0
    rise: float = 0.0


def trend(at_s: Sequence[float], values: Sequence[float], tolerance: float) -> Trend | None:
    """The slope of `values` per hour. None of fewer than three points."""
    points = list(zip(at_s, values, strict=True))
    whole = _sloped(points, tolerance)
    middle_s = (at_s[0] + at_s[-1]) / 2 if points else 0.0
    half = [(at, value) for at, value in points if at >= middle_s]
    late = _sloped(half, tolerance) if len(half) >= FEWEST_POINTS else None
    if whole is None or late is None:
        return whole
    if late.verdict == "growing":
        return whole if whole.verdict == "growing" else late
    if whole.verdict in ("flat", "not growing", "shrinking"):
        return whole
    if late.high <= tolerance:
        rise = late.level - float(np.median(values[: FEWEST_POINTS // 2]))
        return replace(late, verdict="levelled", rise=rise) if rise > tolerance else late
    # Whether it goes on cannot be told for sure; where it does not look so, it is not called growth.
    goes_on = late.slope > tolerance or whole.verdict == "undecided"
    return whole if goes_on else replace(late, verdict="undecided")


def _sloped(points: Sequence[tuple[float, float]], tolerance: float) -> Trend | None:
    """All points as one line."""
    slope = theil_sen([(at / 3600, value) for at, value in points])
    if slope is None:
        return None
    verdict = _verdict(len(points), slope.low, slope.high, tolerance)
    level = float(np.median([value for _, value in points]))
    return Trend(
        len(points), level, slope.value, slope.low, slope.high, tolerance, verdict, since_s=points[0][0]
    )


def binned(at_s: Sequence[float], values: Sequence[float], bin_s: float) -> tuple[list[float], list[float]]:
    """Medians of bins: the middles of those bins that hold something, and their medians."""
    bins = np.floor(np.asarray(at_s, np.float64) / bin_s).astype(int)
    y = np.asarray(values, np.float64)
    there = np.unique(bins)
    return [float((b + 0.5) * bin_s) for b in there], [float(np.median(y[bins == b])) for b in there]


def warm_up_s(length_s: float) -> float:
    """What is left out at the beginning: a fifth of the run, from one minute to ten."""
    return min(600.0, max(60.0, length_s / 5), length_s / 2)


def bin_width_s(length_s: float) -> float:
    """A minute in long runs; in short ones, such that twenty bins remain, of 10 s at least."""
    return min(60.0, max(10.0, length_s / 20))


def _verdict(n: int, low: float, high: float, tolerance: float) -> Verdict:
    if n < FEWEST_POINTS:
        return "undecided"
    if low > tolerance:
        return "growing"
    if high < -tolerance:
        return "shrinking"
    if high > tolerance:
        return "undecided"
    return "flat" if -tolerance <= low else "not growing"
