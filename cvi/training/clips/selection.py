"""Which stretches of the footage the replica lives in: some of each kind the person showed.

Nobody labels them: what is silence is known from the voice and the lips, what is calm from the head, and what
is felt from brows and cheeks. Each is a stretch that can be played round and round: best one whose end looks
like its beginning; where there is none, a calm one that is played forward and back, turned where the head
hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.clip_graph import ClipActivity, Mood
from cvi.training.clips.pose_features import FARTHEST, PoseFeatures
from cvi.training.footage.face_geometry import smoothed

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]

SHORTEST_S = 1.5
_LENGTH_S: dict[str, tuple[float, float]] = {
    "idle": (5.0, 8.0), "listening": (3.0, 6.0), "speaking": (5.0, 8.0), "felt": (2.4, 3.6),
}  # fmt: skip
"""The shortest and longest that is looked for: shorter ones are felt as loops. Together about 30 s."""
_ALIKE = 0.03
"""Widths of the face: how far apart a loop's ends may lie, which a bridge then brings together."""
_MOSTLY = {"idle": 0.95, "listening": 0.95, "speaking": 0.8, "felt": 0.8}
"""The least share of a clip's frames that are of its kind."""
_FELT: dict[Mood, float] = {"happy": 0.006, "concerned": 0.005, "surprised": 0.012}
"""Widths of the face from the usual, in the mean of a second, that make another expression: what the stock
characters' faces show when they feel so, as the face tracker sees it (`scripts/make_footage`)."""
_STANDS_OUT = 2.0
"""It must also exceed the usual coming and going of that measure by so much, in standard deviations."""
_NEARNESS = 3.0
"""What passing by the first clip counts, beside being of the kind and being liked."""
_SHUT = 4.0
"""What a jaw counts that has not fallen far."""
_ABOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Clip:
    """`order` int32 (n,): frame numbers in the order they are played. One that `turns` is played forward and
    back, and after its last frame comes its first; another needs a jump back."""

    order: Ints
    doing: ClipActivity
    mood: Mood
    turns: bool


def choose_clips(
    bearing: PoseFeatures, usable: Bools, pieces: Sequence[tuple[int, int]], fps: float
) -> list[Clip]:
    """The clips, the first the calmest: the one to come back to. `usable` (n,) frames that may be shown;
    `pieces` as in `Prepared`. Raises UsageError where nothing is long enough."""
    runs = _runs(usable, pieces, max(2, round(SHORTEST_S * fps)))
    if not runs:
        raise UsageError(
            f"Nowhere in the footage is one face seen for {SHORTEST_S} s without a break.",
            "Film at least half a minute, sitting still and facing the camera.",
        )
    finder = _Finder(bearing, runs, fps)
    felt = _felt(bearing, usable, pieces, fps)
    calm = np.exp(-bearing.speed / max(float(np.median(bearing.speed[usable])), 1e-6))
    plain = felt == 0
    silent = bearing.silent
    quiet = silent if finder.has(silent & plain, "idle") else np.ones_like(silent)
    first = finder.find(quiet & plain, calm, "idle") or finder.find(quiet, calm, "idle")
    clips = [Clip(first[0], "idle", "neutral", first[1])] if first else [finder.anything()]
    finder.near(clips[0])
    wanted: list[tuple[Bools, ClipActivity, Mood, str]] = [
        (~silent & plain, "speaking", "neutral", "speaking"),
        (silent & plain, "listening", "neutral", "listening"),
    ]
    names: list[Mood] = list(_FELT)
    wanted += [(felt == k + 1, "speaking", mood, "felt") for k, mood in enumerate(names)]
    for mask, doing, mood, kind in wanted:
        found = finder.find(mask, 1 - calm if kind == "listening" else np.ones_like(calm), kind)
        if found is not None:
            order, turns = found
            if kind == "felt" and silent[order].mean() > 0.5:
                doing = "listening"
            clips.append(Clip(order, doing, mood, turns))
    return clips


