"""Moments told against moments that were (protocol 2, turnbench's rules).

A moment that was is looked for from 0.25 s before it to 3 s after, not past the next of its kind. Each
claims the earliest telling that is still free, so one telling never counts twice. A telling in a span
where there was nothing to tell is a false one, at most one a span, unless it lies in the window of a
moment that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvi.bench.recordings.labels import TimeSpan

BEFORE_S = 0.25
AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class Score:
    """`delays_s` has one entry a moment found; `false_spans` counts spans in which one was told."""

    delays_s: tuple[float, ...]
    missed: int
    false_spans: int
    true_spans: int


def score(
    told_s: Sequence[float], were_s: Sequence[float], nothing: Sequence[TimeSpan]
) -> Score:
    """Match one speaker's told moments with those that were."""
    free = sorted(told_s)
    moments = sorted(were_s)
    delays: list[float] = []
    windows: list[TimeSpan] = []
    for number, moment in enumerate(moments):
        following = moments[number + 1] if number + 1 < len(moments) else float("inf")
        window = TimeSpan(moment - BEFORE_S, min(moment + AFTER_S, following))
        windows.append(window)
        match = next((t for t in free if window.start_s <= t <= window.end_s), None)
        if match is not None:
            free.remove(match)
            delays.append(match - moment)
    loose = [t for t in free if not any(window.start_s <= t <= window.end_s for window in windows)]
    false = sum(any(span.start_s - BEFORE_S <= t <= span.end_s for t in loose) for span in nothing)
    return Score(tuple(delays), len(moments) - len(delays), false, len(nothing) - false)


def joined(scores: Sequence[Score]) -> Score:
    """Several speakers' scores as one."""
    return Score(
        tuple(delay for one in scores for delay in one.delays_s),
        sum(one.missed for one in scores),
        sum(one.false_spans for one in scores),
        sum(one.true_spans for one in scores),
    )
