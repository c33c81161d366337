"""The head as one signed-distance field: cranium, jaw, ears, nose, eyes, lips, mouth, glasses, earrings.

Head units as in the package's description.
"""

from __future__ import annotations

import math

from cvi.characters.eyes_and_mouth import half_width, inside_distance, lip_distance, lips_at, with_eyes
from cvi.characters.kernel import (
    GLASSES,
    METAL,
    SKIN,
    TEETH,
    TONGUE,
    Params,
    bell,
    capsule,
    ellipsoid,
    kernel,
    smooth_max,
    smooth_min,
    step,
)

JAW_DROP = 0.20  # head units the chin falls at a jaw of 1


@kernel
def jaw_share(y: float, z: float) -> float:
    """Share of the jaw's drop at a point: 1 at the chin, nearly 0 at the corner of the jaw."""
    return step(-0.42, -0.95, y) * step(-0.12, 0.52, z)


@kernel
def _flesh(
    d: float, x: float, sx: float, y: float, z: float, qy: float, qz: float, chin_y: float, p: Params
) -> float:
    """Cheeks, jowls, double chin, mouth and brow ridge added to the distance `d` of the bones."""
    width, jaw_width = p.face_width, p.jaw_width * p.face_width
    fat, smile = p.cheek_fat, p.smile
    d = smooth_min(
        d,
        ellipsoid(
            sx - (0.315 + 0.02 * smile) * width, y + 0.32 - 0.10 * max(smile, 0.0), z - 0.42 - 0.02 * smile,
            0.15 + 0.07 * fat, 0.16 + 0.05 * fat, 0.16 + 0.07 * fat + 0.02 * max(smile, 0.0),
        ),
        0.22,
    )  # fmt: skip
    if p.jowl > 0.0:
        jowl = ellipsoid(sx - 0.29 * jaw_width, qy + 0.78, qz - 0.36, 0.13, 0.12, 0.15)
        d = smooth_min(d, jowl + 0.045 * (1 - p.jowl), 0.20)
    if p.double_chin > 0.0 and y < -0.6:
        d = smooth_min(
            d, ellipsoid(x, qy - chin_y + 0.06, qz - 0.30, 0.32, 0.13, 0.24), 0.06 + 0.16 * p.double_chin
        )
    d = smooth_min(d, ellipsoid(x, qy + 0.53, qz - 0.46, 0.27, 0.22, 0.265 + 0.03 * p.mouth_out), 0.20)
    if z > 0.15 and -0.3 < y < 0.75:
        raised = 0.5 * (p.brow_left + p.brow_right)
        ridge = capsule(
            sx, y, z, 0.07, 0.19 + 0.03 * raised, 0.645 + 0.03 * p.brow_ridge,
            0.45 * width, 0.215 + 0.04 * raised, 0.50, 0.045 + 0.04 * p.brow_ridge, 0.05,
        )  # fmt: skip
        d = smooth_min(d, ridge, 0.20)
    return d