class _Finder:
    """Looks for stretches; none is given twice."""

    def __init__(self, bearing: PoseFeatures, runs: list[tuple[int, int]], fps: float) -> None:
        self._place, self._speed, self._runs, self._fps = bearing.place, bearing.speed, runs, fps
        self._taken = np.zeros(len(bearing.speed), np.bool_)
        self._near = np.ones(len(bearing.speed), np.float32)
        self._shut = 1 - bearing.gaping.astype(np.float32)

    def has(self, mask: Bools, kind: str) -> bool:
        """Is there a stretch of this kind?"""
        return bool(self._windows(mask, kind))

    def near(self, clip: Clip) -> None:
        """Prefer from now on what passes by the frames of this clip: there it can be come to."""
        places = np.unique(clip.order).astype(np.int32)
        home = self._place[places]
        nearest = np.array([np.sqrt(((home - place) ** 2).sum(1)).min() for place in self._place])
        close = np.clip((FARTHEST - nearest) / (FARTHEST - _ALIKE), 0, 1).astype(np.float32)[None]
        self._near = np.asarray(cv2.dilate(close, np.ones((1, round(self._fps)), np.uint8))[0], np.float32)

    def find(self, mask: Bools, liked: Floats, kind: str) -> tuple[Ints, bool] | None:
        """The best stretch whose frames are mostly of `mask` (n,), `liked` (n,) 0..1 the more the better:
        its order, and whether it turns."""
        best: tuple[float, int, int] | None = None
        share = np.cumsum(np.concatenate([[0.0], liked + _NEARNESS * self._near + _SHUT * self._shut + mask]))
        for first, end in self._windows(mask, kind):
            worth = float(share[end] - share[first]) / (end - first) + 0.3 * (end - first) / self._most(kind)
            worth -= 0.25 * min(self._closing(first, end) / _ALIKE, 2.0)
            if best is None or worth > best[0]:
                best = worth, first, end
        if best is None:
            return None
        _, first, end = best
        self._taken[first:end] = True
        forward = np.arange(first, end, dtype=np.int32)
        if self._closing(first, end) < _ALIKE:
            return forward, False
        return self._turned(first, end), True

    def anything(self) -> Clip:
        """The longest stretch, forward and back."""
        first, end = max(self._runs, key=lambda run: run[1] - run[0])
        return Clip(self._turned(first, min(end, first + self._most("idle"))), "idle", "neutral", True)

    def _most(self, kind: str) -> int:
        return round(_LENGTH_S[kind][1] * self._fps)

    def _windows(self, mask: Bools, kind: str) -> list[tuple[int, int]]:
        least, most = round(_LENGTH_S[kind][0] * self._fps), self._most(kind)
        known = np.cumsum(np.concatenate([[0], mask]))
        taken = np.cumsum(np.concatenate([[0], self._taken]))
        step = max(1, round(self._fps / 4))
        return [
            (start, start + length)
            for first, end in self._runs
            for length in range(least, most + 1, 2 * step)
            for start in range(first, end - length + 1, step)
            if known[start + length] - known[start] >= _MOSTLY[kind] * length
            and taken[start + length] == taken[start]
        ]

    def _closing(self, first: int, end: int) -> float:
        """How far apart beginning and end are where they meet best: about, for many are looked at."""
        margin = max(2, (end - first) // 5)
        head, tail = self._place[first : first + margin : 2], self._place[end - margin : end : 2]
        speed = self._place[first + 1 : first + margin + 1 : 2] - head
        speeds = self._place[end - margin - 1 : end - 1 : 2]
        states = np.concatenate([head, 2 * speed], 1)
        others = np.concatenate([tail, 2 * (tail - speeds[: len(tail)])], 1)
        return float(np.sqrt(((states[:, None] - others[None]) ** 2).sum(2).min()))

    def _turned(self, first: int, end: int) -> Ints:
        """Forward and back, turned at the stillest moments near both ends."""
        quarter = max(1, (end - first) // 4)
        start = first + int(np.argmin(self._speed[first : first + quarter]))
        stop = end - quarter + int(np.argmin(self._speed[end - quarter : end]))
        forward = np.arange(start, stop + 1)
        return np.concatenate([forward, forward[-2:0:-1]]).astype(np.int32)


def _felt(bearing: PoseFeatures, usable: Bools, pieces: Sequence[tuple[int, int]], fps: float) -> Ints:
    """(n,) 0 where the face is as usual, else 1 + the place among `_FELT` of the expression it shows most."""
    measures = np.stack([bearing.joy, bearing.worry, bearing.brows], 1)
    measures = smoothed(measures, list(pieces), _ABOUT_S * fps / 2)
    usual = 1.48 * np.median(np.abs(measures[usable]), axis=0)
    level = measures / np.maximum(list(_FELT.values()), _STANDS_OUT * usual)
    return np.where(level.max(1) > 1, level.argmax(1) + 1, 0).astype(np.int32)


def _runs(usable: Bools, pieces: Sequence[tuple[int, int]], least: int) -> list[tuple[int, int]]:
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
