"""Which part of a crop is drawn: as far as a lower face can reach, however the head is turned.

What is hidden from the network is what it has to invent, so it is kept small: it goes with the head, and
under the chin it ends where this person's widest open jaw ends. It never goes with the mouth, which would
tell the network what it must not know. It is stored as one row of numbers a frame: how far the lower face
reaches in each of `DIRECTIONS` directions (a support function), of which the convex outline is made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DIRECTIONS = 48
MIDDLE = (0.5, 0.5)
"""What a reach is counted from, in sides of the crop."""
TOP = 0.27
_BOTTOM, _HALF_WIDTH = 0.95, 0.36
"""Nothing above the lip's groove, below the crop or before the ears is drawn: little moves there, and a
border stays visible all around, to go on from."""
_FEATHER = 0.075
_RING = 0.06
_FINE = 4
"""Bits behind the pixel in an outline: it moves smoothly with the head."""

_ANGLES = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
_OUT = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_ALONG = np.stack([-np.sin(_ANGLES), np.cos(_ANGLES)], 1)
_STEP = 2 * np.pi / DIRECTIONS


@dataclass(frozen=True, slots=True)
class Region:
    """All float32 (side, side), of one frame: `mask` how much of the drawing is shown, 0..1; `hidden` 1 where
    the network may not look; `ring` 1 where drawing and footage are compared."""

    mask: Floats
    hidden: Floats
    ring: Floats


def region_of(reach: Floats, side: int) -> Region:
    """The region of one frame. `reach` (DIRECTIONS,) in sides of the crop, from its middle."""
    hidden = _filled(reach, side, 0.0)
    inward = cv2.distanceTransform(hidden, cv2.DIST_L2, 5) * np.float32(1 / (_FEATHER * side))
    ramp = np.clip(inward, 0, 1)
    mask = ramp * ramp * (3 - 2 * ramp)
    ring = _filled(reach, side, _RING) - hidden
    return Region(
        np.asarray(mask, np.float32), hidden.astype(np.float32), np.asarray(ring, np.float32)
    )


def shares_at(spots: Floats, reach: Floats) -> Floats:
    """How much of the drawing is shown at each of some points of a crop, (m,). `spots` (m, 2) and `reach`
    (DIRECTIONS,) in sides of the crop, the reach from its middle."""
    inward = (reach - (spots - MIDDLE) @ _OUT.T).min(1) / _FEATHER
    ramp = np.clip(inward, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def hidden_of(reach: Floats, side: int) -> Floats:
    """`Region.hidden` alone."""
    return _filled(reach, side, 0.0).astype(np.float32)


def _filled(reach: Floats, side: int, wider: float) -> npt.NDArray[np.uint8]:
    """The outline, `wider` sides farther out on every side, filled with ones."""
    far = reach.astype(np.float64) + wider
    # Where the borders of neighbouring half planes meet.
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
