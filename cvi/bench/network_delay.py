"""What a network adds to an answer: one route beside another, and the far end beside the near end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cvi.bench.probe.session_measurement import MeasuredSession
from cvi.bench.run import Figure, Run, values_by_task
from cvi.bench.statistics import RESAMPLES, Interval
from cvi.bench.variants import TRANSPORTS, name_over

QUANTITIES = {"first_audio_ms": "first sound", "first_frame_ms": "first moving mouth"}
_FEWEST = 4
_PARTS = {
    "way_in_ms": "on the way in: spoken to given to the conversation",
    "way_out_ms": "on the way out: handed over to heard",
    "way_ms": "on both ways together",
}
_BOTH_ENDS = (
    "The same words and the same reply found in what was recorded at both ends of the connection, on one "
    "clock; the far end's buffer is in it."
)


@dataclass(frozen=True, slots=True)
class AddedDelay:
    """How much later answers came over one route than over another, ms, of `n` turns met on both.

    `turn` is the median of the turns' own differences; `p50` and `p95` are differences of percentiles. All
    with their 95 % intervals, bootstrapped over pairs."""

    variant: str
    plain: str
    label: str
    n: int
    turn: Interval
    p50: Interval
    p95: Interval


def added_delays(run: Run) -> list[AddedDelay]:
    """Every variant over another route beside the same over the first one, quantity by quantity."""
    found: list[AddedDelay] = []
    for plain in run.variants:
        for transport in TRANSPORTS:
            other = run.variant(name_over(plain.name, transport))
            if other is None:
                continue
            for name, label in QUANTITIES.items():
                a, b = values_by_task(plain, name) or {}, values_by_task(other, name) or {}
                pairs = [(a[key], b[key]) for key in sorted(a.keys() & b.keys())]
                if len(pairs) < _FEWEST:
                    continue
                turn = percentile_difference([(0.0, after - before) for before, after in pairs], 50)
                p50, p95 = percentile_difference(pairs, 50), percentile_difference(pairs, 95)
                found.append(AddedDelay(other.name, plain.name, label, len(pairs), turn, p50, p95))
    return found


def percentile_difference(pairs: Sequence[tuple[float, float]], percent: float, seed: int = 0) -> Interval:
    """The percentile of the pairs' second values less that of the first ones, with its 95 % interval."""
    both = np.asarray(pairs, np.float64)
    rows = np.random.default_rng(seed).integers(len(both), size=(RESAMPLES, len(both)))
    drawn = np.diff(np.percentile(both[rows], percent, axis=1), axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    first, second = np.percentile(both, percent, axis=0)
    return Interval(float(second - first), float(low), float(high))


def route_figures(sessions: Iterable[tuple[MeasuredSession, MeasuredSession]]) -> tuple[Figure, ...]:
    """The parts of the way, from sessions measured at the far end and at the near one."""
    values: dict[str, list[float]] = {name: [] for name in _PARTS}
    for far, near in sessions:
        near_turns = {turn.id: turn for turn in near.turns}
        for turn in far.turns:
            other = near_turns.get(turn.id)
            if other is None:
                continue
            in_ms = 1000 * (other.speech_end_s - turn.speech_end_s)
            values["way_in_ms"].append(round(in_ms, 2))
            if turn.first_audio_ms is not None and other.first_audio_ms is not None:
                both_ms = turn.first_audio_ms - other.first_audio_ms
                values["way_out_ms"].append(round(both_ms - in_ms, 2))
                values["way_ms"].append(round(both_ms, 2))
    return tuple(
        Figure(name, label, "ms", tuple(values[name]), protocol=_BOTH_ENDS)
        for name, label in _PARTS.items()
        if values[name]
    )
