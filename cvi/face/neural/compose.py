"""A drawn lower face laid into a frame of footage, without a seam.

The drawing is feathered, and its colours follow the footage: what both show around the hidden region is
compared, and the difference is carried smoothly inwards (a membrane, as in Perez et al. 2003, "Poisson
image editing", here by normalised convolution, Knutsson & Westin 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.neural.colour import Bytes, Floats, split, to_ycc

# The colour match follows light, which changes slowly over a face, and never a moved edge.
COARSE = 8
"""Pixels of a crop that are one where light is compared."""
_SPREAD = 0.16
"""Of the crop's side: how far a difference at the border is felt."""
_MOST_STEPS = 10.0


@dataclass(frozen=True, slots=True)
class Patch:
    """Where crop pixels go: rows and columns of the frame, even to even."""

    top: int
    bottom: int
    left: int
    right: int


def patch_of(matrix: Floats, mask: Floats, width: int, height: int) -> Patch:
    """The part of a frame that the mask's support covers. `matrix` (2, 3): frame -> crop pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corners = np.array(
        [[x, y, 1.0] for x in (columns[0] - 1, columns[-1] + 1) for y in (rows[0] - 1, rows[-1] + 1)]
    )
    spots = corners @ cv2.invertAffineTransform(matrix).T
    (left, top), (right, bottom) = spots.min(0), spots.max(0)
    return Patch(
        top=int(np.clip(np.floor(top / 2) * 2, 0, height)),
        bottom=int(np.clip(np.ceil(bottom / 2) * 2 + 2, 0, height)),
        left=int(np.clip(np.floor(left / 2) * 2, 0, width)),
        right=int(np.clip(np.ceil(right / 2) * 2 + 2, 0, width)),
    )


def lay(frame: Bytes, drawn: Floats, matrix: Floats, mask: Floats, ring: Floats) -> None:
    """Write the drawing into an I420 frame, in place.

    `drawn` float32 RGB 0..255 (side, side, 3) in crop pixels; `mask` and `ring` (side, side); `matrix` (2, 3)
    from frame to crop pixels.
    """
    planes = split(frame)
    height, width = planes.luma.shape
    patch = patch_of(matrix, mask, width, height)
    if patch.bottom - patch.top < 2 or patch.right - patch.left < 2:
        return
    ycc = to_ycc(drawn)
    under = _coarse_crop(frame, matrix, mask.shape[0])
    ycc += difference(under, ycc, ring)
    _blend(planes.luma, ycc[..., :1], mask, matrix, patch, 1)
    _blend(planes.cb, ycc[..., 1:2], mask, matrix, patch, 2)
    _blend(planes.cr, ycc[..., 2:], mask, matrix, patch, 2)


def _blend(plane: Bytes, values: Floats, mask: Floats, matrix: Floats, patch: Patch, step: int) -> None:
    """Mix one plane's part; `step` frame pixels are one of the plane."""
    rows = slice(patch.top // step, patch.bottom // step)
    columns = slice(patch.left // step, patch.right // step)
    part = plane[rows, columns]
    # Pixel (u, v) of the part is centred on the frame's (u * step + left + (step - 1) / 2, ...).
    shift = (step - 1) / 2
    place = np.empty((2, 3), np.float64)
    place[:, :2] = matrix[:, :2] * step
    place[:, 2] = matrix[:, :2] @ (patch.left + shift, patch.top + shift) + matrix[:, 2]
    size = part.shape[1], part.shape[0]
    over = cv2.warpAffine(
        values[..., 0],
        place,
        size,
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    share = cv2.warpAffine(mask, place, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    base = part.astype(np.float32)
    mixed = base + share * (over - base)
    low, high = (16.0, 235.0) if step == 1 else (16.0, 240.0)
    shown = np.clip(mixed + 0.5, low, high).astype(np.uint8)
    # Where nothing of the drawing is shown the footage stays as it is, whatever its range.
    np.copyto(part, shown, where=share > 0.002)


def _coarse_crop(frame: Bytes, matrix: Floats, side: int) -> Floats:
    """The frame's own Y, Cb, Cr in coarse crop pixels, (side / COARSE, side / COARSE, 3)."""
    planes = split(frame)
    small = side // COARSE
    scale = side / small
    channels = []
    for plane, step in ((planes.luma, 1), (planes.cb, 2), (planes.cr, 2)):
        # From coarse crop pixels to the plane's.
        inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
        place = np.empty((2, 3), np.float32)
        place[:, :2] = inverse[:, :2] * scale / step
        middle = inverse[:, :2] @ ((scale - 1) / 2, (scale - 1) / 2) + inverse[:, 2]
        place[:, 2] = (middle - (step - 1) / 2) / step
        reach = max(float(np.hypot(*place[:, 0])), 1.0)
        channels.append(_fetched(plane, place, small, reach))
    return np.dstack(channels)


def _fetched(plane: Bytes, place: Floats, small: int, reach: float) -> Floats:
    """Coarse pixels of a plane, each the mean of about what it covers: four taps stand for all."""
    offsets = (-0.25, 0.25) if reach > 2 else (0.0,)
    total = np.zeros((small, small), np.float32)
    for x in offsets:
        for y in offsets:
            moved = place.copy()
            moved[:, 2] += place[:, 0] * x + place[:, 1] * y
            total += cv2.warpAffine(
                plane,
                moved,
                (small, small),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
    return np.asarray(total / len(offsets) ** 2, np.float32)


def difference(under: Floats, drawn: Floats, ring: Floats) -> Floats:
    """What to add to a drawing (side, side, 3), so that it has the light of what it is laid into: the ring's
    differences, carried smoothly inwards. `under` is that in coarse pixels, (side / COARSE, ..., 3)."""
    small = under.shape[0]
    side = ring.shape[0]
    coarse = cv2.resize(drawn, (small, small), interpolation=cv2.INTER_AREA)
    weight = cv2.resize(ring, (small, small), interpolation=cv2.INTER_AREA)
    gap = np.clip(under - coarse, -_MOST_STEPS, _MOST_STEPS) * weight[..., None]
    sigma = _SPREAD * small
    near = cv2.GaussianBlur(np.dstack([gap, weight]), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    smooth = near[..., :3] / (near[..., 3:] + 1e-3)
    return np.asarray(cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
