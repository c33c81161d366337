"""Reading both: how much later the picture comes than the sound, and whether that drifts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvi.bench.probe.evidence import SoundTrack, Times
from cvi.bench.probe.hearing import Span, envelope
from cvi.bench.run import SyncPoint

_FURTHEST_S = 0.40
_STEP_S = 0.005
_WIDTH_S = 0.06
_SHORTEST_S = 0.8
_LEAST_CORRELATION = 0.3


def offset(
    track: SoundTrack, distances: npt.NDArray[np.float64], shown_s: Times, fps: float, spans: Sequence[Span]
) -> tuple[float, float] | None:
    """(seconds, correlation): the shift at which the mouth's unrest follows the sound's loudness best, over
    all `spans` together; positive where the picture is late. None where they have nothing in common.

    A frame is seen over a whole frame period, so it stands for the middle of it.
    """
    middle = shown_s + 0.5 / fps
    chosen = np.zeros(len(shown_s), bool)
    for span in spans:
        chosen |= (middle > span.start_s - _FURTHEST_S) & (middle < span.end_s + _FURTHEST_S)
    if chosen.sum() < 10 or float(np.std(distances[chosen])) == 0:
        return None
    mouth = distances[chosen]
    near = _reached(track, middle[chosen])
    shifts = np.arange(-_FURTHEST_S, _FURTHEST_S + _STEP_S / 2, _STEP_S)
    alike = np.zeros(len(shifts))
    for number, shift in enumerate(shifts):
        loud = envelope(near, middle[chosen] - shift, _WIDTH_S)
        alike[number] = np.corrcoef(mouth, loud)[0, 1] if loud.std() > 0 else 0.0
    best = int(np.argmax(alike))
    if alike[best] < _LEAST_CORRELATION:
        return None
    return float(shifts[best] + _between(alike, best) * _STEP_S), float(alike[best])


def sync_points(
    track: SoundTrack,
    distances: npt.NDArray[np.float64],
    shown_s: Times,
    fps: float,
    spans: Sequence[Span],
    session: str,
) -> list[SyncPoint]:
    """One point for every stretch of speech that is long enough to tell."""
    points: list[SyncPoint] = []
    for span in spans:
        if span.end_s - span.start_s < _SHORTEST_S:
            continue
        found = offset(track, distances, shown_s, fps, [span])
        if found is not None:
            at_s = round((span.start_s + span.end_s) / 2, 3)
            points.append(SyncPoint(at_s, round(found[0] * 1000, 1), round(found[1], 3), session))
    return points


def _reached(track: SoundTrack, times_s: Times) -> SoundTrack:
    """The part of a track that the shifts can reach: all of it would be summed anew for each of them."""
    reach_s = _FURTHEST_S + _WIDTH_S
    first = max(round((float(times_s[0]) - reach_s - track.start_s) * track.rate_hz), 0)
    last = max(round((float(times_s[-1]) + reach_s - track.start_s) * track.rate_hz), first)
    return SoundTrack(track.pcm[first:last], track.time_s(first), track.rate_hz)


def _between(values: npt.NDArray[np.float64], best: int) -> float:
    """Where a parabola through the best value and its neighbours has its top, in steps from the best."""
    if best in (0, len(values) - 1):
        return 0.0
    before, at, after = values[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
