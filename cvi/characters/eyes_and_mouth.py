"""Eyes, lips, teeth and tongue as signed distances and colours.

The lids are a shell over the eyeball, cut at two angles along the eye; the lips are two tubes along the
mouth line.
"""

from __future__ import annotations

import math

from cvi.characters.kernel import (
    EYE,
    SKIN,
    Array,
    Colour,
    Params,
    bell,
    capsule,
    ellipsoid,
    kernel,
    noise3,
    smooth_max,
    smooth_min,
    step,
)

BALL = 0.222  # radius of the eyeball
BALL_Z = 0.515  # depth of its middle; `eye_depth` sets the bones round it, not the ball


@kernel
def closure_at(x: float, p: Params) -> float:
    """How far the lid of the eye on x's side is shut: 0 open, 1 shut, below 0 wide."""
    return p.lid_right if x > 0 else p.lid_left  # type: ignore[no-any-return]


@kernel
def lid_edges(along: float, closure: float, p: Params) -> tuple[float, float, float]:
    """Angles (radians above the eye's equator) of the upper and the lower lid's edge, and their arch.

    `along`: -1 at the inner corner to 1 at the outer, in eyeball radii.
    """
    a = along / 0.93
    inside = max(1 - a * a, 0.0)
    power = 0.78 - 0.30 * p.eye_round
    arch = inside**power
    peak = 0.30 * p.lid_peak
    lean = 1 + 0.55 * a * peak * 2 - 0.03 * along
    tilt = p.eye_cant * along * 1.5 - 0.02
    below = p.lid_low - 0.20 * p.squint - 0.14 * p.smile
    follow = 0.25 * p.gaze_y * (1 - min(max(closure, 0.0), 1.0))
    open_angle = p.lid_open * lean - 0.14 * p.squint - 0.16 * p.epicanthus * step(-0.1, -0.8, a)
    upper = (open_angle * (1 - closure) - below * 0.75 * closure + follow) * arch + tilt
    low_arch = inside ** (0.72 - 0.2 * p.eye_round) * (1 + 0.14 * a)
    lower = -(below - 0.10 * closure - follow * 0.5) * low_arch + tilt
    # the inner corner runs down into the tear duct
    duct = 0.06 * bell(a + 0.92, 0.12)
    return upper - duct, lower - 1.15 * duct, arch


