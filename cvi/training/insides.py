"""What is seen between parted lips, in two numbers: how bright it is under the upper and above the lower.

Teeth, tongue and dark look alike to the outline of the lips; a network that is told the outline alone draws
their mean.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.training.geometry import LIPS, moved

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

COUNT = 2
_INNER = LIPS[20:]
"""From the left corner along the upper lip to the right one, and back along the lower."""
_UPPER, _LOWER = _INNER[:11], (_INNER[0], *_INNER[:9:-1])
_SHUT, _OPEN = 0.006, 0.02
"""Sides of the crop that lips are apart: below the first nothing is seen between, above the second all."""
_FINE = 4
"""Bits behind the pixel in an outline."""


def insides(crops: Bytes, landmarks: Floats, matrices: Floats, train: Bools) -> Floats:
    """(n, COUNT), each 0 in the mean of the frames that train and 1 a deviation from it; the nearer the lips,
    the nearer 0. `crops` (n, side, side, 3) RGB, `landmarks` (n, 478, 3) and `matrices` (n, 2, 3) as in
    `Prepared`."""
    side = crops.shape[1]
    spots = moved(landmarks[:, list(_INNER), :2], matrices)
    upper, lower = (spots[:, [_INNER.index(point) for point in row]] for row in (_UPPER, _LOWER))
    apart = np.linalg.norm(upper - lower, axis=-1).max(1) / side
    seen = np.clip((apart - _SHUT) / (_OPEN - _SHUT), 0, 1)
    values = np.zeros((len(crops), COUNT), np.float32)
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


def _mean(luma: npt.NDArray[np.uint8], outline: Floats) -> float:
    mask = np.zeros_like(luma)
    cv2.fillPoly(mask, [np.rint(outline * (1 << _FINE)).astype(np.int32)], 1, shift=_FINE)
    return float(cv2.mean(luma, mask)[0])
