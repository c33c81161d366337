"""Head, neck and clothes together, and how a ray finds them.

The head is always baked facing the camera; it turns when the live renderer warps the picture.
"""

from __future__ import annotations

import math

from cvi.face.sculpted.bake.distance import bell, capsule, ellipsoid, smooth_max, smooth_min, step
from cvi.face.sculpted.bake.head import head_distance
from cvi.face.sculpted.bake.kernel import CLOTH, SKIN, UNDERSHIRT, Params, kernel


@kernel
def neck(x: float, y: float, z: float, p: Params) -> float:
    """Neck with the two muscles that run from behind the ears to the breastbone."""
    size = p.neck
    d = capsule(x, y, z, 0.0, -0.45, -0.26, 0.0, -1.75, -0.34, 0.285 * size, 0.335 * size)
    muscle = capsule(abs(x), y, z, 0.26 * size, -0.75, -0.16, 0.06, -1.52, 0.0, 0.05, 0.06)
    return smooth_min(d, muscle, 0.14)


@kernel
def clothes(x: float, y: float, z: float, torso: float, p: Params) -> tuple[float, int]:
    """A knitted crew neck, or a blazer over one."""
    hole = math.sqrt(x * x + ((z + 0.20) / 0.92) ** 2) - 0.41 * p.neck
    rise = y - (-1.44 - 0.20 * (z + 0.2) - 0.10 * x * x)
    d = max(torso, -(hole + 0.05)) if rise > -0.03 else torso
    ring = math.sqrt(hole * hole + rise * rise)
    if p.blazer < 0.5:
        return smooth_min(d, ring - 0.075, 0.03), CLOTH
    d = smooth_min(d, ring - 0.06, 0.03)
    opening = abs(x) - max(0.47 * (y + 2.50), 0.0) - 0.02
    if z < -0.25:
        opening = 1.0
    coat = smooth_max(max(torso - 0.045, -(hole - 0.075)), -opening * 0.85, 0.03)
    lapel = 0.20 + 0.10 * step(-2.05, -1.80, y) - 0.09 * bell(y + 1.86, 0.03)
    flap = max(-opening * 0.85, (opening - lapel) * 0.85)
    coat = min(coat, smooth_max(max(torso - 0.078, -(hole - 0.065)), flap, 0.02))
    if coat < d:
        return coat, CLOTH
    return d, UNDERSHIRT


@kernel
def scene_distance(x: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Distance to everything, and the material nearest."""
    d, material = head_distance(x, y, z, p)
    if y >= -0.45:
        return d, material
    throat = neck(x, y, z, p)
    if material == SKIN:
        d = smooth_min(d, throat, 0.07)
    elif throat < d:
        d, material = throat, SKIN
    width = p.torso_width
    torso = capsule(abs(x), y, z, 0.15, -1.72, -0.30, 0.98 * width, -2.0, -0.32, 0.34, 0.38)
    torso = smooth_min(torso, ellipsoid(x, y + 2.6, z + 0.18, 1.18 * width, 1.05, 0.62), 0.3)
    if y < -1.1 and material == SKIN:
        d = smooth_min(d, torso + 0.07, 0.2)
    cloth, kind = clothes(x, y, z, torso, p)
    if cloth < d:
        return cloth, kind
    return d, material


@kernel
def distance_at(x: float, y: float, z: float, p: Params) -> float:
    return scene_distance(x, y, z, p)[0]


@kernel
def normal_at(x: float, y: float, z: float, scale: float, p: Params) -> tuple[float, float, float]:
    """The field's gradient over a neighbourhood of `scale`: a larger one is a softer surface."""
    a = distance_at(x + scale, y - scale, z - scale, p)
    b = distance_at(x - scale, y - scale, z + scale, p)
    c = distance_at(x - scale, y + scale, z - scale, p)
    d = distance_at(x + scale, y + scale, z + scale, p)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    length = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-20)
    return nx * length, ny * length, nz * length


@kernel
def march(
    oy: float, oz: float, dx: float, dy: float, dz: float, near: float, far: float, p: Params
) -> tuple[float, int]:
    """Follow a ray from (0, oy, oz); returns the length to the surface and its material, or (-1, -1)."""
    t = near
    for _ in range(140):
        d, material = scene_distance(dx * t, oy + dy * t, oz + dz * t, p)
        if d < 0.0003 * t:
            return t, material
        t += d * 0.75
        if t > far:
            break
    return -1.0, -1


@kernel
def soft_shadow(
    x: float, y: float, z: float, lx: float, ly: float, lz: float, hardness: float, p: Params
) -> float:
    """How much of a light at direction l reaches a point, 0..1."""
    light, t = 1.0, 0.03
    for _ in range(36):
        d = distance_at(x + lx * t, y + ly * t, z + lz * t, p)
        light = min(light, 0.5 + 0.5 * hardness * d / t)
        if light < 0.0:
            break
        t += min(max(d * 0.8, 0.02), 0.2)
        if t > 3.0:
            break
    light = max(light, 0.0)
    return light * light * (3 - 2 * light)


@kernel
def occlusion(x: float, y: float, z: float, nx: float, ny: float, nz: float, p: Params) -> float:
    """Ambient light that reaches a point: 1 in the open, 0 in a crevice."""
    blocked, weight = 0.0, 1.0
    for i in range(5):
        h = 0.02 + 0.075 * i
        blocked += max(h - distance_at(x + nx * h, y + ny * h, z + nz * h, p), 0.0) * weight
        weight *= 0.75
    return min(max(1 - 1.35 * blocked, 0.0), 1.0)