@kernel
def with_eyes(d: float, x: float, sx: float, y: float, z: float, p: Params) -> tuple[float, int]:
    """Socket, lids and eyeball added to `d`; the material is SKIN or EYE."""
    ball = BALL * p.eye_size
    ex, ey, ez = sx - p.eye_x, y - p.eye_y, z - BALL_Z
    if sx >= 0.75 or abs(ey) >= 0.5:
        return d, SKIN
    deep = 0.095 + 0.05 * p.eye_depth
    socket = ellipsoid(ex - 0.005, ey - 0.005, z - 0.76, 0.215 * p.eye_size, 0.145 * p.eye_size, deep)
    d = smooth_max(d, -socket, 0.16)
    r = math.sqrt(ex * ex + ey * ey + ez * ez)
    if r >= 0.5 or abs(ey) >= 0.42:
        return d, SKIN
    d = smooth_max(d, -(r - ball * 1.02), 0.05)
    closure = closure_at(x, p)
    along = ex / (ball * 1.02)
    upper, lower, arch = lid_edges(along, closure, p)
    angle = math.atan2(ey, max(ez, 0.01))
    # the lower lid swells when the cheek pushes it
    push = 0.02 * max(p.smile, 0.0) + 0.02 * p.squint
    shell = abs(r - ball * 1.075) - ball * 0.052
    plump = shell - push * bell(angle - lower + 0.18, 0.14) * arch
    up = smooth_max(shell, (upper - angle) * r * 0.85, 0.020)
    low = smooth_max(plump, (angle - lower) * r * 0.85, 0.024)
    shut = min(max(closure, 0.0), 1.0)
    # a shut lid is blended softly into its socket
    d = smooth_min(d, smooth_min(up, low, 0.012), 0.062 + 0.05 * shut)
    if p.hood > 0.0:  # the fold over the lid thins out as the lid comes down
        h = p.hood * (1 - 0.75 * shut)
        sunk = 0.018 * (1 - p.hood) + 0.030 * shut
        fold_y = p.eye_y + ball * (0.62 - 0.16 * p.hood)
        hood = capsule(
            sx, y, z, p.eye_x - 0.62 * ball, fold_y - 0.01, BALL_Z + ball * 0.86 - sunk,
            p.eye_x + 0.84 * ball, fold_y - 0.035 - 0.05 * p.hood, BALL_Z + ball * 0.70 - sunk, 0.032, 0.036,
        )  # fmt: skip
        d = smooth_min(d, hood - 0.020 * h, 0.08 + 0.05 * h)
    if p.crease > 0.0:  # it moves down with the lid and fades; a shut eye shows where the open one folds
        fold = upper  # a raised lid slides under the skin above it, which stays
        if closure < 0.0:
            fold, _, _ = lid_edges(along, 0.3 * closure, p)
        crease = (1 - shut) * bell(angle - fold - p.crease_high + 0.12 * shut, 0.055)
        if shut > 0.4:
            open_upper, _, _ = lid_edges(along, 0.0, p)
            crease += 0.55 * shut * shut * bell(angle - open_upper - p.crease_high, 0.08)
        d += 0.015 * p.crease * crease * step(0.33, 0.24, r) * step(0.98, 0.62, abs(along))
    if r - ball < d:
        return r - ball, EYE
    return d, SKIN


PUPIL = 0.40  # radius, in iris radii
IRIS = 0.52  # radius, in eyeball radii


@kernel
def sclera_colour(along: float) -> Colour:
    """White, redder towards the corners; `along` in eyeball radii from the middle."""
    corner = step(0.45, 0.95, abs(along))
    return 0.70 - 0.06 * corner, 0.67 - 0.24 * corner, 0.655 - 0.24 * corner


@kernel
def iris_colour(a: float, b: float, light_a: float, light_b: float, p: Params) -> tuple[Colour, float]:
    """Colour at (a, b), eyeball radii right and up of the pupil, and how much of it is iris.

    Light enters on the key's side and glows on the opposite one.
    """
    radius = IRIS * p.iris_size
    r = math.sqrt(a * a + b * b)
    q = r / radius
    cover = step(radius * 1.06, radius * 0.93, r)
    ca, sa = a / (r + 1e-6), b / (r + 1e-6)
    fibre = 0.55 + 0.55 * noise3(ca * 5, sa * 5, q * 1.2) + 0.55 * (noise3(ca * 16, sa * 16, q * 2.0) - 0.5)
    tone = fibre * (0.55 + 0.75 * step(0.35, 0.72, q)) * (1 - 0.75 * step(0.80, 1.0, q))
    glow = max(-(a * light_a + b * light_b) / (radius * 0.8), 0.0)
    tone *= 0.75 + 1.5 * glow * glow * step(1.0, 0.6, q) + 0.5 * glow
    ring = bell(q - 0.52, 0.10)
    red = p.iris[0] * tone + 0.16 * ring * fibre * p.iris[0] + 0.05 * ring * fibre
    green = p.iris[1] * tone + 0.03 * ring * fibre
    blue = p.iris[2] * tone
    dark = step(PUPIL + 0.05, PUPIL - 0.05, q)
    colour = (
        1.15 * (red * (1 - dark) + 0.004 * dark),
        1.15 * (green * (1 - dark) + 0.004 * dark),
        1.15 * (blue * (1 - dark) + 0.005 * dark),
    )
    return colour, cover


