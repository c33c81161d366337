"""Surface colours: skin with blush, freckles, lids, lips and stubble; cloth, teeth, tongue, metal."""

from __future__ import annotations

import math

from cvi.characters.eyes_and_mouth import (
    BALL,
    BALL_Z,
    RED_LOWER,
    RED_UPPER,
    closure_at,
    half_width,
    lid_edges,
    lip_middle,
    lips_at,
)
from cvi.characters.head import tip_at
from cvi.characters.kernel import (
    CLOTH,
    METAL,
    TEETH,
    TONGUE,
    Array,
    Colour,
    Params,
    bell,
    hash3,
    kernel,
    noise3,
    step,
)
from cvi.characters.scene import density_at


@kernel
def mix(a: Colour, r: float, g: float, b: float, k: float) -> Colour:
    """`a` mixed with `k` (0..1) of (r, g, b)."""
    return a[0] * (1 - k) + r * k, a[1] * (1 - k) + g * k, a[2] * (1 - k) + b * k


@kernel
def base_colour(x: float, y: float, z: float, p: Params) -> Colour:
    """Colour of skin: three octaves of mottling, blush, nostrils and the tint around the eyes."""
    n1 = noise3(x * 6, y * 6, z * 6)
    mottle = 1 + 0.08 * (n1 - 0.5)
    mottle += 0.07 * (noise3(x * 23 + 9, y * 23, z * 23) - 0.5) + 0.06 * (
        noise3(x * 70, y * 70, z * 70) - 0.5
    )
    r, g, b = p.skin[0] * mottle, p.skin[1] * mottle * (1 + 0.03 * (n1 - 0.5)), p.skin[2] * mottle
    sx = abs(x)
    tip_y, tip_z = tip_at(p)
    blush = 0.9 * math.exp(-(((sx - 0.42) / 0.20) ** 2) - ((y + 0.27) / 0.16) ** 2) * step(0.0, 0.3, z)
    blush += 0.55 * math.exp(-((x / 0.14) ** 2) - ((y - tip_y) / 0.10) ** 2) * step(0.7, 0.85, z)
    blush += 0.8 * step(0.64, 0.74, sx) * step(0.4, 0.2, abs(y))
    blush += 0.25 * math.exp(-((x / 0.16) ** 2) - ((y + 0.97) / 0.10) ** 2)
    blush *= p.blush
    r, g, b = r * (1 - 0.02 * blush), g * (1 - 0.22 * blush), b * (1 - 0.20 * blush)
    nostril = math.exp(-(((sx - 0.055 * p.nose_width) / 0.032) ** 2) - ((y - tip_y + 0.085) / 0.024) ** 2)
    nostril *= step(tip_z - 0.20, tip_z - 0.08, z)
    r, g, b = r * (1 - 0.60 * nostril), g * (1 - 0.80 * nostril), b * (1 - 0.80 * nostril)
    ex, ey, front = sx - p.eye_x, y - p.eye_y, step(0.3, 0.5, z)
    around = math.exp(-((ex / 0.20) ** 2) - ((ey + 0.01) / 0.14) ** 2) * front * (0.65 + 0.35 * p.age)
    r, g, b = r * (1 - 0.10 * around), g * (1 - 0.22 * around), b * (1 - 0.16 * around)
    shadow = p.eye_shadow * math.exp(-(((ex - 0.02) / 0.19) ** 2) - ((ey - 0.13) / 0.075) ** 2) * front
    return r * (1 - 0.35 * shadow), g * (1 - 0.45 * shadow), b * (1 - 0.35 * shadow)


