"""Pasting a drawn lower face into a frame of footage: which region is drawn, and how its border is hidden.

The region moves with the head and reaches as far as this person's lower face can, whatever the mouth does: an
outline that followed the mouth would tell the network what it is to predict. It is stored as one row of
numbers a frame, a support function in `DIRECTIONS` directions, from which the convex outline is made here.

The drawing is feathered and matched to the footage's light: both are compared in a ring around the region,
and the difference is spread smoothly inwards (a membrane, as in Perez et al. 2003, "Poisson image editing",
here by normalised convolution, Knutsson & Westin 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.planes import Bytes, Floats, Planes, to_ycc

DIRECTIONS = 48
MIDDLE = (0.5, 0.5)
"""Origin of the reaches, in sides of the crop."""
TOP = 0.27
_BOTTOM, _HALF_WIDTH = 0.95, 0.36
"""Limits of the region, sides of the crop: nothing above the groove of the upper lip, below the crop or in
front of the ears is drawn, so that a border of footage stays visible all around."""
_FEATHER = 0.075
_RING = 0.06
_FINE = 4
"""Fractional bits of the outline's corners, so that it moves smoothly with the head."""

_ANGLES = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
_OUT = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_ALONG = np.stack([-np.sin(_ANGLES), np.cos(_ANGLES)], 1)
_STEP = 2 * np.pi / DIRECTIONS


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """The region of one frame; all float32 (side, side) in crop pixels.

    `mask`: how much of the drawing is shown, 0..1; `hidden`: 1 where the network's input is masked; `ring`: 1
    where drawing and footage are compared.
    """

    mask: Floats
    hidden: Floats
    ring: Floats


def drawn_region(reach: Floats, side: int) -> DrawnRegion:
    """The region of one frame. `reach` (DIRECTIONS,): the support function, sides of the crop from MIDDLE."""
    hidden = _filled(reach, side, 0.0)
    inward = cv2.distanceTransform(hidden, cv2.DIST_L2, 5) * np.float32(1 / (_FEATHER * side))
    ramp = np.clip(inward, 0, 1)
    mask = ramp * ramp * (3 - 2 * ramp)
    ring = _filled(reach, side, _RING) - hidden
    return DrawnRegion(np.asarray(mask, np.float32), hidden.astype(np.float32), np.asarray(ring, np.float32))