@kernel
def lid_shade(along: float, ey: float, ez: float, closure: float, p: Params) -> float:
    """Light left under the upper lid; (along, ey, ez) in eyeball radii."""
    upper, _, _ = lid_edges(along, closure, p)
    angle = math.atan2(ey, max(ez, 0.01))
    shade = 0.30 + 0.70 * step(0.0, 0.34, upper - angle)
    return shade * (0.72 + 0.28 * step(0.98, 0.55, abs(along)))


@kernel
def glint(ex: float, ey: float, ez: float, lamp: Array) -> float:
    """A rectangular lamp mirrored by a cornea more curved than the ball; (ex, ey, ez) a unit normal."""
    nx, ny, nz = 1.35 * ex, 1.35 * ey, ez
    scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    mx, my, mz = 2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1
    facing = mx * lamp[0] + my * lamp[1] + mz * lamp[2]
    if nz <= 0.1 or facing <= 0.06:
        return 0.0
    across = math.sqrt(lamp[0] ** 2 + lamp[2] ** 2)
    u = abs(mx * lamp[2] - mz * lamp[0]) / (across * facing)
    v = abs(my / facing - lamp[1])
    inside = min(max((0.21 - u) / 0.10, 0.0), 1.0) * min(max((0.24 - v) / 0.10, 0.0), 1.0)
    return float(inside)


LINE_Y = -0.550  # height of the closed mouth's line
RED_UPPER, RED_LOWER = 0.82, 0.86  # outer edge of the red, in tube radii from the tube's middle
PARTED = 0.010  # gap from which on the lips do not press into each other


@kernel
def lip_middle(gap: float) -> float:
    """The middle of a lip's tube, tube radii from its inner edge, at a `gap` between the lips.

    Lips that rest are pressed flat against each other; ones that part are round.
    """
    return 0.80 + 0.20 * min(max(gap / PARTED, 0.0), 1.0)


@kernel
def half_width(p: Params) -> float:
    """Half the mouth's width."""
    stretch = 1.0 + 0.24 * p.wide - 0.42 * p.round + 0.22 * p.smile
    return 0.262 * p.mouth_width * stretch  # type: ignore[no-any-return]


@kernel
def lips_at(x: float, p: Params) -> tuple[float, float, float, float, float, float, float, float]:
    """The mouth at abscissa x.

    Returns t (0 at the middle, 1 at the corner), the closed line's height, the gap above and below it,
    the radii of upper and lower lip, and the depth z of each.
    """
    width = half_width(p)
    t = min(abs(x) / width, 1.0)
    arc = math.sqrt(max(1.0 - t * t, 0.0))
    jaw = p.jaw
    straight = max(1.0 - p.round, 0.0)
    line = LINE_Y + p.smile * (0.080 * t**1.6 - 0.014)
    line += -0.0035 * straight * bell(t, 0.18) + 0.004 * bell(t - 0.35, 0.2)
    line += 0.006 * (1 - 0.8 * p.round) * x / width * arc  # mouths are not level
    up = 0.035 * jaw + 0.030 * p.lip_raise + 0.10 * p.round * jaw + 0.05 * p.smile * min(jaw * 2.0, 1.0)
    down = 0.25 * jaw * (1 - 0.25 * p.round) + 0.03 * p.lip_raise
    down -= 0.03 * p.tuck * (1 - min(jaw * 8.0, 1.0))
    shape = arc ** (1.1 - 0.35 * min(jaw * 1.5, 1.0))
    gap_up, gap_down = up * shape, max(down, -0.02) * shape
    thin = 1 - 0.55 * p.press
    bow = 1 + straight * (p.bow * (-0.26 * bell(t, 0.11) + 0.16 * bell(t - 0.26, 0.17)))
    profile = straight * (0.92 * arc**1.5 + 0.10 * arc) + p.round * arc**0.75
    upper = 0.038 * p.lip_upper * thin * (1 - 0.12 * p.smile) * (1 + 0.15 * p.round) * profile * bow
    full = 0.60 + 0.2 * min(jaw, 1.0)
    profile = straight * (full * arc + (1.05 - full) * arc * arc) + p.round * 1.05 * arc**0.75
    lower = 0.050 * p.lip_lower * thin * (1 - 0.10 * p.smile) * (1 + 0.12 * p.round)
    lower *= (1 - 0.45 * p.tuck) * profile
    z = 0.785 + 0.03 * p.mouth_out + 0.075 * p.round - 0.02 * p.press - 0.03 * p.wide
    z -= (1.55 + 0.2 * p.smile) * x * x
    z_lower = z - 0.012 - 0.065 * p.tuck - 0.05 * jaw
    return t, line, gap_up, gap_down, upper, lower, z, z_lower


