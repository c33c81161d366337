"""Which frames of the footage the replica lives in: a stretch that can be played round and round.

Best is one whose end looks like its beginning, head, eyes and speed of both; it is played forward. Where
there is none, a calm stretch is played forward and back, turned where the head hardly moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.replica.geometry import CHEEKS, NOSE_BASE, face_width

Floats = npt.NDArray[np.float32]

LONGEST_S, SHORTEST_S = 12.0, 1.5
_WANTED_S = 6.0
"""Shorter loops are felt as loops."""
_ALIKE = 0.012
"""Of the face's width: how far apart a loop's ends may lie to pass as one movement."""
_LIDS = ((159, 145), (386, 374))


@dataclass(frozen=True, slots=True)
class Loop:
    """`order` int32 (n,): frame numbers in the order they are played; after the last comes the first again.
    `turns` says whether it is played forward and back. `gap` how far apart the ends lie, of the face's
    width."""

    order: npt.NDArray[np.int32]
    turns: bool
    gap: float


def choose_loop(
    landmarks: Floats,
    usable: npt.NDArray[np.bool_],
    voiced: npt.NDArray[np.bool_],
    pieces: npt.NDArray[np.int32],
    fps: float,
) -> Loop:
    """`landmarks` (n, 478, 3), gaps filled; `usable` (n,) frames that may be shown; `voiced` (n,) where the
    person speaks: silence is preferred, for a listener's face is wanted. `pieces` as in `Prepared`.

    Raises UsageError where nothing is long enough.
    """
    places = _places(landmarks)
    speed = np.zeros(len(places), np.float32)
    speed[1:] = np.linalg.norm(np.diff(places[:, :8], axis=0), axis=1)
    runs = _runs(usable, pieces, max(2, round(SHORTEST_S * fps)))
    if not runs:
        raise UsageError(
            f"Nowhere in the footage is one face seen for {SHORTEST_S} s without a break.",
            "Film at least half a minute, sitting still and facing the camera.",
        )
    found = _closed_loop(places, speed, voiced, runs, fps)
    return found or _turning_loop(speed, voiced, runs, fps)


def _closed_loop(
    places: Floats, speed: Floats, voiced: npt.NDArray[np.bool_], runs: list[tuple[int, int]], fps: float
) -> Loop | None:
    """The stretch whose ends meet best, of those of `_WANTED_S` to `LONGEST_S`."""
    step = np.zeros_like(places)
    step[1:] = np.diff(places, axis=0)
    state = np.concatenate([places, 2.0 * step], 1)
    best: tuple[float, int, int] | None = None
    least, most = round(_WANTED_S * fps), round(LONGEST_S * fps)
    spoken = np.concatenate([[0.0], np.cumsum(voiced)])
    for first, end in runs:
        for length in range(least, min(most, end - first - 1) + 1, max(1, round(fps / 12))):
            starts = np.arange(first + 1, end - length)
            if not len(starts):
                break
            gaps = np.linalg.norm(state[starts + length] - state[starts], axis=1)
            share = (spoken[starts + length] - spoken[starts]) / length
            costs = gaps + 0.004 * share
            pick = int(np.argmin(costs))
            if gaps[pick] < _ALIKE and (best is None or costs[pick] < best[0]):
                best = float(costs[pick]), int(starts[pick]), length
    if best is None:
        return None
    _, start, length = best
    gap = float(np.linalg.norm(places[start + length] - places[start]))
    return Loop(np.arange(start, start + length, dtype=np.int32), False, gap)


def _turning_loop(
    speed: Floats, voiced: npt.NDArray[np.bool_], runs: list[tuple[int, int]], fps: float
) -> Loop:
    """Forward and back over the calmest long stretch, turned at its stillest moments."""

    def cost(run: tuple[int, int]) -> float:
        first, end = run
        seconds = (end - first) / fps
        return float(speed[first:end].mean() * 20 + voiced[first:end].mean()) - min(seconds, _WANTED_S) / 2

    most = round(LONGEST_S * fps)
    windows: list[tuple[int, int]] = []
    for first, end in runs:
        step = max(1, round(fps / 2))
        starts = range(first, max(end - most, first) + 1, step)
        windows += [(start, min(start + most, end)) for start in starts]
    first, end = min(windows, key=cost)
    quarter = max(1, (end - first) // 4)
    start = first + int(np.argmin(speed[first + 1 : first + 1 + quarter]))
    stop = end - quarter + int(np.argmin(speed[end - quarter : end]))
    forward = np.arange(start, stop + 1)
    return Loop(np.concatenate([forward, forward[-2:0:-1]]).astype(np.int32), True, 0.0)


def _places(landmarks: Floats) -> Floats:
    """Where the head is, how it is turned and how open the eyes are, (n, 10), widths of the face."""
    width = face_width(landmarks)
    head = landmarks[:, [NOSE_BASE, 33, 263], :2] / width
    cheeks = landmarks[:, list(CHEEKS), :2].mean(1) / width
    # The nose against the cheeks tells the head's turn, which moves pixels most.
    turn = 2.0 * (head[:, 0] - cheeks)
    lids = [np.linalg.norm(landmarks[:, low, :2] - landmarks[:, up, :2], axis=1) for up, low in _LIDS]
    flat = head.reshape(len(head), -1)
    return np.concatenate([flat, turn, np.stack(lids, 1) / width], 1).astype(np.float32)


def _runs(
    usable: npt.NDArray[np.bool_], pieces: npt.NDArray[np.int32], least: int
) -> list[tuple[int, int]]:
    """Stretches of usable frames within one piece, [first, end)."""
    runs: list[tuple[int, int]] = []
    for first, end in pieces:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], usable[first:end], [False]]).astype(int)))
        runs += [
            (int(first + a), int(first + b))
            for a, b in zip(edges[::2], edges[1::2], strict=True)
            if b - a >= least
        ]
    return runs
