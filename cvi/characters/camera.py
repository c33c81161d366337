"""The camera, ray-marching a rectangle of its view, and light: lamps, and linear light made display values.

A pixel whose neighbourhood is smooth gets one ray, any other one ray for each of 2 x 2 sub-pixels. Lamps are
key, fill, two rims from behind, sky and ground; directions point from the head outwards. Display values come
by exposure, bloom, tone curve and vignette.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.kernel import EYE, TEETH, TONGUE, Array, Params, hash3, kernel
from cvi.characters.scene import Field, Grid, Kinds, march
from cvi.characters.shade import shade
from cvi.errors import UsageError

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
    (`make_lights`)."""

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


KEY, FILL, RIM, RIM2, AMBIENT, CATCH = range(6)
DEFAULTS: dict[str, Sequence[float]] = {
    "key": (-0.68, 0.60, 0.68),
    "key_colour": (2.15, 1.88, 1.62),
    "fill": (0.8, 0.05, 0.6),
    "fill_colour": (0.26, 0.33, 0.46),
    "rim": (0.75, 0.35, -0.55),
    "rim_colour": (1.5, 1.4, 1.4),
    "rim2": (-0.8, 0.3, -0.6),
    "rim2_colour": (0.7, 0.85, 1.1),
    "sky": (0.42, 0.46, 0.54),
    "ground": (0.30, 0.22, 0.19),
    "catch": (-0.26, 0.38, 0.88),
}


def make_lights(given: Mapping[str, Sequence[float]]) -> Array:
    """Rows (6, 6): direction xyz and colour rgb of KEY, FILL, RIM, RIM2; sky and ground; the catchlight."""
    unknown = set(given) - set(DEFAULTS)
    if unknown:
        raise UsageError(f"There is no lamp named '{unknown.pop()}'.", f"Lamps: {', '.join(DEFAULTS)}.")
    value = {**DEFAULTS, **given}
    lights = np.zeros((6, 6))
    for row, name in enumerate(("key", "fill", "rim", "rim2")):
        lights[row, :3] = _unit(value[name])
        lights[row, 3:] = value[f"{name}_colour"]
    lights[AMBIENT, :3] = value["sky"]
    lights[AMBIENT, 3:] = value["ground"]
    lights[CATCH, :3] = _unit(value["catch"])
    return lights


def _unit(vector: Sequence[float]) -> Array:
    array = np.asarray(vector, dtype=float)
    return np.asarray(array / np.linalg.norm(array))


Image = npt.NDArray[np.float32]
EXPOSURE, BLOOM, VIGNETTE = 0.60, 0.12, 0.22
CRISP = 0.35


def tone(linear: Image) -> Image:
    """Linear rgb (..., 3) -> display rgb 0..1 (Narkowicz's fit of the ACES curve, highlights desaturated)."""
    x = np.maximum(linear * EXPOSURE, 0)
    level = x.mean(-1, keepdims=True)
    bleach = 0.12 * np.clip(level - 0.4, 0, 1)
    x = x * (1 - bleach) + level * bleach
    y = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(y, 0, 1) ** (1 / 2.2), np.float32)


def with_bloom(linear: Image, scale: float = 1.0) -> Image:
    """Add the glow of what is brighter than white; `scale` pixels for one of the 1280 x 720 picture."""
    glow = cv2.GaussianBlur(np.clip(linear - 1.2, 0, 3), (0, 0), HEIGHT_PX * 0.012 * scale)
    return np.asarray(linear + BLOOM * glow, np.float32)


def vignette(rect: Rect, scale: float = 1.0) -> Image:
    """Darkening towards the corners of the whole picture, (h, w, 1)."""
    part = rect.scaled(scale)
    y, x = np.mgrid[part.y0 : part.y1, part.x0 : part.x1].astype(np.float32) / scale
    r = ((x / WIDTH_PX - 0.5) * 1.1) ** 2 + ((y / HEIGHT_PX - 0.48) * 1.1) ** 2
    return np.asarray(1 - 2 * VIGNETTE * r, np.float32)[..., None]


def crisp(shown: Image) -> Image:
    """Display rgb sharpened by an unsharp mask, as cameras do."""
    return np.asarray(shown + CRISP * (shown - cv2.GaussianBlur(shown, (0, 0), 1.1)), np.float32)


def to_display(linear: Image, rect: Rect, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """Linear rgb of a rectangle -> uint8 rgb."""
    shown = crisp(tone(with_bloom(linear, scale)) * vignette(rect, scale))
    return np.asarray(np.clip(shown, 0, 1) * 255 + 0.5, np.uint8)
