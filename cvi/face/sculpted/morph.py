"""Bending baked patches so that their lips or lids coincide before they are blended.

Each patch comes with curves: where the edges of lip or lid run in it. A blend's curves are the weighted
mean of its patches' curves; every patch is bent from its own curves to those, column by column and
piecewise linear between curves. What is then mixed shows the same edges at the same place, so nothing
ghosts, and two lips that touch in all patches touch in the blend.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Map = tuple[Floats, Floats]  # x and y to fetch from, coarse


@dataclass(frozen=True, slots=True)
class Curves:
    """`x` (n, t) and `y` (n, k, t): k curves of n patches at t places along them, pixels in the patch.

    Curves lie one below the other. If `sideways`, x moves too between the second and the last but one;
    else only y does.
    """

    x: Floats
    y: Floats
    sideways: bool


class Morph:
    """Makes the maps that bend one patch towards a target. Stateless after construction."""

    def __init__(self, curves: Curves, width: int, height: int) -> None:
        self._curves = curves
        self._width, self._height = width, height
        # Curves bend slowly along x, sharply along y; between these cells maps are interpolated.
        across, down = max(width // 4, 2), max(height // 3, 2)
        self._grid_x = ((np.arange(across) + 0.5) * (width / across) - 0.5).astype(np.float32)
        self._grid_y = ((np.arange(down) + 0.5) * (height / down) - 0.5).astype(np.float32)

    def maps(self, weights: Floats, patches: list[int]) -> list[Map]:
        """The maps from the blend by `weights` (n,) back into each of `patches`."""
        target_x = np.tensordot(weights, self._curves.x, 1)
        target_y = np.tensordot(weights, self._curves.y, 1)
        x = self._grid_x
        place = np.interp(x, target_x, np.arange(len(target_x))).astype(np.float32)
        reach = np.interp(x, [0, target_x[0], target_x[-1], self._width], [0, 1, 1, 0]).astype(np.float32)
        knots = self._framed(_sample(target_y, place))
        ramps = []
        for high, low in pairwise(knots):
            ramps.append(np.clip((self._grid_y[:, None] - high) / np.maximum(low - high, 1e-3), 0, 1))
        beside = ramps[1] * (1 - ramps[-2]) if self._curves.sideways else None
        made = []
        for patch in patches:
            own = self._framed(_sample(self._curves.y[patch], place))
            own = knots + (own - knots) * reach
            map_y = np.broadcast_to(own[0], ramps[0].shape).copy()
            for ramp, span in zip(ramps, np.diff(own, axis=0), strict=True):
                map_y += ramp * span
            map_x = np.broadcast_to(x, map_y.shape)
            if beside is not None:
                shift = _sample((self._curves.x[patch] - target_x)[None], place)[0] * reach
                map_x = x + beside * shift
            made.append((np.ascontiguousarray(map_x, np.float32), np.ascontiguousarray(map_y, np.float32)))
        return made

    def _framed(self, curves: Floats) -> Floats:
        """Add the patch's top and bottom, which never move."""
        c = curves.shape[1]
        top, bottom = np.full((1, c), -0.5, np.float32), np.full((1, c), self._height - 0.5, np.float32)
        return np.concatenate([top, np.clip(curves, -0.5, self._height - 0.5), bottom])


def fetch(images: Iterable[Bytes], coarse: Map, halved: bool = False) -> list[Bytes]:
    """Images (uint8, one size) bent by a coarse map; `halved` if they are chroma, half the map's size."""
    bent: list[Bytes] = []
    x, y = coarse
    if halved:
        x, y = (x - 0.5) * 0.5, (y - 0.5) * 0.5
    for image in images:
        if not bent:
            size = image.shape[1], image.shape[0]
            x = cv2.resize(x, size, interpolation=cv2.INTER_LINEAR)
            y = cv2.resize(y, size, interpolation=cv2.INTER_LINEAR)
        turned = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        bent.append(np.asarray(turned, np.uint8))
    return bent


def _sample(curves: Floats, place: Floats) -> Floats:
    """Curves (k, t) at fractional indices (c,) -> (k, c)."""
    low = np.minimum(place.astype(np.intp), curves.shape[1] - 2)
    part = (place - low).astype(np.float32)
    return np.asarray(curves[:, low] * (1 - part) + curves[:, low + 1] * part, np.float32)
