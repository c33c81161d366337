"""Compiled functions: their decorator and shared types, primitives of signed distance, and noise.

Distances after I. Quilez, "Distance functions" and "Smooth minimum" (polynomial, quadratic). Noise comes from
integer hashes, so that every machine bakes the same skin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[np.float64]
Colour = tuple[float, float, float]  # linear rgb
Params = Any  # a record of `params.RECORD`; compiled code reads it by attribute

EMPTY, SKIN, EYE, TEETH, TONGUE, CLOTH, METAL, GLASSES, UNDERSHIRT = -1, 0, 1, 2, 3, 5, 6, 7, 8


def kernel(function: Function) -> Function:
    """Compile `function` with numba: fast arithmetic, no GIL, cached on disk.

    The cache of a function is not renewed when one it calls changes in another file: delete
    `__pycache__/*.nb*` then.
    """
    return cast(Function, numba.njit(fastmath=True, cache=True, nogil=True)(function))


@kernel
def smooth_min(a: float, b: float, k: float) -> float:
    """Union of two fields, blended over a width of `k`."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k * 0.25


@kernel
def smooth_max(a: float, b: float, k: float) -> float:
    """Intersection, blended over a width of `k`."""
    return -smooth_min(-a, -b, k)


@kernel
def step(a: float, b: float, x: float) -> float:
    """Smoothstep from 0 at `a` to 1 at `b`; `a` may be above `b`."""
    t = min(max((x - a) / (b - a), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@kernel
def bell(x: float, width: float) -> float:
    """A Gaussian of height one."""
    return math.exp(-((x / width) ** 2))


@kernel
def ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """Distance to an ellipsoid at the origin with radii (a, b, c); exact at the surface."""
    k0 = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    k1 = math.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
    if k1 < 1e-9:
        return -min(a, min(b, c))
    return k0 * (k0 - 1.0) / k1


@kernel
def capsule(
    x: float,
    y: float,
    z: float,
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
    ra: float,
    rb: float,
) -> float:
    """Distance to a capsule from a to b whose radius goes from `ra` to `rb`."""
    px, py, pz = x - ax, y - ay, z - az
    dx, dy, dz = bx - ax, by - ay, bz - az
    h = min(max((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0.0), 1.0)
    return math.sqrt((px - dx * h) ** 2 + (py - dy * h) ** 2 + (pz - dz * h) ** 2) - (ra + (rb - ra) * h)


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
