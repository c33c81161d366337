"""Lips, teeth and tongue: the lips are two tubes along the mouth line."""

from __future__ import annotations

import math

from cvi.characters.kernel import Params, bell, kernel

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
