"""The head as one signed-distance field: skull, jaw, nose, eyes, lips, mouth, glasses."""

from __future__ import annotations

import math

from cvi.face.sculpted.bake.distance import bell, capsule, ellipsoid, smooth_max, smooth_min, step
from cvi.face.sculpted.bake.eye_shape import BALL, BALL_Z, closure_at, lid_edges
from cvi.face.sculpted.bake.kernel import EYE, GLASSES, SKIN, TEETH, TONGUE, Params, kernel
from cvi.face.sculpted.bake.mouth_shape import half_width, inside_distance, lip_distance, lips_at


@kernel
def skull(x: float, sx: float, y: float, z: float, p: Params) -> float:
    """Cranium, jaw, chin, cheeks, muzzle and brow ridge; `sx` is |x| without its kink."""
    jaw = p.jaw
    drop = step(-0.40, -0.98, y) * step(-0.35, 0.35, z)
    qy, qz = y + 0.20 * jaw * drop, z + 0.06 * jaw * drop  # the jaw opens by bending space, so no seam
    width = p.face_width
    d = ellipsoid(x, y - 0.22, z + 0.12, 0.745 * width, 0.83, 0.89)
    narrow = 1.0 + p.taper * step(-0.15, -1.05, y)
    keep = math.sqrt(narrow)
    tx, tsx = x * narrow, sx * narrow
    jaw_width = p.jaw_width * width
    d = smooth_min(
        d, ellipsoid(tx, qy + 0.30, qz - 0.10, 0.60 * jaw_width, 0.82 * p.face_length, 0.66) / keep, 0.34
    )
    d = smooth_min(d, ellipsoid(tsx - 0.35 * jaw_width, qy + 0.58, qz - 0.06, 0.18, 0.22, 0.28) / keep, 0.30)
    chin_y = 0.60 + 0.36 * p.face_length
    d = smooth_min(d, ellipsoid(x, qy + chin_y, qz - 0.555, 0.19 * p.chin, 0.135, 0.15 * p.chin), 0.32)
    # The mandible: without it the head is a lollipop.
    d = smooth_min(
        d,
        capsule(
            sx, qy, qz, 0.10 * p.chin, -0.60 - 0.33 * p.face_length, 0.47,
            0.47 * jaw_width, -0.48, -0.02, 0.10, 0.10,
        ),
        0.24,
    )  # fmt: skip
    smile = p.smile
    cheek_x, cheek_y = sx - (0.36 + 0.02 * smile) * width, y + 0.25 - 0.045 * smile
    d = smooth_min(
        d,
        ellipsoid(cheek_x, cheek_y, z - 0.44 - 0.01 * smile, 0.24 * p.cheek, 0.21, 0.22 + 0.02 * smile),
        0.24,
    )
    d = smooth_min(d, ellipsoid(x, qy + 0.54, qz - 0.49, 0.28, 0.23, 0.27), 0.20)
    if z > 0.2 and -0.3 < y < 0.7:
        raised = 0.5 * (p.brow_left + p.brow_right)
        ridge = capsule(
            sx, y, z, 0.10, 0.225 + 0.03 * raised, 0.66 + 0.02 * p.brow_ridge,
            0.42, 0.245 + 0.04 * raised, 0.55, 0.05 + 0.035 * p.brow_ridge, 0.045,
        )  # fmt: skip
        d = smooth_min(d, ridge, 0.20)
    return d


@kernel
def ear(sx: float, y: float, z: float, p: Params) -> float:
    """A shell with a rim, a bowl and a lobe."""
    ex, ey = sx - 0.775 * p.face_width, y + 0.05
    ez = z + 0.10 + 0.9 * ex
    size = p.ear_size
    d = ellipsoid(ex, ey, ez, 0.065, 0.23 * size, 0.15 * size)
    d = smooth_max(d, -ellipsoid(ex - 0.055, ey - 0.02, ez - 0.02, 0.05, 0.155 * size, 0.09), 0.05)
    return smooth_min(d, ellipsoid(ex, ey + 0.15, ez - 0.06, 0.04, 0.06, 0.05), 0.05)


@kernel
def with_nose(d: float, x: float, sx: float, y: float, z: float, p: Params) -> float:
    """Bridge, tip, wings and nostrils added to `d`."""
    width, tip = p.nose_width, p.nose_tip
    tip_y = -0.235 * p.nose_length - 0.02
    bridge = capsule(x, y, z, 0.0, 0.17, 0.655, 0.0, tip_y + 0.02, 0.875, 0.055 * width + 0.01, 0.075 * width)
    d = smooth_min(d, bridge, 0.13)
    ball = ellipsoid(x, y - tip_y, z - 0.885, 0.10 * width * tip, 0.085 * tip, 0.095 * tip)
    wing = ellipsoid(sx - 0.105 * width, y - tip_y + 0.035, z - 0.80, 0.068 * width, 0.062, 0.085)
    d = smooth_min(d, smooth_min(ball, wing, 0.06), 0.07)
    nostril = ellipsoid(sx - 0.058 * width, y - tip_y + 0.088, z - 0.845, 0.032 * width, 0.026, 0.05)
    return smooth_max(d, -nostril, 0.035)


