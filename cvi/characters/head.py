"""The head as one signed-distance field: skull, ears, nose, eyes, lips, mouth, glasses, earrings."""

from __future__ import annotations

import math

from cvi.characters.eye_model import with_eyes
from cvi.characters.kernel import (
    GLASSES,
    METAL,
    SKIN,
    TEETH,
    TONGUE,
    Params,
    bell,
    capsule,
    kernel,
    smooth_max,
    smooth_min,
)
from cvi.characters.mouth_model import half_width, inside_distance, lip_distance, lips_at
from cvi.characters.skull import ear, skull, with_nose

# The rims: depth of their middle, how far back they bend to the sides, height above the eyes.
RIM_Z, RIM_BEND, RIM_Y = 0.875, 0.42, -0.035


@kernel
def with_mouth(d: float, x: float, sx: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Cavity, lips, philtrum, teeth and tongue added to `d`."""
    width = half_width(p)
    _, line, gap_up, gap_down, _, _, z_upper, _ = lips_at(x, p)
    cavity = max(y - (line + gap_up), (line - gap_down) - y) * 0.8
    cavity = max(cavity, z_upper - 0.45 - z)
    cavity = max(cavity, (sx - 0.965 * width) * 0.9)
    d = smooth_max(d, -(cavity + 0.004), 0.03)
    d_upper, d_lower = lip_distance(x, y, z, p)
    corner = math.sqrt((sx - width - 0.012) ** 2 + (y - line) ** 2 + (z - z_upper) ** 2)
    d += 0.006 * (1 + 0.8 * max(p.smile, 0.0)) * bell(corner, 0.055)
    groove = 0.4 + 0.6 * p.philtrum
    d += groove * bell(y + 0.445, 0.06) * (0.012 * bell(x, 0.026) - 0.005 * bell(sx - 0.052, 0.02))
    # Each lip grows out of the face, but not into the other, or hardly parted ones would stick together.
    d = min(smooth_min(d, d_upper, 0.026), smooth_min(d, d_lower, 0.03))
    if cavity >= 0.02:
        return d, SKIN
    material = SKIN
    upper, lower, tongue = inside_distance(x, y, z, p)
    teeth = min(upper, lower)
    if teeth < d:
        d, material = teeth, TEETH
    if tongue < d:
        d, material = tongue, TONGUE
    return d, material


@kernel
def glasses(sx: float, y: float, z: float, p: Params) -> float:
    """Distance to glasses: rounded rims, bridge and temples."""
    wide, high, power = 0.225 * p.glasses_width, 0.175 * p.glasses_height, p.glasses_round
    centre = p.eye_x + 0.03 + 0.12 * (p.glasses_width - 1)
    gx, gy = sx - centre, y - p.eye_y - RIM_Y
    gz = z - (RIM_Z - RIM_BEND * max(sx - 0.05, 0.0) ** 2)
    rim = (abs(gx / wide) ** power + abs(gy / high) ** power) ** (1 / power) - 1.0
    rim = abs(rim) * 0.5 * (wide + high)
    thick = 0.015 * p.glasses_rim
    d = math.sqrt(rim * rim + gz * gz) - thick
    inner, outer = centre - wide, centre + wide
    nose_y = p.eye_y + RIM_Y + 0.35 * high
    d = min(d, capsule(sx, y, z, 0.0, nose_y + 0.02, 0.89, inner, nose_y, 0.873, 0.9 * thick, thick))
    hinge_z = RIM_Z - RIM_BEND * (outer - 0.05) ** 2
    side, y0 = 0.70 * p.face_width, nose_y - 0.02
    d = min(d, capsule(sx, y, z, outer, nose_y, hinge_z, side, y0, 0.42, thick, thick))
    return float(min(d, capsule(sx, y, z, side, y0, 0.42, 1.06 * side, 0.02, -0.1, thick, thick)))


@kernel
def head_distance(x: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Distance to the head without neck, and the material nearest."""
    sx = math.sqrt(x * x + 0.0016)  # a kink in |x| would crease the forehead
    d = skull(x, sx, y, z, p)
    if sx > 0.5 and abs(y + 0.05) < 0.5 and abs(z) < 0.5:
        d = smooth_min(d, ear(sx, y, z, p), 0.035)
    material = SKIN
    if z > 0.1 and -1.35 < y < 0.6:
        if sx < 0.45:
            d = with_nose(d, x, sx, y, z, p)
        d, material = with_eyes(d, x, sx, y, z, p)
        if sx < 0.55 and -1.25 < y < -0.2 and z > 0.2:
            d, inside = with_mouth(d, x, sx, y, z, p)
            if inside != SKIN:
                material = inside
    if p.earrings > 0.0 and y < -0.1:
        ex, ey, ez = sx - 0.70 * p.face_width, y + 0.06 + 0.27 * p.ear_size, z + 0.03
        ring = math.sqrt(ex * ex + ey * ey + ez * ez) - 0.1 * p.earrings
        if ring < d:
            d, material = ring, METAL
    if p.glasses > 0.5 and z > -0.3 and sx < 1.1 and abs(y) < 0.5:
        frame = glasses(sx, y, z, p)
        if frame < d:
            d, material = frame, GLASSES
    return d, material
