"""Warping baked patches so that their lips or lids coincide before they are blended.

Each patch has curves: the edges of lips or lids in it. The curves of a blend are the weighted mean of its
patches' curves; every patch is warped from its own curves to those, column by column and piecewise linearly
between curves. Edges then coincide in what is mixed, so nothing ghosts, and lips that touch in all patches
touch in the blend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.planes import Bytes, Floats, Planes

Map = tuple[Floats, Floats]
"""Where cells are fetched from: x and y, pixels."""
SMOOTH_PX = 5.0  # of 720


@dataclass(frozen=True, slots=True)
class PatchCurves:
    """k curves, one below the other, of n patches at t points along them: `x` (n, t), `y` (n, k, t), patch
    pixels. `sideways`: between the second and the last but one curve x is warped too; else only y is.
    """

    x: Floats
    y: Floats
    sideways: bool


class PatchWarp:
    """Computes the maps that warp patches towards a blend. Stateless after `align`."""

    def __init__(
        self, curves: PatchCurves, width: int, height: int, unit: float, sag: Floats | None = None
    ) -> None:
        """`unit`: pixels for one pixel of a picture 720 high. `sag` (height, width), 0..1: how far skin
        beside the curves follows the lowest of them."""
        self._curves = curves
        self._width, self._height, self._unit = width, height, unit
        # Cells of the maps: curves change slowly along x and sharply along y.
        across, down = (max(round(side / (cell * unit)), 2) for side, cell in ((width, 8), (height, 3)))
        self._grid_x = ((np.arange(across) + 0.5) * (width / across) - 0.5).astype(np.float32)
        self._grid_y = ((np.arange(down) + 0.5) * (height / down) - 0.5).astype(np.float32)
        self._sag = None if sag is None else cv2.resize(sag, (across, down), interpolation=cv2.INTER_AREA)
        self._lowest = curves.y[:, -1, curves.y.shape[2] // 2]
        self._residual: Floats | None = None

    def align(self, images: Sequence[Bytes], references: Sequence[int]) -> None:
        """Find displacements that the curves do not describe, such as a cheek's outline, from the patches.

        `images` (h, w): the patches' luma. Patch k is compared with patch `references[k]`, itself or an
        earlier one, by optical flow after both are warped to the same curves (Kroeger et al. 2016, "Fast
        optical flow using dense inverse search"). About 10 ms a patch.
        """
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        rows, columns = len(self._grid_y), len(self._grid_x)
        found = np.zeros((len(images), rows, columns, 2), np.float32)
        for patch, reference in enumerate(references):
            if patch == reference:
                continue
            weights = np.zeros(len(images), np.float32)
            weights[reference] = 1
            bent = bend(images[patch], self.maps(weights, [patch])[0])
            moved = cv2.GaussianBlur(flow.calc(images[reference], bent, None), (0, 0), SMOOTH_PX * self._unit)
            moved = cv2.resize(moved, (columns, rows), interpolation=cv2.INTER_AREA)
            found[patch] = found[reference] + moved
        # Near the lips the curves are more exact, and at the border nothing may move.
        middle_x, middle_y = self._curves.x.mean(0), self._curves.y[:, 1:-1].mean((0, 1))
        span = float(middle_x[-1] - middle_x[0]) / 2
        away = np.hypot(
            (self._grid_x[None] - float(middle_x.mean())) / (1.3 * span),
            (self._grid_y[:, None] - float(middle_y.mean())) / (0.9 * span),
        )
        edge = np.minimum.outer(_inward(self._grid_y, self._height), _inward(self._grid_x, self._width))
        mask = np.clip(2 * (away - 1), 0, 1) * np.clip(edge / (16 * self._unit), 0, 1)
        self._residual = np.asarray(found * mask[..., None], np.float32)

    def maps(self, weights: Floats, patches: list[int]) -> list[Map]:
        """For each of `patches` the map from the blend by `weights` (n,) into it."""
        curves = self._curves
        target_x = weights @ curves.x
        target_y = (weights @ curves.y.reshape(len(weights), -1)).reshape(curves.y.shape[1:])
        x = self._grid_x
        place = np.interp(x, target_x, np.arange(len(target_x))).astype(np.float32)
        reach = np.interp(x, [0, target_x[0], target_x[-1], self._width], [0, 1, 1, 0]).astype(np.float32)
        knots = self._framed(_sample(target_y, place))
        # ramps (spans, rows, columns): the share of each span between two curves that lies above a cell.
        slope = 1 / np.maximum(np.diff(knots, axis=0), np.float32(1e-3))
        ramps = self._grid_y[None, :, None] * slope[:, None] - (knots[:-1] * slope)[:, None]
        np.clip(ramps, 0, 1, out=ramps)
        beside = ramps[1] * (1 - ramps[-2]) * reach if curves.sideways else None
        shared = None
        if self._residual is not None:
            used = np.flatnonzero(weights > 1e-3)
            shared = np.tensordot(weights[used], self._residual[used], 1)
        made = []
        for patch in patches:
            own = self._framed(_sample(curves.y[patch], place))
            own = knots + (own - knots) * reach
            map_y = np.einsum("src,sc->rc", ramps, np.diff(own, axis=0)) + own[0]
            if self._sag is not None:
                fallen = self._lowest[patch] - float(weights @ self._lowest)
                map_y += fallen * (1 - reach) * self._sag
            if beside is None:
                map_x = np.broadcast_to(x, map_y.shape)
            else:
                map_x = x + beside * _sample((curves.x[patch] - target_x)[None], place)[0]
            if shared is not None and self._residual is not None:
                own_residual = self._residual[patch] - shared
                map_x = map_x + own_residual[..., 0]
                map_y += own_residual[..., 1]
            made.append((np.ascontiguousarray(map_x, np.float32), np.ascontiguousarray(map_y, np.float32)))
        return made

    def gap(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """The two middle curves of the blend by `weights` (n,): x, upper y, lower y, (t,) each."""
        curves, middle = self._curves, self._curves.y.shape[1] // 2
        upper, lower = (weights @ curves.y[:, row] for row in (middle - 1, middle))
        return weights @ curves.x, upper, lower

    def _framed(self, curves: Floats) -> Floats:
        """With the patch's top and bottom, which never move, as first and last curve."""
        c = curves.shape[1]
        top, bottom = np.full((1, c), -0.5, np.float32), np.full((1, c), self._height - 0.5, np.float32)
        return np.concatenate([top, np.clip(curves, -0.5, self._height - 0.5), bottom])


def bend(image: Bytes, coarse: Map) -> Bytes:
    """An image (h, w) or (h, w, c), uint8, fetched through a coarse map."""
    return _fetched(image, spread(coarse, image.shape))


def bend_planes(planes: Planes, coarse: Map) -> Planes:
    """Planes fetched through a coarse map of their luma."""
    full, half = spread(coarse, planes.luma.shape), spread(halved_map(coarse), planes.cb.shape)
    return Planes(_fetched(planes.luma, full), _fetched(planes.cb, half), _fetched(planes.cr, half))


def spread(coarse: Map, shape: tuple[int, ...]) -> Map:
    """A coarse map drawn out to (h, w)."""
    x, y = (cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR) for part in coarse)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def halved_map(coarse: Map) -> Map:
    """What half-size planes are fetched through where the full-size one is fetched through `coarse`."""
    x, y = (part * np.float32(0.5) - np.float32(0.25) for part in coarse)
    return x, y


def _fetched(image: Bytes, places: Map) -> Bytes:
    x, y = places
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _sample(curves: Floats, place: Floats) -> Floats:
    """PatchCurves (k, t) at fractional indices (c,) -> (k, c)."""
    low = np.minimum(place.astype(np.intp), curves.shape[1] - 2)
    part = (place - low).astype(np.float32)
    return np.asarray(curves[:, low] * (1 - part) + curves[:, low + 1] * part, np.float32)


def _inward(place: Floats, size: int) -> Floats:
    """How far places along a side are from its nearer end."""
    return np.asarray(np.minimum(place, size - place), np.float32)