@kernel
def with_eyes(d: float, x: float, sx: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Socket, lids and eyeball added to `d`."""
    ball = BALL * p.eye_size
    ex, ey, ez = sx - p.eye_x, y - p.eye_y, z - BALL_Z
    if sx >= 0.75 or abs(ey) >= 0.5:
        return d, SKIN
    socket = ellipsoid(ex + 0.02, ey - 0.01, z - 0.76, 0.24 * p.eye_size, 0.155 * p.eye_size, 0.135)
    d = smooth_max(d, -socket, 0.16)
    r = math.sqrt(ex * ex + ey * ey + ez * ez)
    if r >= 0.5 or abs(ey) >= 0.42:
        return d, SKIN
    d = smooth_max(d, -(r - ball * 1.02), 0.05)
    closure = closure_at(x, p)
    upper, lower, arch = lid_edges(ex / (ball * 1.02), closure, p)
    angle = math.atan2(ey, max(ez, 0.01))
    shell = abs(r - ball * 1.075) - ball * 0.055
    up = smooth_max(shell, (upper - angle) * r * 0.85, 0.022)
    low = smooth_max(shell, (angle - lower) * r * 0.85, 0.022)
    d = smooth_min(d, smooth_min(up, low, 0.012), 0.065)
    if closure < 0.9:
        crease = angle - (upper + 0.30 - 0.12 * closure)
        d = d + 0.010 * bell(crease, 0.055) * step(0.35, 0.25, r) * arch
    if r - ball < d:
        return r - ball, EYE
    return d, SKIN


@kernel
def with_mouth(d: float, x: float, sx: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Cavity, lips, folds, teeth and tongue added to `d`."""
    width = half_width(p)
    _, line, gap_up, gap_down, _, _, z_upper, _ = lips_at(x, p)
    cavity = max(y - (line + gap_up), (line - gap_down) - y) * 0.8
    cavity = max(cavity, z_upper - 0.45 - z)
    cavity = max(cavity, (sx - 0.965 * width) * 0.9)
    d = smooth_max(d, -(cavity + 0.004), 0.03)
    d_upper, d_lower = lip_distance(x, y, z, p)
    corner = math.sqrt((sx - width - 0.012) ** 2 + (y - line) ** 2 + (z - z_upper) ** 2)
    d += 0.009 * (1 + 0.8 * p.smile) * bell(corner, 0.05)
    d += 0.010 * bell(x, 0.030) * bell(y + 0.450, 0.055)  # philtrum
    d = smooth_min(d, d_upper, 0.026)
    d = smooth_min(d, d_lower, 0.03)
    if p.smile + p.age > 0.01:
        fold = sx - (0.30 + 0.28 * max(-0.32 - y, 0.0))
        depth = 0.008 * max(p.smile, 0.0) + 0.011 * p.age
        d += depth * bell(fold, 0.03) * step(-0.70, -0.55, y) * step(-0.30, -0.42, y)
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
def glasses(sx: float, y: float, z: float) -> float:
    """Round-cornered frames with bridge and temples."""
    gx, gy = sx - 0.345, y + 0.005
    gz = z - (0.865 - 0.48 * max(sx - 0.05, 0.0) ** 2)
    rim = abs((abs(gx / 0.238) ** 3.2 + abs(gy / 0.190) ** 3.2) ** (1 / 3.2) - 1.0) * 0.215
    d = math.sqrt(rim * rim + gz * gz) - 0.019
    d = min(d, capsule(sx, y, z, 0.0, 0.075, 0.885, 0.115, 0.06, 0.868, 0.016, 0.018))
    return min(d, capsule(sx, y, z, 0.58, 0.07, 0.73, 0.83, 0.04, -0.1, 0.018, 0.018))


@kernel
def head_distance(x: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Distance to the head without neck, and the material nearest."""
    bound = ellipsoid(x, y + 0.05, z, 1.15, 1.55, 1.25)
    if bound > 0.35:
        return bound, SKIN
    sx = math.sqrt(x * x + 0.0016)  # a kink in |x| would crease the forehead
    d = skull(x, sx, y, z, p)
    if sx > 0.6 and abs(y) < 0.5:
        d = smooth_min(d, ear(sx, y, z, p), 0.06)
    material = SKIN
    if z > 0.1 and -1.3 < y < 0.6:
        if sx < 0.45:
            d = with_nose(d, x, sx, y, z, p)
        d, material = with_eyes(d, x, sx, y, z, p)
        if sx < 0.55 and -1.25 < y < -0.2 and z > 0.2:
            d, inside = with_mouth(d, x, sx, y, z, p)
            if inside != SKIN:
                material = inside
    if p.glasses > 0.5 and z > -0.3 and sx < 1.1 and abs(y) < 0.5:
        frame = glasses(sx, y, z)
        if frame < d:
            d, material = frame, GLASSES
    return d, material
