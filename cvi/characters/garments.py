"""Neck, shoulders and clothes."""

from __future__ import annotations

import math

from cvi.characters.kernel import (
    CLOTH,
    UNDERSHIRT,
    Params,
    bell,
    capsule,
    ellipsoid,
    kernel,
    smooth_max,
    smooth_min,
    step,
)

GARMENTS = ("crew", "blazer", "shirt", "v-neck", "hoodie", "turtleneck", "blouse", "blazer over shirt")
"""Names of the values of the shape parameter `garment`."""
CREW, BLAZER, SHIRT, VNECK, HOODIE, TURTLENECK, BLOUSE, SUIT = range(8)


@kernel
def neck_tube(x: float, y: float, z: float, p: Params) -> float:
    """Distance to the neck without its muscles, on which collars lie."""
    size = 0.345 * p.neck
    lean = 0.22 + 0.07 * (-0.5 - y)
    wide = size * (1.0 + 0.10 * step(-1.25, -1.75, y) - 0.04 * bell(y + 1.1, 0.25))
    return float((math.sqrt(x * x + ((z + lean) * 1.03) ** 2) - wide) * 0.97)


@kernel
def neck(x: float, y: float, z: float, p: Params) -> float:
    """Distance to the neck with the two muscles from behind the ears to the breastbone, and the larynx."""
    ax = abs(x)
    d = smooth_max(neck_tube(x, y, z, p), y + 0.35, 0.1)
    if int(p.garment + 0.5) == TURTLENECK:
        return d  # sinews would show through the cloth
    clear, size = p.sinew, p.neck
    muscle = capsule(
        ax, y, z, 0.37 * size, -0.55, -0.22, 0.085, -1.60, 0.085, 0.060 + 0.02 * clear, 0.045 + 0.02 * clear
    )
    d = smooth_min(d, muscle, 0.12)
    pit = bell(x, 0.07) * bell(y + 1.60, 0.09) * step(-0.05, 0.05, z)
    d += 0.03 * clear * pit
    if p.adam > 0.0:
        d = smooth_min(d, ellipsoid(x, y + 1.19, z - 0.075 * size, 0.07, 0.10, 0.07), 0.05 + 0.08 * p.adam)
    return d


@kernel
def shoulders(x: float, y: float, z: float, p: Params) -> float:
    """Distance to shoulders and chest without collarbones."""
    ax, width = math.sqrt(x * x + 0.0025), p.torso_width
    top = -1.66 - 0.20 * p.shoulder_slope
    d = capsule(ax, y, z, 0.10, -1.98, -0.24, 1.02 * width, top - 0.33, -0.30, 0.33, 0.33)
    d = smooth_min(d, ellipsoid(x, y + 2.6, z + 0.16, 1.16 * width, 1.02, 0.60), 0.3)
    trapezius = capsule(ax, y, z, 0.12, -1.12, -0.46, 0.90 * width, top - 0.13, -0.36, 0.14, 0.19)
    return smooth_min(d, trapezius, 0.26)


@kernel
def body(x: float, y: float, z: float, p: Params) -> float:
    """Distance to shoulders and chest with collarbones."""
    ax, top = math.sqrt(x * x + 0.0025), -1.66 - 0.20 * p.shoulder_slope
    bone = capsule(ax, y, z, 0.10, -1.665, 0.10, 0.80 * p.torso_width, top + 0.06, -0.10, 0.030, 0.035)
    return smooth_min(shoulders(x, y, z, p), bone, 0.05 + 0.09 * p.sinew)


@kernel
def _collar_top(z: float) -> float:
    return -1.30 - 0.17 * step(-0.30, 0.20, z)


@kernel
def _collar(x: float, y: float, z: float, torso: float, p: Params) -> float:
    """A shirt's collar: a band round the neck and a leaf folded over the shirt, open in front."""
    around = neck_tube(x, y, z, p)
    ax, front = abs(x), step(-0.30, 0.20, z)
    top = _collar_top(z)
    leaf = abs(torso - 0.075 - 0.10 * max(top - y, 0.0)) - 0.013
    point = -1.55 - 0.22 * front * bell(ax - 0.22, 0.15)
    reach = 0.17 + 0.16 * front  # off the neck
    leaf = smooth_max(leaf, max(max(y - top, point - y), around - reach), 0.015)
    gap = 0.03 + 0.36 * max(top - y, 0.0)
    leaf = smooth_max(leaf, min((gap - ax) * 0.9, z + 0.1) if z > -0.1 else -1.0, 0.015)
    band = smooth_max(abs(around - 0.04) - 0.012, max(y - top - 0.01, -1.50 - y), 0.01)
    band = smooth_max(band, gap * 0.55 - ax, 0.01) if z > -0.1 else band
    return min(leaf, band)


