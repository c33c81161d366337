"""The eyeball: sclera and iris as they look unlit, and the shade the lids throw on them."""

from __future__ import annotations

import math

from cvi.characters.distance import bell, step
from cvi.characters.eye_shape import lid_edges
from cvi.characters.kernel import Array, Params, kernel
from cvi.characters.noise import noise3
from cvi.characters.skin import Colour

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
