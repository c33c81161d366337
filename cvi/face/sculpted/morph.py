"""Bending baked patches so that their lips or lids coincide before they are blended.

Each patch comes with curves: where the edges of lip or lid run in it. A blend's curves are the weighted
mean of its patches' curves; every patch is bent from its own curves to those, column by column and
piecewise linear between curves. What is then mixed shows the same edges at the same place, so nothing
ghosts, and two lips that touch in all patches touch in the blend.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


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
    """Makes the maps (for `cv2.remap`) that bend one patch towards a target. Stateless after construction."""

    def __init__(self, curves: Curves, width: int, height: int) -> None:
        self._curves = curves
        self._width, self._height = width, height
        # Curves bend slowly along x, sharply along y; between these cells maps are interpolated.
        across, down = max(width // 4, 2), max(height // 2, 2)
        self._grid_x = ((np.arange(across, dtype=np.float32) + 0.5) * (width / across) - 0.5).astype(np.float32)
        self._grid_y = ((np.arange(down, dtype=np.float32) + 0.5) * (height / down) - 0.5).astype(np.float32)

    def maps(self, weights: Floats, patches: list[int]) -> list[tuple[Floats, Floats]]:
        """Coarse maps (x, y) from the blend by `weights` (n,) back into each of `patches`."""
        target_x = np.tensordot(weights, self._curves.x, 1)
        target_y = np.tensordot(weights, self._curves.y, 1)
        x = self._grid_x
        place = np.interp(x, target_x, np.arange(len(target_x), dtype=np.float32))
        reach = np.interp(x, [0, target_x[0], target_x[-1], self._width], [0, 1, 1, 0]).astype(np.float32)
        knots = self._framed(_sample(target_y, place))
        lengths = np.maximum(np.diff(knots, axis=0), 1e-3)
        ramps = np.clip((self._grid_y[None, :, None] - knots[:-1, None, :]) / lengths[:, None, :], 0, 1)
        beside = ramps[1] * (1 - ramps[-2]) if self._curves.sideways else None
        return [self._map(patch, target_x, place, reach, knots, ramps, beside) for patch in patches]

    def _map(
        self, patch: int, target_x: Floats, place: Floats, reach: Floats, knots: Floats, ramps: Floats,
        beside: Floats | None,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        own = self._framed(_sample(self._curves.y[patch], place))
        own = knots + (own - knots) * reach
        y = own[0] + np.einsum("krc,kc->rc", ramps, np.diff(own, axis=0))
        if beside is None:
            x = np.broadcast_to(self._grid_x, y.shape)
        else:
            shift = _sample((self._curves.x[patch] - target_x)[None], place)[0] * reach
            x = self._grid_x + beside * shift
        return np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32)

    def _framed(self, curves: Floats) -> Floats:
        """Add the patch's top and bottom, which never move, and keep the order."""
        c = curves.shape[1]
        top, bottom = np.full((1, c), -0.5, np.float32), np.full((1, c), self._height - 0.5, np.float32)
        return np.asarray(np.concatenate([top, np.clip(curves, -0.5, self._height - 0.5), bottom]))

    def bend(self, image: npt.NDArray[np.generic], maps: tuple[Floats, Floats]) -> npt.NDArray[np.generic]:
        """Bend an image of the patch's size, or of half that (chroma)."""
        h, w = image.shape[:2]
        x, y = (cv2.resize(m, (w, h), interpolation=cv2.INTER_LINEAR) for m in maps)
        if w < self._width:
            x, y = (x - 0.5) / 2, (y - 0.5) / 2
        return np.asarray(
            cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        )


def _sample(curves: Floats, place: Floats) -> Floats:
    """Curves (k, t) at fractional indices (c,) -> (k, c)."""
    low = np.minimum(place.astype(np.intp), curves.shape[1] - 2)
    part = place - low
    return np.asarray(curves[:, low] * (1 - part) + curves[:, low + 1] * part, np.float32)
