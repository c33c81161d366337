"""Which stretches of the footage the replica plays: one of each kind the person showed.

Nothing is labelled by hand: silence follows from the voice and the lips, calm from the head's speed, mood
from brows, cheeks and the mouth's corners. Each stretch can be looped: preferably one whose end matches its
beginning, else a calm one that is played forward and back, reversing where the head hardly moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.neural.clip_graph import ClipActivity, Mood
from cvi.training.arrays import Bools, Floats, Ints
from cvi.training.clips.pose_features import FARTHEST, PoseFeatures
from cvi.training.footage.face_geometry import smoothed
from cvi.training.footage.spans import runs

SHORTEST_S = 1.5
_LENGTH_S: dict[str, tuple[float, float]] = {
    "idle": (5.0, 8.0), "listening": (3.0, 6.0), "speaking": (5.0, 8.0), "mood": (2.4, 3.6),
}  # fmt: skip
"""Shortest and longest clip of a kind: viewers notice the repetition of shorter ones. About 30 s together."""
_ALIKE = 0.03
"""Face widths between a loop's ends that a transition can hide."""
_MOSTLY = {"idle": 0.95, "listening": 0.95, "speaking": 0.8, "mood": 0.8}
"""The least share of a clip's frames that are of its kind."""
_MOODS: dict[Mood, float] = {"happy": 0.006, "concerned": 0.005, "surprised": 0.012}
"""Face widths from the person's usual, averaged over a second, that count as the mood: measured by the face
tracker on the stock characters when they show it (`scripts/make_footage`)."""
_STANDS_OUT = 2.0
"""The measure must also exceed its usual variation by this many standard deviations."""
_NEARNESS = 3.0
"""Weight of being near the first clip, against 1 for being of the kind."""
_JAW_WEIGHT = 4.0
"""Weight of a jaw that is not wide open."""
_ABOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Clip:
    """`order` int32 (n,): frame numbers in the order they are played. With `reverses` it runs forward and
    back, and its first frame follows its last; without, it needs a transition to loop."""

    order: Ints
    activity: ClipActivity
    mood: Mood
    reverses: bool


def choose_clips(
    features: PoseFeatures, usable: Bools, pieces: Sequence[tuple[int, int]], fps: float
) -> list[Clip]:
    """The clips; the first is the calmest, to which the others return. `usable` (n,) frames that may be
    shown; `pieces` as in `PreparedFootage`. Raises UsageError where no stretch is long enough."""
    stretches = _usable_runs(usable, pieces, max(2, round(SHORTEST_S * fps)))
    if not stretches:
        raise UsageError(
            f"Nowhere in the footage is one face seen for {SHORTEST_S} s without a break.",
            "Film at least half a minute, sitting still and facing the camera.",
        )
    finder = _ClipFinder(features, stretches, fps)
    mood_index = _mood_of_frames(features, usable, pieces, fps)
    calm = np.exp(-features.speed / max(float(np.median(features.speed[usable])), 1e-6))
    plain = mood_index == 0
    silent = features.silent
    quiet = silent if finder.has(silent & plain, "idle") else np.ones_like(silent)
    first = finder.find(quiet & plain, calm, "idle") or finder.find(quiet, calm, "idle")
    clips = [Clip(first[0], "idle", "neutral", first[1])] if first else [finder.anything()]
    finder.near(clips[0])
    wanted: list[tuple[Bools, ClipActivity, Mood, str]] = [
        (~silent & plain, "speaking", "neutral", "speaking"),
        (silent & plain, "listening", "neutral", "listening"),
    ]
    names: list[Mood] = list(_MOODS)
    wanted += [(mood_index == k + 1, "speaking", mood, "mood") for k, mood in enumerate(names)]
    for mask, activity, mood, kind in wanted:
        found = finder.find(mask, 1 - calm if kind == "listening" else np.ones_like(calm), kind)
        if found is not None:
            order, reverses = found
            if kind == "mood" and silent[order].mean() > 0.5:
                activity = "listening"
            clips.append(Clip(order, activity, mood, reverses))
    return clips


