"""The square crop around the lower face, and how far the lower face can reach in it."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.neural.compose import DIRECTIONS, MIDDLE, shown_shares
from cvi.training.arrays import Bools, Bytes, Floats
from cvi.training.footage.face_geometry import (
    ANCHORS,
    JAW,
    LIPS,
    LOWER_FACE,
    NOSE_BASE,
    chained,
    face_width,
    frontal,
    moved,
    posed,
    similarities,
    smoothed,
)

Rgb = Bytes

# Shares of the crop, which is one face width wide.
NOSE_AT = (0.5, 0.22)
_BEYOND = 0.03
"""In sides of the crop: how far the drawing extends beyond the farthest jaw, for the skin that moves with
it."""
_RARE = 0.005
"""The share of frames whose points may lie farther out than the reach, as tracking errors."""
_CHIN = JAW[:5]
_CHUNK = 500
STEP_PX = 32
_SMALLEST_SIDE_PX = 96
_STEADY_FRAMES = 1.0
"""Gaussian smoothing of the crop's place in time: removes the jitter of landmarks and keeps nods."""


def side_for(face_px: float, most: int) -> int:
    """The crop's side, pixels: about the face's own resolution, a multiple of `STEP_PX`, at most `most`."""
    wanted = int(np.ceil(face_px / STEP_PX)) * STEP_PX
    return max(_SMALLEST_SIDE_PX, min(wanted, most))


def crop_matrices(landmarks: Floats, pieces: list[tuple[int, int]], side: int) -> Floats:
    """Frame -> crop pixels for each frame, (n, 2, 3), stabilized by points that speech does not move.

    `landmarks` (n, 478, 3), gaps filled; `pieces` are the stretches without a cut.
    """
    anchors = smoothed(landmarks[:, list(ANCHORS), :2], pieces, _STEADY_FRAMES)
    reference = anchors.mean(0)
    # The mean of turned heads is a little small: measured again once all are aligned to it.
    reference = moved(anchors, similarities(anchors, reference)).mean(0)
    scale = side / face_width(landmarks)
    nose = reference[ANCHORS.index(NOSE_BASE)]
    into = np.array(
        [
            [scale, 0, side * NOSE_AT[0] - scale * nose[0]],
            [0, scale, side * NOSE_AT[1] - scale * nose[1]],
        ],
        np.float32,
    )
    return chained(similarities(anchors, reference), into)


def reaches(
    landmarks: Floats,
    matrices: Floats,
    pieces: list[tuple[int, int]],
    train: Bools,
    reference: Floats,
    side: int,
) -> Floats:
    """For each frame how far the lower face could reach, (n, DIRECTIONS): see `cvi.face.neural.compose`.

    Follows from how far it reached in the training frames, the head's pose removed, and from each frame's
    pose, never from the mouth in that frame. `landmarks` (n, 478, 3), gaps filled; `reference` of the mouth
    space.
    """
    shapes = frontal(landmarks[train], reference)[0][:, list(LOWER_FACE)]
    low, high = np.quantile(shapes, (_RARE, 1 - _RARE), axis=0)
    middle = shapes[..., 2].mean(0)
    corners = [np.stack([x, y, middle], 1) for x in (low[:, 0], high[:, 0]) for y in (low[:, 1], high[:, 1])]
    farthest = np.concatenate(corners).astype(np.float32)
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    out = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    found = np.empty((len(landmarks), DIRECTIONS), np.float32)
    for first in range(0, len(landmarks), _CHUNK):
        part = slice(first, first + _CHUNK)
        points = moved(posed(farthest, landmarks[part], reference), matrices[part])
        found[part] = (((points + 0.5) / side - MIDDLE) @ out).max(1)
    return smoothed(found + np.float32(_BEYOND), pieces, _STEADY_FRAMES)


def usual_lower_faces(landmarks: Floats, matrices: Floats, train: Bools, reference: Floats) -> Floats:
    """Where this person's mean lower face lies in each crop, by the head's pose: (n, m, 2) pixels; arguments
    as in `reaches`."""
    usual = frontal(landmarks[train], reference)[0][:, list(LOWER_FACE)].mean(0)
    return moved(posed(usual, landmarks, reference), matrices)


def covered(landmarks: Floats, matrices: Floats, reach: Floats, side: int) -> Floats:
    """The least opacity of the drawing over the chin of each frame, (n,): below a wide open jaw the frame's
    own chin shows through. `landmarks` (n, 478, 3), gaps filled; `reach` as in `PreparedFootage`."""
    points = (moved(landmarks[:, list(_CHIN), :2], matrices) + 0.5) / side
    return np.array(
        [shown_shares(spot, far).min() for spot, far in zip(points, reach, strict=True)], np.float32
    )


def lip_box(landmarks: Floats, matrices: Floats, side: int) -> tuple[slice, slice]:
    """Rows and columns of the crop that the lips ever reach; `landmarks` (n, 478, 3) of training frames."""
    points = moved(landmarks[:, list(LIPS), :2], matrices).reshape(-1, 2)
    margin = 0.025 * side
    low = np.clip(np.floor(points.min(0) - margin), 0, side - 2).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin), low + 2, side).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def crop(rgb: Rgb, matrix: Floats, side: int) -> Rgb:
    """The crop of one RGB frame, uint8 (side, side, 3); `matrix` (2, 3) frame -> crop pixels."""
    shrinks = float(np.hypot(*matrix[:, 0])) < 0.95
    size = side * 2 if shrinks else side
    place = matrix.astype(np.float64) * (size / side)
    # Keeps pixel centres where they are in the larger crop.
    place[:, 2] += (size / side - 1) / 2
    interpolation = cv2.INTER_LINEAR if shrinks else cv2.INTER_CUBIC
    cropped = cv2.warpAffine(rgb, place, (size, size), flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
    if shrinks:
        cropped = cv2.resize(cropped, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cropped, np.uint8)
