"""The one camera, and the ray-marched picture of a rectangle of its view.

Where a pixel looks smooth it gets one ray; where it does not, one for each of 2 x 2 sub-pixels.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cvi.face.sculpted.bake.kernel import EYE, TEETH, TONGUE, Array, Params, kernel
from cvi.face.sculpted.bake.noise import hash3
from cvi.face.sculpted.bake.scene import march
from cvi.face.sculpted.bake.shade import shade

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
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


def project(points: Array) -> tuple[Array, Array, Array]:
    """Points (..., 3) -> pixel x, pixel y, distance along the view axis."""
    depth = DISTANCE - points[..., 2]
    x = WIDTH_PX / 2 + FOCAL_PX * points[..., 0] / depth
    y = HEIGHT_PX / 2 - FOCAL_PX * (points[..., 1] - HEIGHT) / depth
    return x, y, depth


@kernel
def _trace(
    px: float, py: float, seed: int, p: Params, hair: Array, lights: Array
) -> tuple[float, float, float, float, int]:
    dx, dy = (px - 640.0) / 1620.0, -(py - 360.0) / 1620.0
    scale = 1 / math.sqrt(dx * dx + dy * dy + 1)
    dx, dy, dz = dx * scale, dy * scale, -scale
    t, material = march(-0.22, 7.2, dx, dy, dz, 5.6, 8.7, p)
    if t < 0:
        return 0.0, 0.0, 0.0, 1e9, -1
    start = 0.25 + 0.5 * hash3(int(px * 8), int(py * 8), seed)
    x, y, z = dx * t, -0.22 + dy * t, 7.2 + dz * t
    r, g, b = shade(x, y, z, dx, dy, dz, material, p, hair, lights, start)
    return r, g, b, -t * dz, material


@kernel
def _coarse_rows(
    colour: Array, depth: Array, material: Array, first: int, every: int, x0: int, y0: int,
    p: Params, hair: Array, lights: Array,
) -> None:  # fmt: skip
    height, width = depth.shape
    for j in range(first, height, every):
        for i in range(width):
            r, g, b, z, m = _trace(x0 + i + 0.5, y0 + j + 0.5, 1, p, hair, lights)
            colour[j, i, 0], colour[j, i, 1], colour[j, i, 2] = r, g, b
            depth[j, i] = z
            material[j, i] = m


@kernel
def _fine_rows(
    colour: Array, depth: Array, material: Array, fine: Array, fine_depth: Array, fine_material: Array,
    first: int, every: int, x0: int, y0: int, p: Params, hair: Array, lights: Array,
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
                    if material[v, u] != m or there > here * 1.12 or there < here * 0.88:
                        rough = True
            for v in range(2):
                for u in range(2):
                    y, x = 2 * j + v, 2 * i + u
                    if rough:
                        r, g, b, z, n = _trace(
                            x0 + i + 0.25 + 0.5 * u, y0 + j + 0.25 + 0.5 * v, 1, p, hair, lights
                        )
                    else:
                        r, g, b, z, n = colour[j, i, 0], colour[j, i, 1], colour[j, i, 2], depth[j, i], m
                    fine[y, x, 0], fine[y, x, 1], fine[y, x, 2] = r, g, b
                    fine[y, x, 3] = 1.0 if n >= 0 else 0.0
                    fine_depth[y, x] = z
                    fine_material[y, x] = n


def photograph(p: Params, hair: Array, lights: Array, rect: Rect, threads: int) -> tuple[Array, Array, Array]:
    """March the rectangle at 2 x 2.

    Returns linear premultiplied RGBA (2h, 2w, 4), view distance (2h, 2w; FAR where nothing is) and
    material (2h, 2w).
    """
    h, w = rect.height, rect.width
    colour, depth, material = np.zeros((h, w, 3)), np.full((h, w), FAR), np.full((h, w), -1.0)
    fine, fine_depth = np.zeros((2 * h, 2 * w, 4)), np.full((2 * h, 2 * w), FAR)
    fine_material = np.full((2 * h, 2 * w), -1.0)
    lanes = max(1, min(threads, os.cpu_count() or 1))

    def coarse(lane: int) -> None:
        _coarse_rows(colour, depth, material, lane, lanes, rect.x0, rect.y0, p, hair, lights)

    def refine(lane: int) -> None:
        _fine_rows(
            colour,
            depth,
            material,
            fine,
            fine_depth,
            fine_material,
            lane,
            lanes,
            rect.x0,
            rect.y0,
            p,
            hair,
            lights,
        )

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(coarse, range(lanes)))
        list(pool.map(refine, range(lanes)))
    return fine, fine_depth, fine_material