@kernel
def skull(x: float, sx: float, y: float, z: float, p: Params) -> float:
    """Distance to the head without ears, nose, eyes and lips; `sx` is |x| without its kink."""
    share = p.jaw * jaw_share(y, z)
    qy, qz = y + JAW_DROP * share, z + 0.06 * share  # the jaw opens by warping space, which leaves no seam
    width, jaw_width = p.face_width, p.jaw_width * p.face_width
    chin_y = -0.56 - 0.34 * p.face_length
    d = ellipsoid(x, y - 0.22, z + 0.14, 0.705 * width, 0.80 * p.forehead + 0.02, 0.87)
    d = smooth_min(d, ellipsoid(x, y - 0.32, z - 0.20, 0.54 * width, 0.44 * p.forehead, 0.515), 0.22)
    d = smooth_min(d, ellipsoid(x, qy + 0.27, qz - 0.13, 0.50 * width, 0.62, 0.56), 0.26)
    # cheekbone and its arch back to the ear
    bone = p.cheekbone
    d = smooth_min(
        d,
        ellipsoid(sx - 0.41 * width, y + 0.17 - 0.02 * bone, z - 0.40, 0.15 + 0.035 * bone, 0.125, 0.19),
        0.22,
    )
    d = smooth_min(
        d,
        capsule(sx, y, z, 0.47 * width, -0.15, 0.36, 0.655 * width, -0.04, -0.08, 0.06, 0.06),
        0.19,
    )
    # mandible: body from chin to corner, then up to the ear
    corner_x, corner_y = (0.385 + 0.055 * p.jaw_angle) * jaw_width, -0.58 - 0.06 * p.face_length
    d = smooth_min(
        d,
        capsule(
            sx, qy, qz, 0.085 * p.chin_width, chin_y + 0.02, 0.48, corner_x, corner_y, 0.02,
            0.092, 0.080 + 0.02 * p.jaw_angle,
        ),
        0.27 - 0.05 * p.jaw_angle,
    )  # fmt: skip
    d = smooth_min(
        d,
        capsule(
            sx, qy, qz, corner_x, corner_y, 0.0, 0.56 * width, -0.12, -0.06,
            0.07 + 0.03 * p.jaw_angle, 0.07,
        ),
        0.22,
    )  # fmt: skip
    d = smooth_min(d, ellipsoid(x, qy + 0.68, qz - 0.24, 0.27 * jaw_width, 0.20, 0.32), 0.22)
    chin_z = 0.535 + 0.07 * p.chin_out
    d = smooth_min(d, ellipsoid(x, qy - chin_y - 0.03, qz - chin_z, 0.155 * p.chin_width, 0.115, 0.11), 0.20)
    return _flesh(d, x, sx, y, z, qy, qz, chin_y, p) + relief(x, sx, y, z, qy, p)


@kernel
def relief(x: float, sx: float, y: float, z: float, qy: float, p: Params) -> float:
    """Hollows (positive) and swellings (negative) too soft to be bodies of their own."""
    out = 0.0
    width = p.face_width
    if -0.25 < y < 0.75 and z > -0.2:
        out += 0.055 * p.temple * bell(sx - 0.62 * width, 0.13) * bell(y - 0.20, 0.20) * bell(z - 0.36, 0.24)
    if z > 0.15 and -1.2 < y < 0.1:
        # under the cheekbone
        out += 0.055 * p.hollow * bell(sx - 0.43 * width, 0.13) * bell(y + 0.45, 0.18)
        # tear trough, running out and down from the inner corner of the eye
        trough = y + 0.165 + 0.30 * (sx - 0.16) - 0.9 * max(sx - 0.33, 0.0) ** 2
        out += (
            (0.003 + 0.010 * p.age + 0.010 * p.bags)
            * bell(trough, 0.045)
            * step(0.10, 0.16, sx)
            * step(0.46, 0.30, sx)
        )
        out -= 0.012 * p.bags * bell(trough - 0.065, 0.050) * bell(sx - 0.29, 0.12)
        # fold from the wing of the nose past the corner of the mouth
        smile = max(p.smile, 0.0)
        line = 0.185 + 0.50 * max(-0.36 - y, 0.0) - 0.25 * max(-0.62 - y, 0.0)
        fold = (0.004 + 0.011 * smile + 0.015 * p.age) * step(-0.70, -0.52, y) * step(-0.27, -0.38, y)
        out += fold * bell(sx - line - 0.02 * smile, 0.040 + 0.014 * smile)
        out -= 0.8 * fold * bell(sx - line - 0.09, 0.07)
        # between lip and chin, and down from the corners
        out += 0.020 * bell(qy + 0.735, 0.05) * bell(x, 0.17)
        out += 0.007 * p.age * bell(sx - 0.285 - 0.1 * (-0.6 - qy), 0.040) * bell(qy + 0.70, 0.09)
        out += 0.014 * p.chin_cleft * bell(x, 0.018) * bell(qy + 0.92, 0.07)
    return out