@kernel
def lip_distance(x: float, y: float, z: float, p: Params) -> tuple[float, float]:
    """Distance to the upper and to the lower lip."""
    _, line, gap_up, gap_down, upper, lower, z_upper, z_lower = lips_at(x, p)
    beyond = max(abs(x) - half_width(p), 0.0)
    middle = lip_middle(gap_up + gap_down)
    y_upper = line + gap_up + upper * middle
    y_lower = line - gap_down - lower * middle
    d_upper = math.sqrt(beyond**2 + (y - y_upper) ** 2 + ((z - z_upper) * 0.85) ** 2) - upper
    d_lower = math.sqrt(beyond**2 + (y - y_lower) ** 2 + ((z - z_lower) * 0.85) ** 2) - lower
    return d_upper, d_lower


@kernel
def inside_distance(x: float, y: float, z: float, p: Params) -> tuple[float, float, float]:
    """Distance to the upper teeth, the lower teeth and the tongue."""
    t, line, _, _, _, _, _, _ = lips_at(x, p)
    jaw = p.jaw
    depth = z - 0.40
    arch = math.sqrt((x / 0.235) ** 2 + (depth / 0.335) ** 2)
    gum = line - 0.5 * p.smile * 0.080 * t**1.6
    edge = gum - 0.040 - 0.012 * min(jaw * 3.0, 1.0) - 0.01 * p.smile + 0.075 * p.round
    cell = abs((math.atan2(x, depth) * 3.9) % 1.0 - 0.5) * 2  # two teeth meet in the middle
    bottom = edge + 0.004 * cell**4 + 0.016 * (1 - bell(x, 0.16))
    front = (arch - 1.0) * 0.22 + 0.004 * cell**8
    cap = max(bottom - y, y - (line + 0.16))
    h = max(0.02 - abs(front - cap), 0.0) / 0.02
    upper = max(front, cap) + h * h * 0.02 * 0.25
    top = line - 0.045 - 0.20 * jaw - 0.05 * p.round
    arch = math.sqrt((x / 0.215) ** 2 + ((depth + 0.03) / 0.325) ** 2)
    front = (arch - 1.0) * 0.21 + 0.003 * cell**6
    cap = max(y - top + 0.01 * cell**4, top - 0.15 - y)
    h = max(0.02 - abs(front - cap), 0.0) / 0.02
    lower = max(front, cap) + h * h * 0.02 * 0.25
    ty = y - (line - 0.125 - 0.14 * jaw + 0.095 * p.tongue)  # its tip shows below the upper teeth
    tz = z - 0.47 - 0.08 * min(p.tongue * 2.0, 1.0)
    k0 = math.sqrt((x / 0.18) ** 2 + (ty / 0.080) ** 2 + (tz / 0.235) ** 2)
    k1 = math.sqrt((x / 0.0324) ** 2 + (ty / 0.0064) ** 2 + (tz / 0.055225) ** 2) + 1e-9
    tongue = k0 * (k0 - 1.0) / k1 + 0.006 * bell(x, 0.03)
    return upper, lower, tongue