@kernel
def lid_colour(c: Colour, x: float, y: float, z: float, p: Params) -> Colour:
    """The dark line of the upper lid and the wet edge of the lower."""
    ball = BALL * p.eye_size
    ex, ey, ez = abs(x) - p.eye_x, y - p.eye_y, z - BALL_Z
    along = ex / (ball * 1.02)
    closure = closure_at(x, p)
    upper, lower, _ = lid_edges(along, closure, p)
    angle, shut = math.atan2(ey, max(ez, 0.01)), min(max(closure, 0.0), 1.0)
    r = math.sqrt(ex * ex + ey * ey + ez * ez)
    near = step(0.98, 0.88, abs(along)) * step(1.24, 1.16, r / ball)  # on the lid, not on skin that hides it
    # the roots of the lashes form a line on every face; on a shut eye it is the only one
    line = bell(angle - upper - 0.015, 0.026 + 0.026 * max(along, 0.0) + 0.010 * shut) * near
    line *= max(p.liner, 0.50 + 0.25 * shut)
    under = step(1.13, 1.06, r / ball) * step(0.25, 0.6, (angle - lower) / max(upper - lower, 0.05)) * near
    line = max(line, under * (1 - shut) * (0.50 + 0.30 * p.liner))  # the edge of the lid, shaded by itself
    c = c[0] * (1 - 0.92 * line), c[1] * (1 - 0.93 * line), c[2] * (1 - 0.93 * line)
    wet = 0.5 * bell(angle - lower + 0.01, 0.03) * near * (0.35 + 0.65 * min(p.skin[0] * 2, 1.0))
    return mix(c, 0.62, 0.30, 0.27, wet * (1 - 0.9 * shut))


@kernel
def with_freckles(c: Colour, x: float, y: float, z: float, p: Params) -> Colour:
    """Freckles over the colour `c` of a point."""
    mask = p.freckles * math.exp(-((x / 0.42) ** 2) - ((y + 0.20) / 0.15) ** 2) * step(0.3, 0.5, z)
    if mask < 0.01:
        return c
    cx, cy = math.floor(x * 26), math.floor(y * 26)
    r, g, b = c
    for i in range(-1, 2):
        for j in range(-1, 2):
            size = hash3(cx + i, cy + j, 3)
            if size < 0.5:
                dx = x * 26 - cx - i - hash3(cx + i, cy + j, 1)
                dy = y * 26 - cy - j - hash3(cx + i, cy + j, 2)
                k = mask * math.exp(-(dx * dx + dy * dy) / (0.03 + 0.08 * size))
                r, g, b = r * (1 - 0.35 * k), g * (1 - 0.5 * k), b * (1 - 0.6 * k)
    return r, g, b


@kernel
def with_hair_roots(c: Colour, x: float, y: float, z: float, p: Params, hair: Array) -> Colour:
    """Stubble on the jaw, and the scalp dyed by the hair that grows on it."""
    low = p.stubble_low
    stubble = p.stubble * step(-0.30 - 0.25 * low, -0.52 - 0.15 * low, y)
    stubble *= step(-1.25, -0.95, y) * step(0.0, 0.3, z)
    if stubble > 0.0:
        k = stubble * (0.75 + 0.5 * noise3(x * 70, y * 70, z * 70))
        c = c[0] * (1 - 0.40 * k), c[1] * (1 - 0.34 * k), c[2] * (1 - 0.26 * k)
    cover = min(max((density_at(hair, x, y, z) - 0.10) * 2.5, 0.0), 1.0)
    cover *= 0.95 * step(0.0, 0.15, max(y, -z * 0.8))
    if cover <= 0.0:
        return c
    front = -0.52 + 0.50 * step(-0.35, -0.02, z) + 0.02 * step(0.0, 0.2, z) + 0.56 * step(0.22, 0.60, z)
    front += 0.04 * step(0.20, 0.40, abs(x)) * step(0.66, 0.50, abs(x)) * step(0.2, 0.45, z)
    front += step(0.35, 0.60, z) * (0.03 - 0.13 * step(0.08, 0.42, abs(x)))
    ragged = y + 0.08 * (noise3(x * 15, y * 15, z * 15) - 0.5)
    cover *= step(front - 0.03, front + 0.13, ragged)
    return mix(c, p.scalp[0] * 0.6, p.scalp[1] * 0.6, p.scalp[2] * 0.6, cover)


