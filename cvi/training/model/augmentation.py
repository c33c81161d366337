"""One frame's face with another frame's mouth, as a picture to learn from.

In most footage what surrounds a mouth gives it away: heads that listen have closed lips, and a network that
was only shown such heads with such lips draws them half shut for ever. So the lower face of a frame in which
the head stands almost alike is laid into another: where that lower face would stand there is known from the
poses alone, and between two poses so near it is an affine map.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.neural.compose import COARSE, drawn_region, light_difference
from cvi.training.footage.preparation import PreparedFootage

Floats = npt.NDArray[np.float32]

_NEAREST = 24
"""Donors are drawn from so many frames whose heads stand most alike."""
_APART_S = 0.3
"""Donors nearer in time than this have the same mouth."""


class MouthSwaps:
    """Pictures of one prepared footage; only frames that train give and take."""

    def __init__(self, prepared: PreparedFootage) -> None:
        self._prepared = prepared
        self._frames = np.flatnonzero(prepared.train)
        stands = prepared.stands[self._frames]
        self._flat = np.ascontiguousarray(stands.reshape(len(stands), -1))
        self._apart = max(1, round(_APART_S * prepared.fps))

    def donor(self, frame: int, dice: np.random.Generator) -> int:
        """A frame of another moment whose head stands as in `frame`; `frame` itself where there is none."""
        off = np.square(self._flat - self._prepared.stands[frame].reshape(-1)).sum(1)
        off[np.abs(self._frames - frame) < self._apart] = np.inf
        near = np.argpartition(off, min(_NEAREST, len(off) - 1))[:_NEAREST]
        near = near[np.isfinite(off[near])]
        return int(self._frames[dice.choice(near)]) if len(near) else frame

    def picture(self, frame: int, donor: int) -> tuple[Floats, Floats]:
        """The donor's lower face in the crop of `frame`, in its light: float32 RGB 0..255 (side, side, 3);
        and how much of it to believe, 0..1 (side, side)."""
        prepared = self._prepared
        side = prepared.side
        there = np.hstack([prepared.stands[donor], np.ones((prepared.stands.shape[1], 1), np.float32)])
        place = np.linalg.lstsq(there, prepared.stands[frame], rcond=None)[0].T
        moved = cv2.warpAffine(
            np.ascontiguousarray(prepared.crops[donor]),
            place.astype(np.float64),
            (side, side),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        region = drawn_region(prepared.reach[frame], side)
        small = (side // COARSE, side // COARSE)
        under = cv2.resize(prepared.crops[frame].astype(np.float32), small, interpolation=cv2.INTER_AREA)
        lit = moved + light_difference(np.asarray(under, np.float32), moved, region.ring)
        return np.asarray(np.clip(lit, 0, 255), np.float32), region.mask
