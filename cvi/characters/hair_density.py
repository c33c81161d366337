"""Hair as a fog: how many strands fill each cell, for the shadows hair throws on skin and on itself."""

from __future__ import annotations

import math

import numpy as np

from cvi.characters.kernel import Array, kernel

LOW, HIGH = (-1.6, -2.6, -1.6), (1.6, 1.6, 1.6)
CELLS = (72, 96, 72)


def empty_density() -> Array:
    return np.zeros((4, 4, 4))


def hair_density(strands: Array) -> Array:
    """Strands (n, points, 3) -> density on a grid of `CELLS`, 0..5."""
    points = strands.reshape(-1, 3)
    counts, _ = np.histogramdd(points, bins=CELLS, range=list(zip(LOW, HIGH, strict=True)))
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
