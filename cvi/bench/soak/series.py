"""What a soak watches over time, how much of a slope it forgives, and its verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvi.bench.soak.trend import Trend, bin_width_s, binned, trend, warm_up_s

Points = Sequence[tuple[float, float]]


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
    """The series that are watched, in order, each with its verdict."""
    return [
        _course(watched, series[watched.name], length_s) for watched in WATCHED if series.get(watched.name)
    ]


def growing_series(found: Sequence[SeriesVerdict]) -> list[SeriesVerdict]:
    """Those that grow."""
    return [course for course in found if course.trend is not None and course.trend.verdict == "growing"]


def _course(watched: SeriesKind, points: Points, length_s: float) -> SeriesVerdict:
    warm_s = warm_up_s(length_s)
    at_s, values = binned([at for at, _ in points], [value for _, value in points], bin_width_s(length_s))
    settled = [(at, value) for at, value in zip(at_s, values, strict=True) if at >= warm_s]
    found = None
    if settled:
        levels = sorted(value for _, value in settled)
        level = abs(levels[len(levels) // 2])
        tolerance = watched.tolerance * level if watched.of_level else watched.tolerance
        found = trend([at for at, _ in settled], [value for _, value in settled], tolerance)
    return SeriesVerdict(watched, tuple(at_s), tuple(values), warm_s, found)
