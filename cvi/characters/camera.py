"""The camera, and ray-marching a rectangle of its view.

A pixel whose neighbourhood is smooth gets one ray, any other one ray for each of 2 x 2 sub-pixels.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cvi.characters.kernel import EYE, TEETH, TONGUE, Array, Params, hash3, kernel
from cvi.characters.scene import Field, Grid, Kinds, march
from cvi.characters.shade import shade

DISTANCE, HEIGHT = 7.2, -0.22  # of the camera, head units: before the head, and up from its middle
WIDTH_PX, HEIGHT_PX = 1280, 720
FOCAL_PX = 2.25 * HEIGHT_PX
FAR = 1e9


@dataclass(frozen=True, slots=True)
class Rect:
    """Pixels [x0, x1) x [y0, y1) of the 1280 x 720 picture."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns of the rectangle."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows of the rectangle."""
        return self.y1 - self.y0

    def scaled(self, scale: float) -> Rect:
        """The same rectangle in a picture `scale` times as large."""
        return Rect(*(round(side * scale) for side in (self.x0, self.y0, self.x1, self.y1)))


@dataclass(frozen=True, slots=True)
class PosedScene:
    """One pose before the camera: parameters, distance field, density of the hair, lamps
    (`lighting.make_lights`)."""

    p: Params
    field: Field
    hair: Array
    lights: Array


def project(points: Array) -> tuple[Array, Array, Array]:
    """Points (..., 3) -> pixel x, pixel y, distance along the view axis."""
    depth = DISTANCE - points[..., 2]
    x = WIDTH_PX / 2 + FOCAL_PX * points[..., 0] / depth
    y = HEIGHT_PX / 2 - FOCAL_PX * (points[..., 1] - HEIGHT) / depth
    return x, y, depth


@kernel
def _trace(
    px: float, py: float, seed: int, p: Params, grid: Grid, kinds: Kinds, hair: Array, lights: Array
) -> tuple[float, float, float, float, int]:
    dx, dy = (px - 640.0) / 1620.0, -(py - 360.0) / 1620.0
    scale = 1 / math.sqrt(dx * dx + dy * dy + 1)
    dx, dy, dz = dx * scale, dy * scale, -scale
    t, material, plain = march(-0.22, 7.2, dx, dy, dz, 6.0, 8.4, p, grid, kinds)
    if t < 0:
        return 0.0, 0.0, 0.0, 1e9, -1
    if p.eye_mode >= 2.0 and material != EYE:
        return 0.0, 0.0, 0.0, -t * dz, material  # only the eyeballs are wanted
    start = 0.25 + 0.5 * hash3(int(px * 8), int(py * 8), seed)
    x, y, z = dx * t, -0.22 + dy * t, 7.2 + dz * t
    r, g, b = shade(x, y, z, dx, dy, dz, material, plain, p, grid, hair, lights, start)
    return r, g, b, -t * dz, material


@kernel
def _coarse_rows(
    colour: Array, depth: Array, material: Array, first: int, every: int, x0: int, y0: int, pitch: float,
    p: Params, grid: Grid, kinds: Kinds, hair: Array, lights: Array,
) -> None:  # fmt: skip
    height, width = depth.shape
    for j in range(first, height, every):
        for i in range(width):
            r, g, b, z, m = _trace(
                x0 + (i + 0.5) * pitch, y0 + (j + 0.5) * pitch, 1, p, grid, kinds, hair, lights
            )
            colour[j, i, 0], colour[j, i, 1], colour[j, i, 2] = r, g, b
            depth[j, i] = z
            material[j, i] = m


@kernel
def _fine_rows(
    colour: Array, depth: Array, material: Array, fine: Array, fine_depth: Array,
    first: int, every: int, x0: int, y0: int, pitch: float,
    p: Params, grid: Grid, kinds: Kinds, hair: Array, lights: Array,
) -> None:  # fmt: skip
    height, width = depth.shape
    for j in range(first, height, every):
        for i in range(width):
            m = material[j, i]
            rough = m in (EYE, TEETH, TONGUE)
            here = colour[j, i, 0] + colour[j, i, 1] + colour[j, i, 2] + 0.02
            for v in range(max(j - 1, 0), min(j + 2, height)):
                for u in range(max(i - 1, 0), min(i + 2, width)):
                    there = colour[v, u, 0] + colour[v, u, 1] + colour[v, u, 2] + 0.02
                    if material[v, u] != m or there > here * 1.20 or there < here * 0.83:
                        rough = True
            for v in range(2):
                for u in range(2):
                    y, x = 2 * j + v, 2 * i + u
                    if rough:
                        r, g, b, z, n = _trace(
                            x0 + (i + 0.25 + 0.5 * u) * pitch, y0 + (j + 0.25 + 0.5 * v) * pitch, 1,
                            p, grid, kinds, hair, lights,
                        )  # fmt: skip
                    else:
                        r, g, b, z, n = colour[j, i, 0], colour[j, i, 1], colour[j, i, 2], depth[j, i], m
                    fine[y, x, 0], fine[y, x, 1], fine[y, x, 2] = r, g, b
                    fine[y, x, 3] = 1.0 if n >= 0 else 0.0
                    fine_depth[y, x] = z


def render_rectangle(scene: PosedScene, rect: Rect, threads: int, scale: float = 1.0) -> tuple[Array, Array]:
    """Ray-march a rectangle at 2 x 2 samples a pixel, `scale` output pixels for one of the 1280 x 720
    picture.

    Returns linear premultiplied RGBA (2h, 2w, 4) and view distance (2h, 2w), FAR where nothing is.
    """
    h, w = round(rect.height * scale), round(rect.width * scale)
    colour, depth, material = np.zeros((h, w, 3)), np.full((h, w), FAR), np.full((h, w), -1.0)
    fine, fine_depth = np.zeros((2 * h, 2 * w, 4)), np.full((2 * h, 2 * w), FAR)
    lanes = max(1, min(threads, os.cpu_count() or 1))
    grid, kinds = scene.field.grid, scene.field.kinds
    seen = rect.x0, rect.y0, 1.0 / scale, scene.p, grid, kinds, scene.hair, scene.lights

    def coarse(lane: int) -> None:
        _coarse_rows(colour, depth, material, lane, lanes, *seen)

    def refine(lane: int) -> None:
        _fine_rows(colour, depth, material, fine, fine_depth, lane, lanes, *seen)

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(coarse, range(lanes)))
        list(pool.map(refine, range(lanes)))
    return fine, fine_depth