@kernel
def ear(sx: float, y: float, z: float, p: Params) -> float:
    """Rim, inner ridge, bowl and lobe on a plane that stands out from the head."""
    size = p.ear_size
    lean = 0.35 + 0.5 * p.ear_out  # sine of the angle between ear and head
    ex, ey, ez = sx - 0.650 * p.face_width, (y + 0.045) / size, z + 0.04
    ey -= 0.15 * ez  # the top leans back
    along = (-ez * math.sqrt(1 - lean * lean) + ex * lean) / size  # towards the rear rim
    out = (ez * lean + ex * math.sqrt(1 - lean * lean)) / size  # off the ear's plane
    egg = 0.135 + 0.035 * step(-0.15, 0.15, ey)
    u, v = (along - 0.10) / egg, ey / 0.215
    r = math.sqrt(u * u + v * v) + 1e-6
    edge = (r - 1.0) * 0.165
    plate = smooth_max(abs(out + 0.02 - 0.05 * r * r) - 0.018, edge, 0.03)
    rim_open = step(-0.85, -0.45, v)
    rim = math.sqrt((edge + 0.012) ** 2 + (out - 0.038) ** 2) - (0.016 + 0.010 * rim_open)
    ridge = math.sqrt(((r - 0.58) * 0.165) ** 2 + (out - 0.012) ** 2) - 0.013
    ridge = max(ridge, -(u + 0.1) * 0.1)
    d = smooth_min(plate, rim, 0.022)
    d = smooth_min(d, ridge, 0.03)
    bowl = ellipsoid(along - 0.075, ey + 0.02, out - 0.01, 0.055, 0.085, 0.045)
    d = smooth_max(d, -bowl, 0.025)
    d = smooth_min(d, ellipsoid(along - 0.055, ey + 0.19, out - 0.005, 0.055, 0.06, 0.03), 0.05)
    d = smooth_min(d, ellipsoid(along + 0.005, ey + 0.03, out - 0.02, 0.03, 0.045, 0.03), 0.03)  # tragus
    return float(d * size * 0.9)


@kernel
def tip_at(p: Params) -> tuple[float, float]:
    """Height y and depth z of the tip's middle."""
    return -0.245 * p.nose_length - 0.01 + 0.03 * (p.nose_up - 0.4), 0.835 + 0.085 * p.nose_out


@kernel
def with_nose(d: float, x: float, sx: float, y: float, z: float, p: Params) -> float:
    """The nose added to the head's distance `d`."""
    width, tip, bridge = p.nose_width, p.nose_tip, p.nose_bridge
    tip_y, tip_z = tip_at(p)
    root_z = 0.612 + 0.05 * p.nose_out
    middle_y = 0.5 * (0.16 + tip_y)
    middle_z = 0.5 * (root_z + tip_z) - 0.005 + 0.035 * p.nose_hump
    upper = capsule(
        x, y, z, 0.0, 0.16, root_z, 0.0, middle_y, middle_z - 0.045 * bridge, 0.062 * bridge, 0.062 * bridge
    )
    lower = capsule(
        x, y, z, 0.0, middle_y, middle_z - 0.045 * bridge, 0.0, tip_y + 0.01, tip_z - 0.045,
        0.062 * bridge, 0.072 * (0.4 * width + 0.6 * tip),
    )  # fmt: skip
    d = smooth_min(d, smooth_min(upper, lower, 0.05), 0.13)
    ball = ellipsoid(x, y - tip_y, z - tip_z, 0.088 * tip * (0.7 + 0.3 * width), 0.074 * tip, 0.074 * tip)
    flare = 0.006 * max(p.smile, 0.0)
    wing_x, wing_y = 0.104 * width + flare, tip_y - 0.030
    wing = ellipsoid(sx - wing_x, y - wing_y, z - tip_z + 0.095, 0.056 * width, 0.056, 0.078)
    columella = capsule(
        x, y, z, 0.0, tip_y - 0.05, tip_z - 0.01, 0.0, tip_y - 0.10, tip_z - 0.13, 0.026, 0.03
    )
    nose = smooth_min(smooth_min(ball, wing, 0.055), columella, 0.04)
    d = smooth_min(d, nose, 0.06)
    # the groove over the wing
    crease = bell(sx - wing_x - 0.052 * width, 0.018) * bell(y - wing_y - 0.012, 0.05) * step(0.55, 0.66, z)
    d += 0.010 * crease
    nostril = ellipsoid(
        sx - 0.053 * width - 0.2 * (tip_y - 0.075 - y),
        y - tip_y + 0.078 - 0.05 * p.nose_up,
        z - tip_z + 0.055,
        0.030 * width, 0.024, 0.050,
    )  # fmt: skip
    return smooth_max(d, -nostril, 0.028)


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