def shown_shares(points: Floats, reach: Floats) -> Floats:
    """How much of the drawing is shown at `points` (m, 2), sides of the crop: (m,). `reach` as in
    `drawn_region`."""
    inward = (reach - (points - MIDDLE) @ _OUT.T).min(1) / _FEATHER
    ramp = np.clip(inward, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def hidden_mask(reach: Floats, side: int) -> Floats:
    """`DrawnRegion.hidden` alone, (side, side)."""
    return _filled(reach, side, 0.0).astype(np.float32)


def _filled(reach: Floats, side: int, wider: float) -> npt.NDArray[np.uint8]:
    """The outline, `wider` sides of the crop further out, filled with ones."""
    far = reach.astype(np.float64) + wider
    # Corners: where the borders of neighbouring half planes meet.
    across = (np.roll(far, -1) - far * np.cos(_STEP)) / np.sin(_STEP)
    corners = (far[:, None] * _OUT + across[:, None] * _ALONG + MIDDLE) * side - 0.5
    filled = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(filled, np.rint(corners * (1 << _FINE)).astype(np.int32), 1, shift=_FINE)
    top, bottom = round((TOP - wider) * side), round((_BOTTOM + wider) * side)
    left, right = round((0.5 - _HALF_WIDTH - wider) * side), round((0.5 + _HALF_WIDTH + wider) * side)
    filled[:top] = 0
    filled[bottom:] = 0
    filled[:, :left] = 0
    filled[:, right:] = 0
    return filled


COARSE = 8
"""Crop pixels a side of one pixel of the light comparison: light varies slowly, and moved edges must not
count."""
_SPREAD = 0.16
"""Sides of the crop over which a difference at the border is spread."""
_MOST_STEPS = 10.0


@dataclass(frozen=True, slots=True)
class FramePatch:
    """Rows and columns of a frame that a crop covers, even to even."""

    top: int
    bottom: int
    left: int
    right: int


def patch_of(matrix: Floats, mask: Floats, width: int, height: int) -> FramePatch:
    """The part of a frame where `mask` is not zero. `matrix` (2, 3): frame pixels -> crop pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corners = np.array(
        [[x, y, 1.0] for x in (columns[0] - 1, columns[-1] + 1) for y in (rows[0] - 1, rows[-1] + 1)]
    )
    points = corners @ cv2.invertAffineTransform(matrix).T
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return FramePatch(
        top=int(np.clip(np.floor(top / 2) * 2, 0, height)),
        bottom=int(np.clip(np.ceil(bottom / 2) * 2 + 2, 0, height)),
        left=int(np.clip(np.floor(left / 2) * 2, 0, width)),
        right=int(np.clip(np.ceil(right / 2) * 2 + 2, 0, width)),
    )


def paste(frame: Bytes, drawn: Floats, matrix: Floats, mask: Floats, ring: Floats) -> None:
    """Paste a drawing into an I420 frame, in place.

    `drawn` float32 RGB 0..255 (side, side, 3); `mask` and `ring` (side, side); `matrix` (2, 3): frame pixels
    -> crop pixels.
    """
    planes = Planes.of(frame)
    height, width = planes.luma.shape
    patch = patch_of(matrix, mask, width, height)
    if patch.bottom - patch.top < 2 or patch.right - patch.left < 2:
        return
    ycc = to_ycc(drawn)
    under = _coarse_crop(frame, matrix, mask.shape[0])
    ycc += light_difference(under, ycc, ring)
    _blend(planes.luma, ycc[..., :1], mask, matrix, patch, 1)
    _blend(planes.cb, ycc[..., 1:2], mask, matrix, patch, 2)
    _blend(planes.cr, ycc[..., 2:], mask, matrix, patch, 2)


def _blend(plane: Bytes, values: Floats, mask: Floats, matrix: Floats, patch: FramePatch, step: int) -> None:
    """Blend into one plane; `step` frame pixels are one pixel of the plane."""
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
    # Where the drawing is not shown the footage stays untouched, whatever its range.
    np.copyto(part, shown, where=share > 0.002)


def _coarse_crop(frame: Bytes, matrix: Floats, side: int) -> Floats:
    """The frame's own Y, Cb, Cr in coarse crop pixels, (side / COARSE, side / COARSE, 3)."""
    planes = Planes.of(frame)
    small = side // COARSE
    scale = side / small
    channels = []
    for plane, step in ((planes.luma, 1), (planes.cb, 2), (planes.cr, 2)):
        # Coarse crop pixels -> the plane's pixels.
        inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
        place = np.empty((2, 3), np.float32)
        place[:, :2] = inverse[:, :2] * scale / step
        middle = inverse[:, :2] @ ((scale - 1) / 2, (scale - 1) / 2) + inverse[:, 2]
        place[:, 2] = (middle - (step - 1) / 2) / step
        reach = max(float(np.hypot(*place[:, 0])), 1.0)
        channels.append(_fetched(plane, place, small, reach))
    return np.dstack(channels)


def _fetched(plane: Bytes, place: Floats, small: int, reach: float) -> Floats:
    """Coarse pixels of a plane, each the mean of four taps within what it covers."""
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


def light_difference(under: Floats, drawn: Floats, ring: Floats) -> Floats:
    """What to add to a drawing (side, side, 3) so that it has the light of the frame: the ring's differences,
    spread smoothly inwards. `under` (side / COARSE, side / COARSE, 3): the frame in coarse crop pixels."""
    small = under.shape[0]
    side = ring.shape[0]
    coarse = cv2.resize(drawn, (small, small), interpolation=cv2.INTER_AREA)
    weight = cv2.resize(ring, (small, small), interpolation=cv2.INTER_AREA)
    gap = np.clip(under - coarse, -_MOST_STEPS, _MOST_STEPS) * weight[..., None]
    sigma = _SPREAD * small
    near = cv2.GaussianBlur(np.dstack([gap, weight]), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    smooth = near[..., :3] / (near[..., 3:] + 1e-3)
    return np.asarray(cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
