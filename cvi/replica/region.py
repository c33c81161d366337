"""The square crop around the lower face, and the part of it that the network draws."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.replica.geometry import (
    ANCHORS,
    LIPS,
    LOWER_FACE,
    NOSE_BASE,
    chained,
    face_width,
    moved,
    similarities,
    smoothed,
)

Floats = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]

# In widths of the face: the crop is one wide. What is hidden is the lower face as far as it ever reached in
# the footage, from under the nose over the chin: of collar and background no more than an open jaw covers.
NOSE_AT = (0.5, 0.22)
_TOP, _BOTTOM, _HALF_WIDTH = 0.27, 0.95, 0.36
_BEYOND = 0.035
_FEATHER = 0.075
_RING = 0.06
_SEEN_FRAMES = 200
STEP_PX = 32
_SMALLEST_SIDE_PX = 96
_STEADY_FRAMES = 1.0
"""Smoothing of the crop's place in time: removes the jitter of landmarks, keeps every nod."""


@dataclass(frozen=True, slots=True)
class Region:
    """All float32 (side, side): `mask` how much of the drawing is shown, 0..1; `hidden` 1 where the network
    may not look; `lips` 1 in the lips' box; `ring` where drawing and footage are compared."""

    mask: Floats
    hidden: Floats
    lips: Floats
    ring: Floats

    @property
    def lip_box(self) -> tuple[slice, slice]:
        """Rows and columns of the lips."""
        rows, columns = np.flatnonzero(self.lips.any(1)), np.flatnonzero(self.lips.any(0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def side_for(face_px: float, most: int) -> int:
    """The crop's side: about the face's own pixels, so that nothing is enlarged and little made smaller."""
    wanted = int(np.ceil(face_px / STEP_PX)) * STEP_PX
    return max(_SMALLEST_SIDE_PX, min(wanted, most))


def crop_matrices(landmarks: Floats, pieces: list[tuple[int, int]], side: int) -> Floats:
    """Frame -> crop pixels for each frame, (n, 2, 3), held by what speech does not move.

    `landmarks` (n, 478, 3), gaps filled; `pieces` are the stretches without a cut.
    """
    anchors = smoothed(landmarks[:, list(ANCHORS), :2], pieces, _STEADY_FRAMES)
    reference = anchors.mean(0)
    # The mean of turned heads is a little small: measured anew once all are turned to it.
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


def make_region(landmarks: Floats, matrices: Floats, side: int) -> Region:
    """`landmarks` (n, 478, 3) of the training frames and their matrices."""
    reached = np.zeros((side, side), np.uint8)
    step = max(1, len(landmarks) // _SEEN_FRAMES)
    for outline in moved(landmarks[::step, list(LOWER_FACE), :2], matrices[::step]):
        cv2.fillConvexPoly(reached, cv2.convexHull(np.rint(outline).astype(np.int32)), 1)
    grown = max(1, round(_BEYOND * side))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1))
    reached = np.asarray(cv2.dilate(reached, disc), np.uint8)
    # Cheeks before the ears hardly move, and a border stays visible all around, to go on from.
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    reached[(y < _TOP) | (y > _BOTTOM) | (np.abs(x - 0.5) > _HALF_WIDTH)] = 0
    inward = cv2.distanceTransform(reached, cv2.DIST_L2, 5) / (_FEATHER * side)
    ramp = np.clip(inward, 0, 1)
    mask = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    mask[mask < 0.01] = 0.0
    hidden = (mask > 0).astype(np.float32)
    reach = max(1, round(_RING * side))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ring = np.asarray(cv2.dilate(hidden, kernel), np.float32) - hidden
    lips = np.zeros_like(mask)
    spots = moved(landmarks[:, list(LIPS), :2], matrices).reshape(-1, 2)
    margin = 0.025 * side
    low = np.clip(np.floor(spots.min(0) - margin), 0, side - 2).astype(int)
    high = np.clip(np.ceil(spots.max(0) + margin), low + 2, side).astype(int)
    lips[low[1] : high[1], low[0] : high[0]] = 1.0
    return Region(mask, hidden, lips, ring)


def crop(rgb: Rgb, matrix: Floats, side: int) -> Rgb:
    """The crop of one frame, uint8 (side, side, 3)."""
    shrinks = float(np.hypot(*matrix[:, 0])) < 0.95
    size = side * 2 if shrinks else side
    place = matrix.astype(np.float64) * (size / side)
    # Pixel centres: the larger crop's are half a pixel finer.
    place[:, 2] += (size / side - 1) / 2
    how = cv2.INTER_LINEAR if shrinks else cv2.INTER_CUBIC
    fetched = cv2.warpAffine(rgb, place, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
    if shrinks:
        fetched = cv2.resize(fetched, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(fetched, np.uint8)
