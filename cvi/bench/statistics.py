"""Percentiles with intervals, ratios and slopes of small samples; whether a series over time grows.

Intervals are 95 % percentile bootstraps (Efron 1979) with a fixed seed, so that the same values give the
same interval each time. A slope is Theil's and Sen's: the median of the slopes between all pairs of points,
which an outlier in four does not move. Neighbouring samples of a process resemble each other, which would
make its interval too narrow, so a series is judged by medians of bins, not raw samples.

A leak goes on. What rose once and stays (a backlog of a busy minute, whose pages the allocator keeps) gives
the same slope over the whole, so the second half is judged by itself too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
# With fewer values on either side no difference is called real: of five pairs that all point one way,
# one such set in sixteen is chance.
FEWEST_TO_TELL = 6
_CELLS_AT_ONCE = 2_000_000
PERCENTILES = (50, 90, 95, 99)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside the interval."""
        return not self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Summary:
    """P50 to P99 (linear interpolation between order statistics) of `n` values."""

    n: int
    mean: float
    least: float
    most: float
    p50: Interval
    p90: Interval
    p95: Interval
    p99: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A: the ratio of medians B/A and their difference B - A; `enough`: values to call it real."""

    n_a: int
    n_b: int
    median_a: float
    median_b: float
    ratio: Interval
    difference: Interval
    enough: bool = True

    @property
    def real(self) -> bool:
        """The ratio's 95 % interval does not hold 1, and there are enough values."""
        return self.enough and self.ratio.excludes(1.0)


@dataclass(frozen=True, slots=True)
class ShareComparison:
    """B against A, two proportions 0..1: their difference B - A."""

    n_a: int
    n_b: int
    share_a: float
    share_b: float
    difference: Interval

    @property
    def real(self) -> bool:
        """The difference's 95 % interval does not hold 0."""
        return self.difference.excludes(0.0)


def summarize(values: Sequence[float | None], *, seed: int = 0) -> Summary | None:
    """Of those values that are not None; None when there are none. One value has an interval of no width."""
    known = present(values)
    if not len(known):
        return None
    points = np.percentile(known, PERCENTILES)
    drawn = _bootstrap(known, lambda rows: np.percentile(rows, PERCENTILES, axis=1), seed)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=1)
    intervals = [Interval(*map(float, row)) for row in zip(points, low, high, strict=True)]
    return Summary(len(known), float(known.mean()), float(known.min()), float(known.max()), *intervals)


def compare(a: Sequence[float | None], b: Sequence[float | None], *, seed: int = 0) -> Comparison | None:
    """B against A, drawn independently. None when either has no value or A's median is not positive."""
    left, right = present(a), present(b)
    if not len(left) or not len(right) or np.median(left) <= 0:
        return None
    medians_a = _bootstrap(left, lambda rows: np.median(rows, axis=1)[None], seed)[0]
    medians_b = _bootstrap(right, lambda rows: np.median(rows, axis=1)[None], seed + 1)[0]
    return _comparison(left, right, medians_a, medians_b)


