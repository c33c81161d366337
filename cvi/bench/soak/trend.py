"""Whether a series grows: a robust slope with its interval, and a verdict that may be "undecided".

The slope is Theil's and Sen's: the median of the slopes between all pairs of points, which an outlier
in four does not move. Neighbouring samples of a process resemble each other, which would make its
interval too narrow, so the points are medians of bins, not raw samples.

A leak goes on. What rose once and stays (a backlog of a busy minute, whose pages the allocator keeps) gives
the same slope over the whole, so the second half is judged by itself too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cvi.bench.statistics import theil_sen

Verdict = Literal["flat", "growing", "not growing", "levelled", "shrinking", "undecided"]
Points = Sequence[tuple[float, float]]
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


@dataclass(frozen=True, slots=True)
class SeriesKind:
    """A series by its name in the record. `tolerance`: the slope an hour that still counts as flat, in
    the unit, or as a share of the median level where `of_level`. `about` says where it comes from."""

    name: str
    label: str
    unit: str
    tolerance: float
    of_level: bool = False
    about: str = ""


WATCHED = (
    SeriesKind("rss_mib", "Resident memory", "MiB", 0.05, True, "Pages in memory, over the process tree."),
    SeriesKind("pss_mib", "Proportional memory", "MiB", 0.05, True, "Shared pages counted in parts."),
    SeriesKind("threads", "Threads", "", 1.0, about="Over the process tree."),
    SeriesKind("handles", "Open files", "", 1.0, about="File handles over the process tree."),
    SeriesKind("cpu_percent", "Processor", "%", 10.0, about="Of one core; over the process tree."),
    SeriesKind("late_per_min", "Late frames a minute", "", 30.0, about="By more than a frame period."),
    SeriesKind("hand_over_ms", "Frames' delay, P95", "ms", 5.0, about="Against the clock's even pace."),
    SeriesKind("av_offset_ms", "Picture after sound", "ms", 20.0, about="Mouth against voice, a reply each."),
    SeriesKind("answer_ms", "Speech end to first sound", "ms", 200.0, about="A turn each."),
)


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series: medians of bins (`at_s`, `values`), what of them was warm-up, and the trend after it."""

    watched: SeriesKind
    at_s: tuple[float, ...]
    values: tuple[float, ...]
    warm_up_s: float
    trend: Trend | None


def judge_series(series: Mapping[str, Points], length_s: float) -> list[SeriesVerdict]:
    """The series that are watched, in order, each with its verdict; `length_s` is the run's."""
    return [_judge(kind, series[kind.name], length_s) for kind in WATCHED if series.get(kind.name)]


def growing_series(verdicts: Sequence[SeriesVerdict]) -> list[SeriesVerdict]:
    """Those that grow."""
    return [one for one in verdicts if one.trend is not None and one.trend.verdict == "growing"]


def trend(at_s: Sequence[float], values: Sequence[float], tolerance: float) -> Trend | None:
    """The slope of `values` per hour, `at_s` in seconds. None of fewer than three points."""
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


def binned(at_s: Sequence[float], values: Sequence[float], bin_s: float) -> tuple[list[float], list[float]]:
    """Medians of bins: the middles of those bins that hold something, and their medians."""
    bins = np.floor(np.asarray(at_s, np.float64) / bin_s).astype(int)
    y = np.asarray(values, np.float64)
    used = np.unique(bins)
    return [float((b + 0.5) * bin_s) for b in used], [float(np.median(y[bins == b])) for b in used]


def warm_up_s(length_s: float) -> float:
    """What is left out at the beginning: a fifth of the run, from one minute to ten."""
    return min(600.0, max(60.0, length_s / 5), length_s / 2)


def bin_width_s(length_s: float) -> float:
    """A minute in long runs; in short ones, such that twenty bins remain, of 10 s at least."""
    return min(60.0, max(10.0, length_s / 20))


def _judge(kind: SeriesKind, points: Points, length_s: float) -> SeriesVerdict:
    warm_s = warm_up_s(length_s)
    at_s, values = binned([at for at, _ in points], [value for _, value in points], bin_width_s(length_s))
    settled = [(at, value) for at, value in zip(at_s, values, strict=True) if at >= warm_s]
    found = None
    if settled:
        levels = sorted(value for _, value in settled)
        level = abs(levels[len(levels) // 2])
        tolerance = kind.tolerance * level if kind.of_level else kind.tolerance
        found = trend([at for at, _ in settled], [value for _, value in settled], tolerance)
    return SeriesVerdict(kind, tuple(at_s), tuple(values), warm_s, found)


def _sloped(points: Points, tolerance: float) -> Trend | None:
    """All points as one line."""
    slope = theil_sen([(at / 3600, value) for at, value in points])
    if slope is None:
        return None
    n, level = len(points), float(np.median([value for _, value in points]))
    verdict = _verdict(n, slope.low, slope.high, tolerance)
    return Trend(n, level, slope.value, slope.low, slope.high, tolerance, verdict, since_s=points[0][0])


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