class _ClipFinder:
    """Finds stretches of frames; none overlaps one that was found before."""

    def __init__(self, features: PoseFeatures, stretches: list[tuple[int, int]], fps: float) -> None:
        self._pose, self._speed, self._fps = features.pose, features.speed, fps
        self._stretches = stretches
        self._taken = np.zeros(len(features.speed), np.bool_)
        self._near = np.ones(len(features.speed), np.float32)
        self._jaw_up = 1 - features.wide_open.astype(np.float32)

    def has(self, mask: Bools, kind: str) -> bool:
        """Whether there is a stretch of this kind."""
        return bool(self._candidates(mask, kind))

    def near(self, clip: Clip) -> None:
        """From now on prefer stretches that come near frames of this clip, so that transitions exist."""
        frames = np.unique(clip.order).astype(np.int32)
        clip_poses = self._pose[frames]
        nearest = np.array([np.sqrt(((clip_poses - pose) ** 2).sum(1)).min() for pose in self._pose])
        close = np.clip((FARTHEST - nearest) / (FARTHEST - _ALIKE), 0, 1).astype(np.float32)[None]
        self._near = np.asarray(cv2.dilate(close, np.ones((1, round(self._fps)), np.uint8))[0], np.float32)

    def find(self, mask: Bools, preference: Floats, kind: str) -> tuple[Ints, bool] | None:
        """The best stretch whose frames are mostly in `mask` (n,): its order, and whether it reverses.
        `preference` (n,) 0..1 is added for each frame."""
        best: tuple[float, int, int] | None = None
        share = np.cumsum(
            np.concatenate([[0.0], preference + _NEARNESS * self._near + _JAW_WEIGHT * self._jaw_up + mask])
        )
        for first, end in self._candidates(mask, kind):
            score = float(share[end] - share[first]) / (end - first) + 0.3 * (end - first) / self._most(kind)
            score -= 0.25 * min(self._end_gap(first, end) / _ALIKE, 2.0)
            if best is None or score > best[0]:
                best = score, first, end
        if best is None:
            return None
        _, first, end = best
        self._taken[first:end] = True
        forward = np.arange(first, end, dtype=np.int32)
        if self._end_gap(first, end) < _ALIKE:
            return forward, False
        return self._reversing(first, end), True

    def anything(self) -> Clip:
        """The longest stretch of any kind, forward and back."""
        first, end = max(self._stretches, key=lambda run: run[1] - run[0])
        return Clip(self._reversing(first, min(end, first + self._most("idle"))), "idle", "neutral", True)

    def _most(self, kind: str) -> int:
        return round(_LENGTH_S[kind][1] * self._fps)

    def _candidates(self, mask: Bools, kind: str) -> list[tuple[int, int]]:
        least, most = round(_LENGTH_S[kind][0] * self._fps), self._most(kind)
        known = np.cumsum(np.concatenate([[0], mask]))
        taken = np.cumsum(np.concatenate([[0], self._taken]))
        step = max(1, round(self._fps / 4))
        return [
            (start, start + length)
            for first, end in self._stretches
            for length in range(least, most + 1, 2 * step)
            for start in range(first, end - length + 1, step)
            if known[start + length] - known[start] >= _MOSTLY[kind] * length
            and taken[start + length] == taken[start]
        ]

    def _end_gap(self, first: int, end: int) -> float:
        """Face widths between beginning and end where they match best; approximate, for speed."""
        margin = max(2, (end - first) // 5)
        head, tail = self._pose[first : first + margin : 2], self._pose[end - margin : end : 2]
        speed = self._pose[first + 1 : first + margin + 1 : 2] - head
        speeds = self._pose[end - margin - 1 : end - 1 : 2]
        states = np.concatenate([head, 2 * speed], 1)
        others = np.concatenate([tail, 2 * (tail - speeds[: len(tail)])], 1)
        return float(np.sqrt(((states[:, None] - others[None]) ** 2).sum(2).min()))

    def _reversing(self, first: int, end: int) -> Ints:
        """Forward and back, reversing at the stillest moments near both ends."""
        quarter = max(1, (end - first) // 4)
        start = first + int(np.argmin(self._speed[first : first + quarter]))
        stop = end - quarter + int(np.argmin(self._speed[end - quarter : end]))
        forward = np.arange(start, stop + 1)
        return np.concatenate([forward, forward[-2:0:-1]]).astype(np.int32)


def _mood_of_frames(
    features: PoseFeatures, usable: Bools, pieces: Sequence[tuple[int, int]], fps: float
) -> Ints:
    """(n,) 0 where the expression is the usual one, else 1 + the index in `_MOODS` of the strongest mood."""
    measures = np.stack([features.joy, features.worry, features.brows], 1)
    measures = smoothed(measures, list(pieces), _ABOUT_S * fps / 2)
    usual = 1.48 * np.median(np.abs(measures[usable]), axis=0)
    level = measures / np.maximum(list(_MOODS.values()), _STANDS_OUT * usual)
    return np.where(level.max(1) > 1, level.argmax(1) + 1, 0).astype(np.int32)


def _usable_runs(usable: Bools, pieces: Sequence[tuple[int, int]], least: int) -> list[tuple[int, int]]:
    """Stretches of usable frames within one piece, [first, end)."""
    return [
        (first + a, first + b) for first, end in pieces for a, b in runs(usable[first:end]) if b - a >= least
    ]
