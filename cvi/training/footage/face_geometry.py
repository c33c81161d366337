"""Landmarks of the face mesh by name, without the head's movement; the square crop of the lower face."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.neural.compose import DIRECTIONS, MIDDLE, shown_shares
from cvi.training.arrays import Bools, Bytes, Doubles, Floats

LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
JAW = (152, 148, 377, 176, 400, 172, 397, 136, 365)
LOWER_FACE = (
    132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, *LIPS,
)  # fmt: skip
"""The outline of cheeks and jaw below the ears, and the lips."""
INNER = ((13, 14), (82, 87), (312, 317))
"""Pairs of the inner edges of upper and lower lip, in the middle of the mouth."""
CORNERS = (61, 291)
CHEEKS = (234, 454)
NOSE_BASE = 2
ANCHORS = (33, 133, 362, 263, 168, 6, 197, 195, 5, 98, 327, 2)
"""Corners of the eyes, bridge and base of the nose: they place the crop, since speech does not move them."""
RIGID = (
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327, 2, 10, 151, 9, 8, 67, 297, 109, 338, 103, 332,
    127, 356, 234, 454, 54, 284,
)  # fmt: skip
"""Forehead, temples, nose and eyes, which move with the skull alone: they give the head's pose."""


def face_width(landmarks: Floats) -> float:
    """Median distance of the cheeks, pixels; `landmarks` (n, 478, 3), NaN where there is no face."""
    across = landmarks[:, CHEEKS[1], :2] - landmarks[:, CHEEKS[0], :2]
    return float(np.nanmedian(np.hypot(across[:, 0], across[:, 1])))


def filled(points: Floats, present: Bools) -> Floats:
    """Points (n, ...) with frames that are not `present` interpolated linearly; the same shape."""
    known = np.flatnonzero(present)
    flat = points.reshape(len(points), -1)
    if len(known) == len(points):
        return points
    index = np.arange(len(points))
    columns = np.stack([np.interp(index, known, flat[known, column]) for column in range(flat.shape[1])], 1)
    return columns.reshape(points.shape).astype(np.float32)


def smoothed(points: Floats, pieces: list[tuple[int, int]], sigma: float) -> Floats:
    """Smoothed in time by a Gaussian of `sigma` frames, within each piece [first, end) alone."""
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    out = np.array(points, np.float32)
    for first, end in pieces:
        part = points[first:end].reshape(end - first, -1)
        padded = np.pad(part, ((reach, reach), (0, 0)), mode="edge")
        total = sum(w * padded[k : k + len(part)] for k, w in enumerate(kernel))
        out[first:end] = np.asarray(total, np.float32).reshape(end - first, *points.shape[1:])
    return out


def similarities(points: Floats, reference: Floats) -> Floats:
    """For each frame the similarity transform that brings (n, k, 2) nearest to (k, 2): (n, 2, 3)."""
    source = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    target = reference[..., 0].astype(np.float64) + 1j * reference[..., 1]
    middle, goal = source.mean(1), target.mean()
    spread = source - middle[:, None]
    turn = (np.conj(spread) @ (target - goal)) / (np.abs(spread) ** 2).sum(1)
    shift = goal - turn * middle
    rows = np.stack(
        [
            np.stack([turn.real, -turn.imag, shift.real], -1),
            np.stack([turn.imag, turn.real, shift.imag], -1),
        ],
        1,
    )
    return rows.astype(np.float32)


def chained(matrices: Floats, then: Floats) -> Floats:
    """Affine maps (n, 2, 3), each followed by `then` (2, 3)."""
    out = np.empty_like(matrices)
    out[:, :, :2] = then[:, :2] @ matrices[:, :, :2]
    out[:, :, 2] = matrices[:, :, 2] @ then[:, :2].T + then[:, 2]
    return out


def moved(points: Floats, matrices: Floats) -> Floats:
    """Points (n, k, 2) through affine maps (n, 2, 3)."""
    return np.asarray(
        np.einsum("nij,nkj->nki", matrices[:, :, :2], points) + matrices[:, None, :, 2], np.float32
    )


def frontal(landmarks: Floats, reference: Floats | None = None) -> tuple[Floats, Floats]:
    """The head's pose removed: (n, 478, 3) -> the same, each frame rotated, scaled and shifted in space so
    that its `RIGID` points lie nearest to the reference's (Umeyama 1991); and the reference, (478, 3).

    Without a reference it is the mean of all frames, found by aligning them to each other, one face width
    wide. The result has the reference's units.
    """
    if reference is None:
        reference = landmarks[len(landmarks) // 2]
        for _ in range(3):
            aligned, turns = _aligned(landmarks, reference)
            reference = aligned.mean(0)
        # From the pose of the frame it began with to the mean pose.
        u, _, vt = np.linalg.svd(turns.mean(0))
        reference = (reference - reference[NOSE_BASE]) @ (u @ vt)
        reference = reference / np.linalg.norm(reference[CHEEKS[1]] - reference[CHEEKS[0]])
        reference = reference.astype(np.float32)
    return _aligned(landmarks, reference)[0], reference


def posed(points: Floats, landmarks: Floats, reference: Floats) -> Floats:
    """Points of the reference's head (m, 3) in each frame's pose: (n, m, 2) pixels. The inverse of `frontal`;
    `landmarks` (n, 478, 3) give the poses."""
    turn, scale, middle, centre = _poses(landmarks, reference)
    placed = np.einsum("nba,nkb->nka", turn, (points - centre) / scale[:, None, None]) + middle
    return np.asarray(placed[..., :2], np.float32)


def _aligned(landmarks: Floats, reference: Floats) -> tuple[Floats, Doubles]:
    """The frames aligned to the reference, and their rotations (n, 3, 3)."""
    turn, scale, middle, centre = _poses(landmarks, reference)
    rotated = np.einsum("nab,nkb->nka", turn, landmarks.astype(np.float64) - middle)
    return np.asarray(rotated * scale[:, None, None] + centre, np.float32), turn


def _poses(landmarks: Floats, reference: Floats) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Rotation (n, 3, 3) and scale (n,) of each head to the reference, and the mean of the rigid points in
    each frame (n, 1, 3) and in the reference (3,)."""
    rigid = list(RIGID)
    source = landmarks[:, rigid].astype(np.float64)
    goal = reference[rigid].astype(np.float64)
    middle, centre = source.mean(1, keepdims=True), goal.mean(0)
    spread, wanted = source - middle, goal - centre
    u, values, vt = np.linalg.svd(np.einsum("ka,nkb->nab", wanted, spread))
    # Rotations only, no reflections.
    sign = np.ones_like(values)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    scale = (values * sign).sum(1) / (spread**2).sum((1, 2))
    return turn, scale, middle, centre


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
