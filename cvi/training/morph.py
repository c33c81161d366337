"""A frame between two that look much alike: both are bent to meet on the way, then mixed.

A mere cross-fade would show two outlines wherever the two differ by more than a pixel. How pixels correspond
is found by dense inverse search (Kroeger et al. 2016).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.neural.colour import split

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_LONGER_PX = 640
"""Correspondences are looked for in pictures whose longer side is at most this."""


class Morph:
    """Holds what finding correspondences needs. One thread."""

    def __init__(self) -> None:
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, before: Bytes, after: Bytes, share: float) -> Bytes:
        """The I420 frame that is `share` of the way from the one to the other."""
        shown = np.empty_like(before)
        one, other = split(before).luma, split(after).luma
        forth, back = self._flow(one, other), self._flow(other, one)
        for plane, source, goal in zip(split(shown), split(before), split(after), strict=True):
            step = one.shape[1] // plane.shape[1]
            left = _bent(source, forth, share, step)
            right = _bent(goal, back, 1 - share, step)
            plane[:] = cv2.addWeighted(left, 1 - share, right, share, 0.0)
        return shown

    def _flow(self, one: Bytes, other: Bytes) -> Floats:
        """Where each pixel of `one` is in `other`, less where it is: (h, w, 2) pixels."""
        height, width = one.shape
        scale = min(1.0, _LONGER_PX / max(height, width))
        size = round(width * scale), round(height * scale)
        small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (one, other)]
        flow = self._search.calc(*small, None)
        large = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large / scale, np.float32)


def _bent(plane: Bytes, flow: Floats, share: float, step: int) -> Bytes:
    """A plane gone `share` of its way; `step` pixels of the flow are one of the plane."""
    height, width = plane.shape
    way = flow if step == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / step
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.asarray(
        cv2.remap(
            plane,
            x - np.float32(share) * way[..., 0],
            y - np.float32(share) * way[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
