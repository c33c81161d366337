"""Primitives of signed distance: ellipsoids, capsules and their smooth unions.

After I. Quilez, "Distance functions" and "Smooth minimum" (polynomial, quadratic).
"""

from __future__ import annotations

import math

from cvi.characters.kernel import kernel


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
