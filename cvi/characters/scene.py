"""Everything before the camera as one distance field, the same field sampled on a grid, and the density of
the hair.

The exact field is slow, so it is evaluated only where the grid does not resolve the surface: at lids, lips,
nostrils, hems. Shadows, ambient light and the softened normals of skin always come from the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.characters.garments import body, clothes, neck
from cvi.characters.head import head_distance
from cvi.characters.kernel import CLOTH, SKIN, UNDERSHIRT, Array, Params, kernel, smooth_min

Grid = npt.NDArray[np.float32]
Kinds = npt.NDArray[np.uint8]
ROUGH = 255
CELL = 0.022
LOW = (-1.584, -2.2, -1.1)
NODES = (145, 161, 105)  # one more than a multiple of COARSE
COARSE = 4
Box = Sequence[tuple[float, float]]


@kernel
def scene_distance(x: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Distance to everything, and the material nearest."""
    d, material = head_distance(x, y, z, p)
    if y >= -0.42:
        return d, material
    throat = neck(x, y, z, p)
    if material == SKIN:
        d = smooth_min(d, throat, 0.09)
    elif throat < d:
        d, material = throat, SKIN
    if y > -0.95:
        return d, material
    torso = body(x, y, z, p)
    if material == SKIN:
        d = smooth_min(d, torso, 0.16)
    cloth, kind = clothes(x, y, z, p)
    if cloth < d:
        return cloth, kind
    return d, material


@kernel
def exact_at(x: float, y: float, z: float, p: Params) -> float:
    """`scene_distance` without the material."""
    return scene_distance(x, y, z, p)[0]


@kernel
def _fill(grid: Grid, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], p: Params) -> None:
    """Sample the field on nodes [first, last): exactly near surfaces, interpolated between coarse nodes
    elsewhere."""
    for i in range(first[0], last[0], 4):
        for j in range(first[1], last[1], 4):
            for k in range(first[2], last[2], 4):
                grid[i, j, k] = exact_at(-1.584 + i * 0.022, -2.2 + j * 0.022, -1.1 + k * 0.022, p)
    for i in range(first[0], last[0] - 1, 4):
        for j in range(first[1], last[1] - 1, 4):
            for k in range(first[2], last[2] - 1, 4):
                least = 1e9
                for c in range(8):
                    least = min(least, abs(grid[i + 4 * (c & 1), j + 2 * (c & 2), k + (c & 4)]))
                for a in range(5):
                    for b in range(5):
                        for c in range(5):
                            if a % 4 == 0 and b % 4 == 0 and c % 4 == 0:
                                continue
                            mine = (a < 4 or i + 4 >= last[0] - 1) and (b < 4 or j + 4 >= last[1] - 1)
                            if not mine or (c == 4 and k + 4 < last[2] - 1):
                                continue  # a face shared with the next block
                            if least < 0.17:
                                x, y, z = (i + a) * 0.022, (j + b) * 0.022, (k + c) * 0.022
                                grid[i + a, j + b, k + c] = exact_at(x - 1.584, y - 2.2, z - 1.1, p)
                            else:
                                u, v, w = a / 4, b / 4, c / 4
                                low = (grid[i, j, k] * (1 - u) + grid[i + 4, j, k] * u) * (1 - v)
                                low += (grid[i, j + 4, k] * (1 - u) + grid[i + 4, j + 4, k] * u) * v
                                high = (grid[i, j, k + 4] * (1 - u) + grid[i + 4, j, k + 4] * u) * (1 - v)
                                high += (grid[i, j + 4, k + 4] * (1 - u) + grid[i + 4, j + 4, k + 4] * u) * v
                                grid[i + a, j + b, k + c] = low * (1 - w) + high * w


@kernel
def _classify(
    grid: Grid, kinds: Kinds, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], p: Params
) -> None:
    """Store each surface cell's material, or ROUGH where the grid does not resolve the field."""
    for i in range(first[0], last[0] - 1):
        for j in range(first[1], last[1] - 1):
            for k in range(first[2], last[2] - 1):
                if abs(grid[i, j, k]) > 0.06:
                    kinds[i, j, k] = ROUGH
                    continue
                mean = 0.0
                for c in range(8):
                    mean += grid[i + (c & 1), j + (c >> 1 & 1), k + (c >> 2)] / 8
                x, y, z = (i + 0.5) * 0.022, (j + 0.5) * 0.022, (k + 0.5) * 0.022
                d, material = scene_distance(x - 1.584, y - 2.2, z - 1.1, p)
                plain = abs(d - mean) < 0.0005 and material in (SKIN, CLOTH, UNDERSHIRT)
                corner = 0  # of two materials in one cell the grid would draw a staircase
                while plain and corner < 8:
                    u, v, w = corner & 1, corner >> 1 & 1, corner >> 2
                    x, y, z = (i + u) * 0.022 - 1.584, (j + v) * 0.022 - 2.2, (k + w) * 0.022 - 1.1
                    plain = scene_distance(x, y, z, p)[1] == material
                    corner += 1
                kinds[i, j, k] = material if plain else ROUGH


