"""Augmentation: one frame's face with another frame's mouth, as a picture to learn from.

In most footage the face around a mouth predicts it: heads that listen have closed lips, and a network that
only saw such heads with such lips draws them half shut for any mouth. So the lower face of a frame with
almost the same head pose is warped into another: where that lower face lies in each follows from the poses
alone, and between two such near poses it is an affine map.
"""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.neural.compose import COARSE, drawn_region, light_difference
from cvi.training.arrays import Floats
from cvi.training.footage.preparation import PreparedFootage

_NEAREST = 24
"""Donors are drawn from this many frames, those with the most similar head pose."""
_APART_S = 0.3
"""Donors nearer in time than this have the same mouth."""


class MouthSwaps:
    """Swaps between the training frames of one prepared footage."""

    def __init__(self, prepared: PreparedFootage) -> None:
        self._prepared = prepared
        self._frames = np.flatnonzero(prepared.train)
        places = prepared.usual_lower_face[self._frames]
        self._flat = np.ascontiguousarray(places.reshape(len(places), -1))
        self._apart = max(1, round(_APART_S * prepared.fps))

    def donor(self, frame: int, rng: np.random.Generator) -> int:
        """A frame of another moment with about the head pose of `frame`; `frame` itself where there is
        none."""
        distance = np.square(self._flat - self._prepared.usual_lower_face[frame].reshape(-1)).sum(1)
        distance[np.abs(self._frames - frame) < self._apart] = np.inf
        near = np.argpartition(distance, min(_NEAREST, len(distance) - 1))[:_NEAREST]
        near = near[np.isfinite(distance[near])]
        return int(self._frames[rng.choice(near)]) if len(near) else frame

    def picture(self, frame: int, donor: int) -> tuple[Floats, Floats]:
        """The donor's lower face in the crop of `frame`, in its light: float32 RGB 0..255 (side, side, 3);
        and how much each of its pixels is to count, 0..1 (side, side)."""
        prepared, side = self._prepared, self._prepared.side
        source = prepared.usual_lower_face[donor]
        source = np.hstack([source, np.ones((len(source), 1), np.float32)])
        affine = np.linalg.lstsq(source, prepared.usual_lower_face[frame], rcond=None)[0].T
        warped = cv2.warpAffine(
            np.ascontiguousarray(prepared.crops[donor]),
            affine.astype(np.float64),
            (side, side),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        region = drawn_region(prepared.reach[frame], side)
        coarse = (side // COARSE, side // COARSE)
        target = cv2.resize(prepared.crops[frame].astype(np.float32), coarse, interpolation=cv2.INTER_AREA)
        lit = warped + light_difference(np.asarray(target, np.float32), warped, region.ring)
        return np.asarray(np.clip(lit, 0, 255), np.float32), region.mask