@kernel
def _neckline(x: float, y: float, z: float, p: Params) -> float:
    """Distance to a garment's opening for neck and chest, negative inside."""
    kind = int(p.garment + 0.5)
    if kind == BLOUSE:
        return math.sqrt(0.42 * x * x + (z + 0.10) ** 2) - 0.47
    edge = -1.46 - 0.40 * (z + 0.2)
    if kind == BLAZER:
        edge = -1.42 - 0.32 * (z + 0.2)
    hole = (edge - y) * 0.9
    if kind in (SHIRT, SUIT):  # up to the collar's band all round, so that no shoulder shows beside it
        hole = min(neck_tube(x, y, z, p) - 0.02, (_collar_top(z) - 0.02 - y) * 0.9)
    if kind in (VNECK, SHIRT) and z > -0.15:
        ax = math.sqrt(x * x + 0.0004)
        hole = min(hole, (ax - (0.62 * (y + 1.98) if kind == VNECK else 0.17 * (y + 1.92))) * 0.85)
    return hole


@kernel
def worn_on(x: float, y: float, z: float, p: Params) -> float:
    """Distance to neck and shoulders without muscles, as cloth lies over them."""
    return smooth_min(neck_tube(x, y, z, p), shoulders(x, y, z, p), 0.26)


@kernel
def clothes(x: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Distance to the garment, and the material there."""
    kind = int(p.garment + 0.5)
    hole, torso = _neckline(x, y, z, p), worn_on(x, y, z, p)
    over = torso - 0.045
    d = smooth_max(over, -hole, 0.02)
    if kind in (SHIRT, SUIT):
        d = min(d, _collar(x, y, z, torso, p))
        placket = max(abs(abs(x) - 0.045) - 0.004, abs(torso - 0.046) - 0.006)
        d = smooth_min(d, max(placket, y + 1.70), 0.012) if z > 0 else d
    elif kind == TURTLENECK:
        tube = neck_tube(x, y, z, p)
        top = -1.275 + 0.06 * step(0.1, -0.3, z)
        roll = smooth_max(tube - 0.045 - 0.030 * bell(y + 1.36, 0.07), y - top, 0.05)
        d = smooth_min(over, roll, 0.10)
    elif kind == HOODIE:
        d = min(d, math.sqrt(hole * hole + (torso - 0.03) ** 2) - 0.032)
        around = math.sqrt(x * x + (z + 0.24) ** 2) - 0.56 * p.neck
        lift = y + 1.43 + 0.42 * (z + 0.2)
        hood = math.sqrt(around * around * 0.7 + lift * lift) - 0.095 * step(0.40, -0.05, z) - 0.025
        d = smooth_min(d, hood, 0.10)
        cord = math.sqrt((abs(x) - 0.16 - 0.1 * (y + 1.8)) ** 2 + (torso - 0.06) ** 2) - 0.013
        d = min(d, max(cord, y + 1.66)) if z > 0 else d
    elif kind == BLOUSE:
        d = smooth_min(d, math.sqrt(hole * hole + (torso - 0.04) ** 2) - 0.014, 0.012)
    else:
        rim = math.sqrt(hole * hole + ((torso - 0.036) * 0.9) ** 2) - 0.034
        d = smooth_min(d, rim, 0.012)
    if kind not in (BLAZER, SUIT):
        return d, CLOTH
    opening = abs(x) - max(0.47 * (y + 2.42), 0.0) - 0.02
    if z < -0.25:
        opening = 1.0
    behind = (-1.30 - 0.5 * (z + 0.2) - y) * 0.9
    coat = smooth_max(smooth_max(torso - 0.080, -behind, 0.02), -opening * 0.85, 0.03)
    lapel = 0.19 + 0.10 * step(-2.05, -1.80, y) - 0.09 * bell(y + 1.74, 0.03)
    flap = max(-opening * 0.85, (opening - lapel) * 0.85)
    coat = min(coat, smooth_max(max(torso - 0.110, -behind - 0.02), flap, 0.02))
    if coat < d:
        return coat, CLOTH
    return d, UNDERSHIRT