def compare_pairs(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> Comparison | None:
    """B against A where each pair (a, b) is the same task of both: pairs are drawn together, so that what is
    hard for both does not widen the interval. None as `compare`."""
    if not pairs:
        return None
    both = np.asarray(pairs, dtype=np.float64)
    if np.median(both[:, 0]) <= 0:
        return None
    numbers = np.arange(len(both), dtype=np.float64)

    def medians(rows: Values) -> Values:
        drawn = both[rows.astype(np.intp)]
        return np.median(drawn, axis=1).T

    medians_a, medians_b = _bootstrap(numbers, medians, seed)
    return _comparison(both[:, 0], both[:, 1], medians_a, medians_b)


def percentile_difference(pairs: Sequence[tuple[float, float]], percent: float, seed: int = 0) -> Interval:
    """The percentile of the pairs' second values less that of the first ones, with its 95 % interval."""
    both = np.asarray(pairs, np.float64)
    rows = np.random.default_rng(seed).integers(len(both), size=(RESAMPLES, len(both)))
    drawn = np.diff(np.percentile(both[rows], percent, axis=1), axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    first, second = np.percentile(both, percent, axis=0)
    return Interval(float(second - first), float(low), float(high))


def compare_intervals(a: Interval, b: Interval) -> Comparison | None:
    """B against A, each one number with its own interval: real when the intervals lie apart, which is more
    than a difference needs. None when A's is not positive."""
    if a.low <= 0:
        return None
    ratio = Interval(b.value / a.value, b.low / a.high, b.high / a.low)
    return Comparison(
        1, 1, a.value, b.value, ratio, Interval(b.value - a.value, b.low - a.high, b.high - a.low)
    )


def compare_shares(hits_a: int, n_a: int, hits_b: int, n_b: int) -> ShareComparison | None:
    """Two proportions, drawn independently: their difference with Newcombe's (1998) interval, made of both
    Wilson intervals. None when either is empty."""
    a, b = share(hits_a, n_a), share(hits_b, n_b)
    if a is None or b is None:
        return None
    apart = b.value - a.value
    below = float(np.hypot(b.value - b.low, a.high - a.value))
    above = float(np.hypot(b.high - b.value, a.value - a.low))
    return ShareComparison(n_a, n_b, a.value, b.value, Interval(apart, apart - below, apart + above))


def share(hits: int, n: int) -> Interval | None:
    """A proportion with its Wilson (1927) interval; None when `n` is 0."""
    if n == 0:
        return None
    z = 1.959964
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    # Exact at the ends, where rounding would leave 1e-17.
    return Interval(p, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)


def theil_sen(points: Sequence[tuple[float, float]], *, seed: int = 0) -> Interval | None:
    """The robust slope of y over x (Theil 1950, Sen 1968): the median slope of all pairs of points.

    The interval is bootstrapped over points. None of fewer than three points, or where no two x differ.
    At most 400 points are used, evenly taken.
    """
    taken = np.asarray(points, dtype=np.float64)
    if len(taken) > 400:
        taken = taken[np.linspace(0, len(taken) - 1, 400).astype(int)]
    if len(taken) < 3 or np.ptp(taken[:, 0]) == 0:
        return None
    slope = _median_slope(taken)
    rng = np.random.default_rng(seed)
    drawn = [_median_slope(taken[rng.integers(len(taken), size=len(taken))]) for _ in range(300)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(slope, float(low), float(high))


def present(values: Sequence[float | None]) -> Values:
    """The values that are not None."""
    return np.asarray([value for value in values if value is not None], dtype=np.float64)


def _comparison(a: Values, b: Values, medians_a: Values, medians_b: Values) -> Comparison:
    median_a, median_b = float(np.median(a)), float(np.median(b))
    # A resampled median of zero says nothing about a ratio.
    usable = medians_a > 0
    ratios = medians_b[usable] / medians_a[usable]
    low, high = np.percentile(ratios, [2.5, 97.5])
    below, above = np.percentile(medians_b - medians_a, [2.5, 97.5])
    return Comparison(
        len(a),
        len(b),
        median_a,
        median_b,
        Interval(median_b / median_a, float(low), float(high)),
        Interval(median_b - median_a, float(below), float(above)),
        enough=min(len(a), len(b)) >= FEWEST_TO_TELL,
    )


def _bootstrap(values: Values, statistic: Callable[[Values], Values], seed: int) -> Values:
    """`statistic` takes rows of resampled values, (r, n), and returns (k, r); all of them: (k, RESAMPLES)."""
    rng = np.random.default_rng(seed)
    rows = max(1, min(RESAMPLES, _CELLS_AT_ONCE // len(values)))
    parts: list[Values] = []
    for start in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - start)
        parts.append(statistic(values[rng.integers(len(values), size=(count, len(values)))]))
    return np.concatenate(parts, axis=1)


def _median_slope(points: Values) -> float:
    x, y = points[:, 0], points[:, 1]
    first, second = np.triu_indices(len(points), 1)
    run = x[second] - x[first]
    apart = run != 0
    if not apart.any():
        return float("nan")
    return float(np.median((y[second] - y[first])[apart] / run[apart]))


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
