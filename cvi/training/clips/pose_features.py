"""How a person bears themselves in each frame of their footage: head, eyes, upper face, and what they do.

TODO Where one stretch of footage can go on as another without being seen to: "video textures" (Schoedl et al.
2000), with what is compared taken from landmarks: head, eyelids, gaze, and through some frames around, the
speed of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.training.clips.eye_region import EYES, LIDS
from cvi.training.footage.face_geometry import CHEEKS, CORNERS, NOSE_BASE, face_width, frontal, smoothed

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

IRISES = (468, 473)
HEAD = 8
"""So many of the columns of `Bearing.place` are the head's."""
_BROWS = ((105, 66, 107), (334, 296, 336))
_BROW_ENDS = (107, 336)
_BROW_TAILS = (70, 300)
_CHEEKS = (50, 280, 101, 330)
_LOWER_LIDS = (144, 145, 153, 373, 374, 380)
_STEADY_FRAMES = 1.0
_BLINKING = 0.15
"""Eyes more shut than this are in a blink, which the reel shows open."""
_AROUND_VOICE_S, _ABOUT_S = 0.2, 1.0
_COVERED = 0.7
"""Of the drawing at the chin: with less, a fallen one shows through (7 % of one presenter's frames)."""
_TOGETHER = 0.012
"""Widths of the face: lips less open than this are together; trackers are never quite still."""


@dataclass(frozen=True, slots=True)
class PoseFeatures:
    """Of n frames. `place` (n, 14), widths of the face: nose and outer corners of the eyes, the head's turn,
    how open the eyes are, where the irises lie in them. `speed` (n,) of the head, widths a second, smoothed
    over a second. `silent` (n,) where nothing is said and the lips are together. `brows`, `worry`, `joy`
    (n,) widths of the face, from this person's usual: brows raised, their inner ends more than the outer,
    cheeks and corners of the mouth raised. `gaping` (n,) where the jaw has fallen so far that a mouth
    drawn over it would not cover the chin."""

    place: Floats
    speed: Floats
    silent: Bools
    brows: Floats
    worry: Floats
    joy: Floats
    gaping: Bools


def pose_features_of(
    landmarks: Floats,
    usable: Bools,
    voiced: Bools,
    opening: Floats,
    shut: Floats,
    covered: Floats,
    pieces: Sequence[tuple[int, int]],
    reference: Floats,
    fps: float,
) -> PoseFeatures:
    """`landmarks` (n, 478, 3), gaps filled; `usable` (n,) frames that may be shown; `voiced` (n,) where the
    person speaks; `opening` (n,) of the lips, `shut` (n,) of the eyes as in `blinks.closure`; `covered` (n,)
    as `region.covered` says; `pieces` as in `Prepared`; `reference` of the mouth's space."""
    place = smoothed(_places(landmarks, shut), list(pieces), _STEADY_FRAMES)
    speed = np.zeros(len(place), np.float32)
    speed[1:] = np.linalg.norm(np.diff(place[:, :HEAD], axis=0), axis=1) * fps
    for first, _ in pieces:
        speed[first] = 0.0
    speed = smoothed(speed[:, None], list(pieces), _ABOUT_S * fps / 2)[:, 0]
    lips = opening - np.quantile(opening[usable], 0.05)
    quiet = ~_widened(voiced, round(_AROUND_VOICE_S * fps))
    silent = quiet & (_median(lips, round(0.2 * fps)) < _TOGETHER)
    brows, worry, joy = _upper_face(landmarks, usable, quiet, place, reference)
    return PoseFeatures(place, speed, silent, brows, worry, joy, covered < _COVERED)


