"""Stretches of time as (start, end) in seconds, and as one truth value a frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cvi.training.arrays import Bools, Doubles

Span = tuple[float, float]


def runs(flags: Bools) -> list[tuple[int, int]]:
    """First and last-plus-one index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def spans(flags: Bools, fps: float, least_s: float = 0.0, bridge_s: float = 0.0) -> tuple[Span, ...]:
    """The runs of True of at least `least_s` seconds, those less than `bridge_s` apart taken as one."""
    found: list[list[int]] = []
    for start, end in runs(flags):
        if found and start - found[-1][1] < bridge_s * fps:
            found[-1][1] = end
        else:
            found.append([start, end])
    least = max(least_s * fps - 1e-6, 1.0)
    return tuple((a / fps, b / fps) for a, b in found if b - a >= least)


def flagged(found: Iterable[Span], count: int, fps: float) -> Bools:
    """One truth value for each of `count` frames: whether it lies in one of the spans."""
    flags = np.zeros(count, np.bool_)
    for start_s, end_s in found:
        flags[max(int(start_s * fps + 0.5), 0) : max(int(end_s * fps + 0.5), 0)] = True
    return flags


def total_s(found: Iterable[Span]) -> float:
    """The sum of all lengths, seconds."""
    return float(sum(end - start for start, end in found))


def moving_median(values: Doubles, half: int) -> Doubles:
    """The median of `half` values on either side and the value itself; shorter at the ends."""
    if len(values) == 0:
        return values
    padded = np.pad(values, half, mode="reflect" if len(values) > half else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.nanmedian(windows, axis=1), np.float64)