@kernel
def with_lips(
    c: Colour, x: float, y: float, z: float, p: Params
) -> tuple[Colour, float, float, float, float, float]:
    """The red of the lips, the dark line between them and the inside of the mouth.

    Returns colour, how much this is lip (0..1), roughness and specular factors of the surface, light
    left inside the cavity, and ambient light left.
    """
    t, line, gap_up, gap_down, upper, lower, z_upper, z_lower = lips_at(x, p)
    width = half_width(p)
    sx = abs(x)
    gap = gap_up + gap_down
    middle = lip_middle(gap)
    high, low = line + gap_up + (middle + RED_UPPER) * upper, line - gap_down - (middle + RED_LOWER) * lower
    outside = max(y - high, low - y)
    lip = step(0.010, -0.006, outside) * step(1.05, 0.93, sx / width) * step(0.25, 0.45, z)
    grain = 0.93 + 0.14 * noise3(x * 90, y * 9, 3.0)
    c = mix(c, p.lips[0] * grain, p.lips[1] * grain, p.lips[2] * grain, lip)
    top = lip * step(line - 0.002, line + 0.006, y) * 0.22
    c = c[0] * (1 - 0.8 * top), c[1] * (1 - top), c[2] * (1 - top)
    seam = bell(y - line + 0.5 * (gap_down - gap_up), 0.0075 + 0.35 * gap)
    seam *= step(1.06, 0.80, sx / width) * step(0.05, 0.0, gap)
    c = c[0] * (1 - 0.70 * seam), c[1] * (1 - 0.82 * seam), c[2] * (1 - 0.80 * seam)
    ambient, cavity = 1 - 0.5 * seam, 1.0
    if line - gap_down - 0.012 < y < line + gap_up + 0.012 and sx < width * 1.02:
        deep = max(z_upper, z_lower) - 0.005 - z
        c = mix(c, 0.30, 0.05, 0.05, step(0.0, 0.10, deep))
        cavity = 1 - 0.80 * step(0.02, 0.24, deep)
        ambient *= 1 - 0.5 * step(0.0, 0.05, deep)
    return c, lip, seam, t, cavity, ambient


@kernel
def wrinkle(x: float, y: float, z: float, p: Params) -> tuple[float, float]:
    """What lines in the forehead, between the brows and beside the eyes add to a normal's x and y."""
    sx = abs(x)
    bend = noise3(x * 3.0, y * 2.0, 7.0) * 0.10
    raised = max(0.5 * (p.brow_left + p.brow_right), 0.0)
    forehead = step(0.33, 0.42, y) * step(0.62, 0.52, y) * step(0.5, 0.3, sx) * (0.35 + 0.9 * raised)
    ny = p.age * 0.22 * forehead * math.sin((y + bend + 0.05 * x * x) * 101.3)
    turn, r = math.atan2(y - p.eye_y, sx - p.eye_x), math.hypot(y - p.eye_y, sx - p.eye_x)
    crow = step(0.22, 0.27, r) * step(0.40, 0.32, r) * step(0.9, 0.4, abs(turn)) * (0.4 + 0.9 * p.smile)
    ny += p.age * 0.20 * crow * math.sin(turn * 17.0 + bend * 20)
    ny += 0.16 * p.age * bell(r - 0.245, 0.02) * step(-0.3, -0.9, turn) * step(-2.6, -2.0, turn)
    frown = bell(sx - 0.075, 0.012) * step(0.16, 0.22, y) * step(0.36, 0.28, y) * p.furrow
    return -0.3 * frown * (1.0 if x > 0 else -1.0), ny


