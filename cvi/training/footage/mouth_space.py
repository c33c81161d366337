"""A person's mouth in a few numbers: components of lips and jaw without the head's pose, and how bright the
mouth's interior is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.training.arrays import Bools, Bytes, Floats
from cvi.training.footage.face_geometry import CORNERS, INNER, JAW, LIPS, frontal, moved

COMPONENTS = 16
INTERIOR_VALUES = 2
_POINTS = LIPS + JAW
# The jaw's points are tracked less exactly than the lips', and viewers look at the lips.
_JAW_WEIGHT = 0.6
_INNER = LIPS[20:]
"""Inner lips, from the left corner along the upper lip to the right corner, and back along the lower."""
_UPPER, _LOWER = _INNER[:11], (_INNER[0], *_INNER[:9:-1])
_SHUT, _OPEN = 0.006, 0.02
"""Sides of the crop between the lips: below the first the interior counts nothing, above the second fully."""
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class MouthSpace:
    """`reference` (478, 3) the head all frames are aligned to, units of the face's width; `mean` (d,) and
    `basis` (k, d) of lips and jaw there; `scale` (k,) each component's deviation: coefficients are about
    -3..3."""

    reference: Floats
    mean: Floats
    basis: Floats
    scale: Floats

    def encode(self, landmarks: Floats) -> Floats:
        """(n, 478, 3) pixels -> coefficients (n, k)."""
        points = _weighted(frontal(landmarks, self.reference)[0])
        return np.asarray((points - self.mean) @ self.basis.T / self.scale, np.float32)

    def decode(self, coefficients: Floats) -> Floats:
        """(n, k) -> lips then jaw (n, LIPS + JAW, 2), units of the face's width. Further columns, as of the
        mouth's interior, are ignored."""
        flat = coefficients[:, : len(self.scale)] * self.scale @ self.basis + self.mean
        points = flat.reshape(len(coefficients), -1, 2)
        return np.asarray(points / _weights()[:, None], np.float32)


def learn_space(landmarks: Floats, count: int = COMPONENTS) -> MouthSpace:
    """Principal components of lips and jaw in training frames (n, 478, 3), all with a face."""
    upright, reference = frontal(landmarks)
    points = _weighted(upright)
    mean = points.mean(0)
    _, values, vt = np.linalg.svd(points - mean, full_matrices=False)
    count = min(count, len(values))
    scale = np.maximum(values[:count] / np.sqrt(len(points)), 1e-5)
    return MouthSpace(
        reference, mean.astype(np.float32), vt[:count].astype(np.float32), scale.astype(np.float32)
    )


def opening(points: Floats) -> Floats:
    """Distance of the inner lips, (n,), from decoded points (n, LIPS + JAW, 2)."""
    gaps = [points[:, _POINTS.index(low)] - points[:, _POINTS.index(up)] for up, low in INNER]
    return np.asarray(np.mean([np.linalg.norm(gap, axis=-1) for gap in gaps], axis=0), np.float32)


def width(points: Floats) -> Floats:
    """Distance of the mouth's corners, (n,), from decoded points."""
    left, right = (points[:, _POINTS.index(corner)] for corner in CORNERS)
    return np.asarray(np.linalg.norm(right - left, axis=-1), np.float32)


def corner_lift(points: Floats) -> Floats:
    """How far the corners lie above the middle of the lips, (n,): a smile raises them."""
    corners = np.mean([points[:, _POINTS.index(corner), 1] for corner in CORNERS], axis=0)
    middle = np.mean([points[:, _POINTS.index(point), 1] for point in (0, 17)], axis=0)
    return np.asarray(middle - corners, np.float32)


def upright_opening(landmarks: Floats, reference: Floats) -> Floats:
    """Distance of the inner lips measured in landmarks (n, 478, 3), pose removed, of the face's width; NaN
    where there is no face."""
    seen = np.isfinite(landmarks[:, 0, 0])
    out = np.full(len(landmarks), np.nan, np.float32)
    if seen.any():
        out[seen] = opening(frontal(landmarks[seen], reference)[0][:, list(_POINTS), :2])
    return out


def _weights() -> Floats:
    return np.array([1.0] * len(LIPS) + [_JAW_WEIGHT] * len(JAW), np.float32)


def _weighted(upright: Floats) -> Floats:
    points = upright[:, list(_POINTS), :2] * _weights()[:, None]
    return np.asarray(points.reshape(len(points), -1), np.float32)


def mouth_interior(crops: Bytes, landmarks: Floats, matrices: Floats, train: Bools) -> Floats:
    """How bright the mouth's interior is under the upper and above the lower lip, (n, INTERIOR_VALUES), in
    standard deviations from the mean of the training frames, fading to 0 as the lips close. `crops`
    (n, side, side, 3) RGB, `landmarks` (n, 478, 3), `matrices` (n, 2, 3) frame -> crop, `train` (n,).

    Teeth, tongue and darkness have the same lip outline: conditioned on the outline alone, a network draws
    their mean.
    """
    side = crops.shape[1]
    points = moved(landmarks[:, list(_INNER), :2], matrices)
    upper, lower = (points[:, [_INNER.index(point) for point in row]] for row in (_UPPER, _LOWER))
    apart = np.linalg.norm(upper - lower, axis=-1).max(1) / side
    seen = np.clip((apart - _SHUT) / (_OPEN - _SHUT), 0, 1)
    values = np.zeros((len(crops), INTERIOR_VALUES), np.float32)
    for index in np.flatnonzero(seen > 0).tolist():
        values[index] = _brightness(crops[index], upper[index], lower[index])
    known = train & (seen > 0.5)
    if not known.any():
        return np.zeros_like(values)
    spread = np.maximum(values[known].std(0), 1.0)
    return np.asarray((values - values[known].mean(0)) / spread * seen[:, None], np.float32)


def _brightness(crop: Bytes, upper: Floats, lower: Floats) -> tuple[float, float]:
    """Mean luma of the upper and of the lower half of the opening."""
    middle = (upper + lower) / 2
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    halves = (np.concatenate([upper, middle[::-1]]), np.concatenate([middle, lower[::-1]]))
    first, second = (_mean(luma, half) for half in halves)
    return first, second


def _mean(luma: Bytes, outline: Floats) -> float:
    mask = np.zeros_like(luma)
    cv2.fillPoly(mask, [np.rint(outline * (1 << _SUBPIXEL_BITS)).astype(np.int32)], 1, shift=_SUBPIXEL_BITS)
    return float(cv2.mean(luma, mask)[0])
