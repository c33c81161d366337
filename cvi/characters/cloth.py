"""Colour and relief of what is not skin: knits, weaves, teeth, tongue, metal, frames."""

from __future__ import annotations

import math

from cvi.characters.distance import step
from cvi.characters.kernel import CLOTH, METAL, TEETH, TONGUE, Params, kernel
from cvi.characters.mouth_shape import half_width, lips_at
from cvi.characters.noise import noise3
from cvi.characters.skin import Colour


@kernel
def cloth_colour(
    x: float, y: float, z: float, nx: float, ny: float, nz: float, material: int, p: Params
) -> tuple[Colour, float, float, float]:
    """Albedo of cloth at a point, and its normal with threads and folds in it."""
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
    """Albedo, roughness, specular at normal incidence and light left in the mouth's cavity."""
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