@kernel
def cloth_colour(
    x: float, y: float, z: float, nx: float, ny: float, nz: float, material: int, p: Params
) -> tuple[Colour, float, float, float]:
    """Albedo of cloth at a point, and its normal with threads and folds."""
    c = (p.cloth[0], p.cloth[1], p.cloth[2])
    knit = p.knit
    kind = int(p.garment + 0.5)
    if material != CLOTH:
        c = (p.undershirt[0], p.undershirt[1], p.undershirt[2])
        knit = 0.0 if kind == 7 else p.knit
    elif kind in (1, 7):
        knit = 0.0
    if p.stripes > 0.0 and material == CLOTH:
        band = step(0.35, 0.45, abs(((y * 9 + 0.6 * x * x) % 1.0) - 0.5) * 2)
        k = p.stripes * (1 - band)
        c = (
            c[0] * (1 - k) + p.undershirt[0] * k,
            c[1] * (1 - k) + p.undershirt[1] * k,
            c[2] * (1 - k) + p.undershirt[2] * k,
        )
    fold = noise3(x * 3.5 + y, y * 2.0, z * 3.0 + 4) - 0.5
    fold += 0.5 * (noise3(x * 7 + 0.7 * y, y * 5, z * 7) - 0.5)
    fold_x = fold - (noise3((x + 0.03) * 3.5 + y, y * 2.0, z * 3.0 + 4) - 0.5)
    fold_x -= 0.5 * (noise3((x + 0.03) * 7 + 0.7 * y, y * 5, z * 7) - 0.5)
    shade = 1.0
    if knit > 0.5:  # rows of chevrons
        s = ((math.atan2(x, 0.9 + z * 0.4) * 46) % 1.0) - 0.5
        wave = (y * 42 + abs(s) * 1.6) * 6.2832
        loop = math.cos(wave) * 0.5 + 0.5
        shade = 0.62 + 0.5 * (1 - (abs(s) * 2) ** 6) * (0.45 + 0.55 * loop)
        nx, ny = nx + 0.35 * s * (1 - 0.3 * loop) + 0.5 * fold_x, ny + 0.18 * math.sin(wave)
    else:
        weave = noise3(x * 170, y * 170, z * 20) - 0.5
        shade = 1 + 0.22 * weave + 0.10 * (noise3(x * 40, y * 40, z * 40) - 0.5)
        nx, ny = nx + 0.10 * weave + 1.4 * fold_x, ny + 0.10 * weave + 0.25 * fold
    scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz)
    return (c[0] * shade, c[1] * shade, c[2] * shade), nx * scale, ny * scale, nz * scale


@kernel
def solid_colour(
    x: float, y: float, z: float, material: int, p: Params
) -> tuple[Colour, float, float, float]:
    """Albedo, roughness, specular reflection at normal incidence, and the share of light in the mouth's
    cavity."""
    if material == METAL:
        return (p.metal[0], p.metal[1], p.metal[2]), 0.22, 0.7, 1.0
    if material not in (TEETH, TONGUE):
        return (p.frame[0], p.frame[1], p.frame[2]), 0.20, 0.05, 1.0
    _, line, gap_up, gap_down, _, _, z_upper, _ = lips_at(x, p)
    side = abs(x) / half_width(p)
    below = line + gap_up - y
    if material == TONGUE:
        cavity = (1 - 0.7 * step(0.05, 0.30, z_upper - z)) * (0.6 + 0.4 * step(0.0, 0.06, below))
        return (0.60, 0.19, 0.19), 0.32, 0.05, cavity * (1 - 0.4 * step(0.4, 1.0, side))
    gum = step(line + 0.085, line + 0.10, y)
    # between one tooth and the next less light comes back
    across = abs((math.atan2(x, z - 0.40) * 3.9) % 1.0 - 0.5) * 2
    white = (1 - gum) * (1 - 0.22 * across**12)
    c = 0.69 * white + 0.6 * gum, 0.635 * white + 0.2 * gum, 0.55 * white + 0.2 * gum
    cavity = (1 - 0.75 * p.round) * (1 - 0.75 * step(0.05, 0.24, z_upper - z))
    cavity *= (0.50 + 0.50 * step(0.0, 0.035, below)) * (1 - 0.45 * step(0.35, 1.0, side))
    cavity *= 0.5 + 0.5 * step(-0.01, 0.04, y - line + gap_down)
    cavity *= 1.0 - 0.35 * step(line - 0.06, line - 0.11, y)
    return c, 0.22, 0.05, cavity
