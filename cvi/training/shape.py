"""How one person's mouth stands, in a few numbers: components of lips and jaw, the head's pose removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.training.geometry import CORNERS, INNER, JAW, LIPS, frontal

Floats = npt.NDArray[np.float32]

COUNT = 16
_POINTS = LIPS + JAW
# The jaw's points are less sure than the lips', and the lips are what is looked at.
_JAW_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class MouthSpace:
    """`reference` (478, 3) the head all frames are turned to, units of the face's width; `mean` (d,) and
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
        """(n, k) -> lips then jaw (n, LIPS + JAW, 2), units of the face's width. What else a mouth is told by
        may follow the k."""
        flat = coefficients[:, : len(self.scale)] * self.scale @ self.basis + self.mean
        points = flat.reshape(len(coefficients), -1, 2)
        return np.asarray(points / _weights()[:, None], np.float32)


def learn_space(landmarks: Floats, count: int = COUNT) -> MouthSpace:
    """From training frames (n, 478, 3), all with a face."""
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
    """Distance of the mouth's corners, (n,)."""
    left, right = (points[:, _POINTS.index(corner)] for corner in CORNERS)
    return np.asarray(np.linalg.norm(right - left, axis=-1), np.float32)


def corner_lift(points: Floats) -> Floats:
    """How far the corners stand above the middle of the lips, (n,): what a smile raises."""
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