@dataclass(frozen=True, slots=True)
class Field:
    """The sampled field, and for each cell the material where the samples suffice, else ROUGH."""

    grid: Grid
    kinds: Kinds


def sample_scene(p: Params) -> Field:
    """Sample the whole field of `p`."""
    field = Field(np.zeros(NODES, np.float32), np.full(NODES, ROUGH, np.uint8))
    first, last = np.zeros(3, np.int64), np.array(NODES)
    _fill(field.grid, first, last, p)
    _classify(field.grid, field.kinds, first, last, p)
    return field


def resampled(field: Field, box: Box, p: Params) -> Field:
    """A copy in which the field of `p` is sampled again inside `box` (spans of x, y, z)."""
    low, high = [], []
    for (near, far), start, nodes in zip(box, LOW, NODES, strict=True):
        low.append(max(int((near - start) / CELL) // COARSE * COARSE, 0))
        high.append(min(-(-int((far - start) / CELL) // COARSE) * COARSE + 1, nodes))
    out = Field(field.grid.copy(), field.kinds.copy())
    first, last = np.array(low), np.array(high)
    _fill(out.grid, first, last, p)
    _classify(out.grid, out.kinds, first, last, p)
    return out


@kernel
def distance_at(x: float, y: float, z: float, grid: Grid) -> float:
    """The sampled field, interpolated linearly."""
    u = min(max((x + 1.584) / 0.022, 0.0), 143.999)
    v = min(max((y + 2.2) / 0.022, 0.0), 159.999)
    w = min(max((z + 1.1) / 0.022, 0.0), 103.999)
    i, j, k = int(u), int(v), int(w)
    u -= i
    v -= j
    w -= k
    a = grid[i, j, k] * (1 - w) + grid[i, j, k + 1] * w
    b = grid[i, j + 1, k] * (1 - w) + grid[i, j + 1, k + 1] * w
    c = grid[i + 1, j, k] * (1 - w) + grid[i + 1, j, k + 1] * w
    d = grid[i + 1, j + 1, k] * (1 - w) + grid[i + 1, j + 1, k + 1] * w
    return (a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u  # type: ignore[no-any-return]


@kernel
def soft_normal(x: float, y: float, z: float, scale: float, grid: Grid) -> tuple[float, float, float]:
    """Unit gradient of the sampled field over a neighbourhood of `scale`; a larger one smooths the
    surface."""
    nx = distance_at(x + scale, y, z, grid) - distance_at(x - scale, y, z, grid)
    ny = distance_at(x, y + scale, z, grid) - distance_at(x, y - scale, z, grid)
    nz = distance_at(x, y, z + scale, grid) - distance_at(x, y, z - scale, grid)
    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-20)
    return nx * length, ny * length, nz * length


@kernel
def normal_at(x: float, y: float, z: float, scale: float, p: Params) -> tuple[float, float, float]:
    """Unit gradient of the exact field over `scale`."""
    a = exact_at(x + scale, y - scale, z - scale, p)
    b = exact_at(x - scale, y - scale, z + scale, p)
    c = exact_at(x - scale, y + scale, z - scale, p)
    d = exact_at(x + scale, y + scale, z + scale, p)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-20)
    return nx * length, ny * length, nz * length


@kernel
def march(
    oy: float, oz: float, dx: float, dy: float, dz: float, near: float, far: float,
    p: Params, grid: Grid, kinds: Kinds,
) -> tuple[float, int, bool]:  # fmt: skip
    """Follow a ray from (0, oy, oz).

    Returns the distance to the surface, its material, and whether its cell's samples suffice; (-1, -1, False)
    for a miss.
    """
    t = near
    for _ in range(160):
        x, y, z = dx * t, oy + dy * t, oz + dz * t
        d = distance_at(x, y, z, grid)
        if d > 0.045:
            t += (d - 0.02) * 0.8
        else:
            i = min(max(int((x + 1.584) / 0.022), 0), 143)
            j = min(max(int((y + 2.2) / 0.022), 0), 159)
            k = min(max(int((z + 1.1) / 0.022), 0), 103)
            kind = kinds[i, j, k]
            if kind == ROUGH:
                d, material = scene_distance(x, y, z, p)
                if d < 0.0004 * t:
                    return t, material, False
            elif d < 0.0003 * t:
                return t, int(kind), True
            t += d * 0.8
        if t > far:
            break
    return -1.0, -1, False


@kernel
def soft_shadow(
    x: float, y: float, z: float, lx: float, ly: float, lz: float, hardness: float, grid: Grid
) -> float:
    """How much of a light at direction l reaches a point, 0..1."""
    light, t = 1.0, 0.04
    for _ in range(40):
        if abs(x + lx * t) > 1.55:  # beyond the grid nothing stands in the light
            break
        d = distance_at(x + lx * t, y + ly * t, z + lz * t, grid)
        light = min(light, 0.5 + 0.5 * hardness * d / t)
        if light < 0.0:
            break
        t += min(max(d * 0.8, 0.018), 0.2)
        if t > 2.6:
            break
    light = max(light, 0.0)
    return light * light * (3 - 2 * light)


@kernel
def occlusion(x: float, y: float, z: float, nx: float, ny: float, nz: float, grid: Grid) -> float:
    """Share of the ambient light that reaches a point: 1 in the open, 0 in a crevice."""
    blocked, weight = 0.0, 1.0
    for i in range(5):
        h = 0.02 + 0.075 * i
        blocked += max(h - distance_at(x + nx * h, y + ny * h, z + nz * h, grid), 0.0) * weight
        weight *= 0.75
    return min(max(1 - 1.35 * blocked, 0.0), 1.0)


HAIR_LOW, HAIR_HIGH = (-1.6, -2.6, -1.6), (1.6, 1.6, 1.6)
HAIR_CELLS = (72, 96, 72)


def empty_density() -> Array:
    """The density of no hair: a grid too small to be sampled."""
    return np.zeros((4, 4, 4))


def hair_density(strands: Array) -> Array:
    """Strands (n, points, 3) -> density on a grid of HAIR_CELLS, 0..5."""
    points = strands.reshape(-1, 3)
    counts, _ = np.histogramdd(points, bins=HAIR_CELLS, range=list(zip(HAIR_LOW, HAIR_HIGH, strict=True)))
    density = _blur3(counts)
    level = np.percentile(density[density > density.max() * 0.02], 85)
    return np.asarray(np.clip(density / level * 2.6, 0, 5))


def _blur3(grid: Array) -> Array:
    taps = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    taps /= taps.sum()
    for axis in range(3):
        padded = np.pad(grid, [(3, 3) if k == axis else (0, 0) for k in range(3)])
        grid = sum(
            tap * np.take(padded, np.arange(k, k + grid.shape[axis]), axis) for k, tap in enumerate(taps)
        )
    return grid


@kernel
def density_at(grid: Array, x: float, y: float, z: float) -> float:
    """Trilinear sample; zero outside the grid."""
    n0, n1, n2 = grid.shape
    u = (x + 1.6) / 3.2 * (n0 - 1)
    v = (y + 2.6) / 4.2 * (n1 - 1)
    w = (z + 1.6) / 3.2 * (n2 - 1)
    if u < 0 or v < 0 or w < 0 or u >= n0 - 1 or v >= n1 - 1 or w >= n2 - 1:
        return 0.0
    i, j, k = int(u), int(v), int(w)
    u -= i
    v -= j
    w -= k
    low = (grid[i, j, k] * (1 - u) + grid[i + 1, j, k] * u) * (1 - v)
    low += (grid[i, j + 1, k] * (1 - u) + grid[i + 1, j + 1, k] * u) * v
    high = (grid[i, j, k + 1] * (1 - u) + grid[i + 1, j, k + 1] * u) * (1 - v)
    high += (grid[i, j + 1, k + 1] * (1 - u) + grid[i + 1, j + 1, k + 1] * u) * v
    return low * (1 - w) + high * w  # type: ignore[no-any-return]


@kernel
def transmittance(
    grid: Array, x: float, y: float, z: float, dx: float, dy: float, dz: float, thick: float, start: float
) -> float:
    """Light left after 0.9 units of hair in direction d; `start` 0..1 shifts the first step."""
    if grid.shape[0] < 8:
        return 1.0
    total, t = 0.0, 0.03 + start * 0.05
    for _ in range(18):
        total += density_at(grid, x + dx * t, y + dy * t, z + dz * t) * 0.05
        t += 0.05
    return math.exp(-thick * total)


@kernel
def through(
    grid: Array, x: float, y: float, z: float, dx: float, dy: float, dz: float, thick: float, steps: int,
    stride: float,
) -> float:  # fmt: skip
    """Light left after `steps` steps of `stride` from a point on a strand in direction d."""
    if grid.shape[0] < 8:
        return 1.0
    total, t = 0.0, 0.02
    for _ in range(steps):
        total += stride * density_at(grid, x + dx * t, y + dy * t, z + dz * t)
        t += stride
    return math.exp(-thick * total)