def _places(landmarks: Floats, shut: Floats) -> Floats:
    width = face_width(landmarks)
    head = landmarks[:, [NOSE_BASE, 33, 263], :2] / width
    cheeks = landmarks[:, list(CHEEKS), :2].mean(1) / width
    # The nose against the cheeks tells the head's turn, which moves pixels most.
    turn = 2.0 * (head[:, 0] - cheeks)
    lids = [np.linalg.norm(landmarks[:, low, :2] - landmarks[:, up, :2], axis=1) for up, low in LIDS]
    irises = [
        landmarks[:, iris, :2] - landmarks[:, list(corners), :2].mean(1)
        for iris, corners in zip(IRISES, EYES, strict=True)
    ]
    eyes = np.concatenate([np.stack(lids, 1), *irises], 1) / width
    opened = np.flatnonzero(shut < _BLINKING)
    if len(opened):
        index = np.arange(len(eyes))
        eyes = np.stack([np.interp(index, opened, column[opened]) for column in eyes.T], 1)
    return np.concatenate([head.reshape(len(head), -1), turn, eyes], 1).astype(np.float32)


def _upper_face(
    landmarks: Floats, usable: Bools, quiet: Bools, place: Floats, reference: Floats
) -> tuple[Floats, Floats, Floats]:
    """Brows, worry and joy, the head's pose removed, from the usual of the frames that may be shown."""
    across = float(np.linalg.norm(reference[CHEEKS[1]] - reference[CHEEKS[0]]))
    height = -frontal(landmarks, reference)[0][..., 1] / across
    eyes = height[:, [33, 133, 362, 263]].mean(1)
    brows = height[:, [point for brow in _BROWS for point in brow]].mean(1) - eyes
    worry = height[:, list(_BROW_ENDS)].mean(1) - height[:, list(_BROW_TAILS)].mean(1)
    cheeks = height[:, list(_CHEEKS)].mean(1) - eyes
    lower_lids = height[:, list(_LOWER_LIDS)].mean(1) - eyes
    corners = height[:, list(CORNERS)].mean(1) - eyes
    joy = (cheeks + lower_lids + corners) / 2
    # What remains of the pose in the points is taken out: nods lift no brows.
    pose = place[:, HEAD - 2 : HEAD]
    told = np.concatenate([pose, pose**2, np.ones((len(pose), 1))], 1)
    found = []
    for measure in (brows, worry, joy):
        gains = np.linalg.lstsq(told[usable], measure[usable], rcond=None)[0]
        found.append((measure - told @ gains).astype(np.float32))
    return found[0], found[1], found[2]


def _widened(mask: Bools, reach: int) -> Bools:
    kernel = np.ones((1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8)[None], kernel)[0] > 0)


def _median(values: Floats, reach: int) -> Floats:
    padded = np.pad(values, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(np.median(windows, axis=1), np.float32)


Ints = npt.NDArray[np.int32]

FARTHEST = 0.13
"""Widths of the face: frames farther apart are not joined. A head that speaks covers it in half a second."""
_AROUND_S = 0.08
"""So far before and after two frames theirs are compared as well: who moves otherwise is elsewhere then."""


def pose_distances(place: Floats, before: Ints, after: Ints, fps: float, cyclic: tuple[bool, bool]) -> Floats:
    """How far apart the person is at every frame of `before` (a,) and of `after` (b,): (a, b), widths of the
    face. Both are frame numbers in the order they are played; `cyclic` ones go on at their beginning, others
    end, and there the gap is infinite. `place` (n, m) as in `PoseFeatures`."""
    reach = max(1, round(_AROUND_S * fps))
    total = np.zeros((len(before), len(after)), np.float32)
    for step in (-reach, 0, reach):
        one, other = _at(place, before, step, cyclic[0]), _at(place, after, step, cyclic[1])
        total += ((one[:, None] - other[None]) ** 2).sum(2)
    return np.sqrt(np.where(np.isfinite(total), total, np.inf) / 3)


def _at(place: Floats, order: Ints, step: int, cyclic: bool) -> Floats:
    index = np.arange(len(order)) + step
    if cyclic:
        return place[order[index % len(order)]]
    there = (index >= 0) & (index < len(order))
    found = place[order[np.clip(index, 0, len(order) - 1)]].copy()
    # Not infinite: the difference of two would be no number, and so is this, but then everywhere.
    found[~there] = np.nan
    return found
