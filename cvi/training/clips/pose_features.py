"""The person's pose and expression in each frame of the footage, and how far apart two frames are.

Clips are joined where one can continue as another unnoticed, as in "video textures" (Schoedl et al. 2000).
What is compared comes from landmarks: head, eyelids, gaze, and through the frames just before and after,
their speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.training.arrays import Bools, Floats, Ints
from cvi.training.clips.eye_region import EYES, LIDS
from cvi.training.footage.face_geometry import CHEEKS, CORNERS, NOSE_BASE, face_width, frontal, smoothed

IRISES = (468, 473)
HEAD_COLUMNS = 8
"""The first columns of `PoseFeatures.pose`, which are the head's."""
FARTHEST = 0.13
"""Face widths: frames farther apart are not joined. A speaking head moves as far in half a second."""
_CONTEXT_S = 0.08
"""Frames this far before and after two frames are compared as well, and with them the speed."""
_BROWS = ((105, 66, 107), (334, 296, 336))
_BROW_ENDS = (107, 336)
_BROW_TAILS = (70, 300)
_CHEEKS = (50, 280, 101, 330)
_LOWER_LIDS = (144, 145, 153, 373, 374, 380)
_STEADY_FRAMES = 1.0
_BLINKING = 0.15
"""Eyes closed further than this are in a blink, which clips show open."""
_VOICE_MARGIN_S, _SPEED_WINDOW_S = 0.2, 1.0
_COVERED = 0.7
"""Opacity of the drawing at the chin: with less, the frame's own chin shows (7 % of one presenter's
frames)."""
_TOGETHER = 0.012
"""Face widths: lips less open than this are closed; tracking never gives exactly 0."""


@dataclass(frozen=True, slots=True)
class PoseFeatures:
    """Of n frames, lengths in face widths.

    `pose` (n, 14): nose and outer corners of the eyes, the head's turn, how open the eyes are, where the
    irises lie in them. `speed` (n,) of the head a second, smoothed over a second. `silent` (n,) where nobody
    speaks and the lips are closed. `brows`, `worry`, `joy` (n,) from this person's usual: brows raised, their
    inner ends more than the outer, cheeks and corners of the mouth raised. `wide_open` (n,) where the jaw is
    so low that a mouth drawn over it would not cover the chin.
    """

    pose: Floats
    speed: Floats
    silent: Bools
    brows: Floats
    worry: Floats
    joy: Floats
    wide_open: Bools


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
    """From `landmarks` (n, 478, 3), gaps filled; `usable` (n,) frames that may be shown; `voiced` (n,) where
    the person speaks; `opening` (n,) of the lips; `shut` (n,) of the eyes (`eye_region.closure`); `covered`
    (n,) (`crop.covered`); `pieces` as in `PreparedFootage`; `reference` of the mouth space."""
    pose = smoothed(_poses(landmarks, shut), list(pieces), _STEADY_FRAMES)
    speed = np.zeros(len(pose), np.float32)
    speed[1:] = np.linalg.norm(np.diff(pose[:, :HEAD_COLUMNS], axis=0), axis=1) * fps
    for first, _ in pieces:
        speed[first] = 0.0
    speed = smoothed(speed[:, None], list(pieces), _SPEED_WINDOW_S * fps / 2)[:, 0]
    lips = opening - np.quantile(opening[usable], 0.05)
    quiet = ~_dilated(voiced, round(_VOICE_MARGIN_S * fps))
    silent = quiet & (_median(lips, round(0.2 * fps)) < _TOGETHER)
    brows, worry, joy = _upper_face(landmarks, usable, quiet, pose, reference)
    return PoseFeatures(pose, speed, silent, brows, worry, joy, covered < _COVERED)


def _poses(landmarks: Floats, shut: Floats) -> Floats:
    width = face_width(landmarks)
    head = landmarks[:, [NOSE_BASE, 33, 263], :2] / width
    cheeks = landmarks[:, list(CHEEKS), :2].mean(1) / width
    # The nose relative to the cheeks shows the head's turn, which moves pixels most.
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
    landmarks: Floats, usable: Bools, quiet: Bools, pose: Floats, reference: Floats
) -> tuple[Floats, Floats, Floats]:
    """Brows, worry and joy, the head's pose removed, relative to the frames that may be shown."""
    across = float(np.linalg.norm(reference[CHEEKS[1]] - reference[CHEEKS[0]]))
    height = -frontal(landmarks, reference)[0][..., 1] / across
    eyes = height[:, [33, 133, 362, 263]].mean(1)
    brows = height[:, [point for brow in _BROWS for point in brow]].mean(1) - eyes
    worry = height[:, list(_BROW_ENDS)].mean(1) - height[:, list(_BROW_TAILS)].mean(1)
    cheeks = height[:, list(_CHEEKS)].mean(1) - eyes
    lower_lids = height[:, list(_LOWER_LIDS)].mean(1) - eyes
    corners = height[:, list(CORNERS)].mean(1) - eyes
    joy = (cheeks + lower_lids + corners) / 2
    # What remains of the pose is regressed out, so that nods do not count as raised brows.
    turn = pose[:, HEAD_COLUMNS - 2 : HEAD_COLUMNS]
    inputs = np.concatenate([turn, turn**2, np.ones((len(turn), 1))], 1)
    found = []
    for measure in (brows, worry, joy):
        gains = np.linalg.lstsq(inputs[usable], measure[usable], rcond=None)[0]
        found.append((measure - inputs @ gains).astype(np.float32))
    return found[0], found[1], found[2]


def _dilated(mask: Bools, reach: int) -> Bools:
    kernel = np.ones((1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8)[None], kernel)[0] > 0)


def _median(values: Floats, reach: int) -> Floats:
    padded = np.pad(values, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(np.median(windows, axis=1), np.float32)


def pose_distances(pose: Floats, before: Ints, after: Ints, fps: float, cyclic: tuple[bool, bool]) -> Floats:
    """Distances between the poses at every frame of `before` (a,) and of `after` (b,): (a, b), face widths.

    Both are frame numbers in the order they are played. A `cyclic` one continues at its beginning; another
    ends, and where a neighbour is missing the distance is infinite. `pose` (n, m) as in `PoseFeatures`.
    """
    reach = max(1, round(_CONTEXT_S * fps))
    total = np.zeros((len(before), len(after)), np.float32)
    for step in (-reach, 0, reach):
        one, other = _shifted(pose, before, step, cyclic[0]), _shifted(pose, after, step, cyclic[1])
        total += ((one[:, None] - other[None]) ** 2).sum(2)
    return np.sqrt(np.where(np.isfinite(total), total, np.inf) / 3)


def _shifted(pose: Floats, order: Ints, step: int, cyclic: bool) -> Floats:
    index = np.arange(len(order)) + step
    if cyclic:
        return pose[order[index % len(order)]]
    exists = (index >= 0) & (index < len(order))
    found = pose[order[np.clip(index, 0, len(order) - 1)]].copy()
    # NaN stays NaN in the differences; infinities could cancel.
    found[~exists] = np.nan
    return found
