"""Value noise from integer hashes, so that every machine bakes the same skin."""

from __future__ import annotations

import math

from cvi.characters.kernel import kernel


@kernel
def hash3(x: int, y: int, z: int) -> float:
    """A number in [0, 1) for a lattice point."""
    h = (x * 374761393 + y * 668265263 + z * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1103515245) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@kernel
def noise3(x: float, y: float, z: float) -> float:
    """Smooth value noise in [0, 1) with one bump a unit."""
    ix, iy, iz = math.floor(x), math.floor(y), math.floor(z)
    fx, fy, fz = x - ix, y - iy, z - iz
    fx = fx * fx * (3 - 2 * fx)
    fy = fy * fy * (3 - 2 * fy)
    fz = fz * fz * (3 - 2 * fz)
    total = 0.0
    for i in range(2):
        wx = fx if i else 1 - fx
        for j in range(2):
            wy = fy if j else 1 - fy
            for k in range(2):
                wz = fz if k else 1 - fz
                total += hash3(ix + i, iy + j, iz + k) * wx * wy * wz
    return total
