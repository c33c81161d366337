"""Light on a surface point, in linear light.

Skin uses one normal per colour channel, taken from the distance field at different scales: red light
travels furthest under the skin, so it sees the softest surface. That is most of what makes it skin.
"""

from __future__ import annotations

import math

from cvi.face.sculpted.bake.distance import bell, step
from cvi.face.sculpted.bake.eye import lid_shade
from cvi.face.sculpted.bake.eye_shape import BALL, BALL_Z, closure_at
from cvi.face.sculpted.bake.hair_density import transmittance
from cvi.face.sculpted.bake.kernel import CLOTH, EYE, GLASSES, SKIN, TEETH, TONGUE, Array, Params, kernel
from cvi.face.sculpted.bake.mouth_shape import half_width, lips_at
from cvi.face.sculpted.bake.noise import noise3
from cvi.face.sculpted.bake.scene import normal_at, occlusion, soft_shadow
from cvi.face.sculpted.bake.skin import (
    Colour,
    base_colour,
    lid_colour,
    with_freckles,
    with_hair_roots,
    with_lips,
    wrinkle,
)


@kernel
def highlight(
    nx: float, ny: float, nz: float, dx: float, dy: float, dz: float, light: Array, rough: float, f0: float
) -> float:
    """GGX with a cheap visibility term; d is the view ray, `light` starts with its direction."""
    hx, hy, hz = light[0] - dx, light[1] - dy, light[2] - dz
    scale = 1 / math.sqrt(hx * hx + hy * hy + hz * hz)
    ndh = max((nx * hx + ny * hy + nz * hz) * scale, 0.0)
    vdh = max(-(dx * hx + dy * hy + dz * hz) * scale, 0.0)
    ndl = max(nx * light[0] + ny * light[1] + nz * light[2], 0.0)
    ndv = max(-(nx * dx + ny * dy + nz * dz), 0.0)
    alpha = rough * rough
    lobe = ndh * ndh * (alpha * alpha - 1) + 1
    d = min(alpha * alpha / (3.1416 * lobe * lobe), 30.0)
    fresnel = f0 + (1 - f0) * (1 - vdh) ** 5
    shadowing = 4 * max(0.15 + 0.85 * ndv, 0.2) * max(0.2 + 0.8 * ndl, 0.2)
    return float(d * fresnel * ndl * 3.1416 / shadowing)


@kernel
def shade_skin(
    x: float, y: float, z: float, dx: float, dy: float, dz: float,
    p: Params, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    nx, ny, nz = normal_at(x, y, z, 0.0015, p)
    eye = math.sqrt((abs(x) - p.eye_x) ** 2 + (y - p.eye_y) ** 2)
    fine = 0.30 + 0.70 * step(0.20, 0.36, eye) if z >= 0.2 else 1.0
    rx, ry, rz = normal_at(x, y, z, 0.035 * fine, p)
    bx, by, bz = normal_at(x, y, z, 0.015 * fine, p)
    ambient = occlusion(x, y, z, bx, by, bz, p)
    colour = base_colour(x, y, z, p)
    if abs(x) < 0.75 and abs(y - p.eye_y) < 0.3 and z > 0.3:
        colour = lid_colour(colour, x, y, z, p)
    colour = with_freckles(colour, x, y, z, p)
    colour = with_hair_roots(colour, x, y, z, p, hair)
    rough, f0, cavity, lip = 0.46 + 0.08 * (1 - p.oil), 0.032 * p.oil, 1.0, 0.0
    if z > 0.2 and -1.1 < y < -0.3 and abs(x) < 0.45:
        colour, lip, seam, _, cavity, left = with_lips(colour, x, y, z, p)
        ambient *= left
        rough = rough * (1 - lip) + 0.36 * lip
        f0 = (f0 * (1 - lip) + 0.042 * lip) * (1 - 0.8 * seam)
    neck = step(-0.84, -0.98, y + 0.16 * p.jaw) * step(0.45, 0.25, z)
    if neck > 0.0:  # the chin's shadow on the neck
        under = 1 - 0.50 * bell(y + 1.02 + 0.16 * p.jaw, 0.17) * neck
        ambient *= under
        warm = 0.55 + 0.45 * under
        colour = colour[0] * (0.6 + 0.4 * under), colour[1] * warm, colour[2] * warm
    pore = noise3(x * 95, y * 95, z * 95)
    px = noise3(x * 95 + 0.35, y * 95, z * 95) - pore
    py = noise3(x * 95, y * 95 + 0.35, z * 95) - pore
    depth = 0.15 * (1 - lip)
    if lip > 0.01:
        px = (noise3((x + 0.004) * 80, y * 8, 3.0) - noise3(x * 80, y * 8, 3.0)) * 2.2 * lip
        depth = 0.10
    nx += depth * px
    ny += depth * py
    if p.age > 0.0 and z > 0.3:
        wx, wy = wrinkle(x, y, z, p)
        nx += wx
        ny += wy
    scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    r, g, b, sr, sg, sb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(4):
        lamp = lights[i]
        if i == 1:
            lit = (
                0.35 + 0.65 * transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2, start)
            ) * ambient
        else:
            hard = 3.4 if i == 0 else 8.0
            lit = soft_shadow(x + bx * 0.01, y + by * 0.01, z + bz * 0.01, lamp[0], lamp[1], lamp[2], hard, p)
            lit *= transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 2.2, start)
        soft = rx * lamp[0] + ry * lamp[1] + rz * lamp[2]
        firm = bx * lamp[0] + by * lamp[1] + bz * lamp[2]
        some = max(lit, 1e-6)
        r += lamp[3] * max((soft + 0.34) / 1.34, 0.0) * some**0.62
        g += lamp[4] * max((0.5 * soft + 0.5 * firm + 0.16) / 1.16, 0.0) * some**0.88
        b += lamp[5] * max((firm + 0.10) / 1.10, 0.0) * lit
        s = highlight(nx, ny, nz, dx, dy, dz, lamp, rough, f0) * lit
        sr, sg, sb = sr + lamp[3] * s, sg + lamp[4] * s, sb + lamp[5] * s
    up = 0.5 + 0.5 * by
    open_sky = 0.35 + 0.65 * transmittance(hair, x, y, z, bx * 0.7, by * 0.7 + 0.3, bz * 0.7, 0.9, start)
    around = lights[4]
    r += (around[0] * up + around[3] * (1 - up)) * ambient**0.75 * open_sky
    g += (around[1] * up + around[4] * (1 - up)) * ambient * open_sky
    b += (around[2] * up + around[5] * (1 - up)) * ambient * open_sky
    facing = max(-(nx * dx + ny * dy + nz * dz), 0.0)
    sheen = 0.40 * p.oil * (1 - facing) ** 5 * ambient * open_sky * (0.4 + 0.6 * up)
    return (
        cavity * (colour[0] * r + sr) + sheen * around[0],
        cavity * (colour[1] * g + sg) + sheen * around[1],
        cavity * (colour[2] * b + sb) + sheen * around[2],
    )


@kernel
def shade_solid(
    x: float, y: float, z: float, dx: float, dy: float, dz: float, material: int,
    p: Params, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    """Teeth, tongue, knit, cloth and frames: one normal, one albedo."""
    nx, ny, nz = normal_at(x, y, z, 0.0015, p)
    ambient, cavity, sheen = occlusion(x, y, z, nx, ny, nz, p), 1.0, 0.0
    if material in (TEETH, TONGUE):
        _, line, gap_up, gap_down, _, _, z_upper, _ = lips_at(x, p)
        side = abs(x) / half_width(p)
        below = line + gap_up - y
        if material == TEETH:
            c, rough, f0 = (0.72, 0.67, 0.58), 0.22, 0.05
            gum = step(line + 0.085, line + 0.10, y)
            c = c[0] * (1 - gum) + 0.6 * gum, c[1] * (1 - gum) + 0.2 * gum, c[2] * (1 - gum) + 0.2 * gum
            cavity = (1 - 0.75 * p.round) * (1 - 0.75 * step(0.05, 0.24, z_upper - z))
            cavity *= (0.55 + 0.45 * step(0.0, 0.03, below)) * (1 - 0.55 * step(0.3, 1.0, side))
            cavity *= 0.5 + 0.5 * step(-0.01, 0.04, y - line + gap_down)
            cavity *= 1.0 - 0.35 * step(line - 0.06, line - 0.11, y)
            ambient = 0.45 + 0.55 * ambient
        else:
            c, rough, f0 = (0.62, 0.20, 0.20), 0.32, 0.05
            cavity = (1 - 0.7 * step(0.05, 0.30, z_upper - z)) * (0.6 + 0.4 * step(0.0, 0.06, below))
            cavity *= 1 - 0.4 * step(0.4, 1.0, side)
    elif material == GLASSES:
        c, rough, f0 = (p.frame[0], p.frame[1], p.frame[2]), 0.18, 0.06
    else:
        rough, f0 = 0.85, 0.02
        c = (p.cloth[0], p.cloth[1], p.cloth[2])
        if material != CLOTH:
            c = (p.undershirt[0], p.undershirt[1], p.undershirt[2])
        if material != CLOTH or p.blazer < 0.5:  # knit: rows of chevrons
            s = ((math.atan2(x, 0.9 + z * 0.4) * 46) % 1.0) - 0.5
            wave = (y * 42 + abs(s) * 1.6) * 6.2832
            loop = math.cos(wave) * 0.5 + 0.5
            k = 0.62 + 0.5 * (1 - (abs(s) * 2) ** 6) * (0.45 + 0.55 * loop)
            nx, ny = nx + 0.35 * s * (1 - 0.3 * loop), ny + 0.18 * math.sin(wave)
        else:
            weave = noise3(x * 160, y * 160, z * 20) - 0.5
            fold = noise3(x * 14, y * 9, z * 9) - 0.5
            k = 1 + 0.25 * weave
            nx, ny = nx + 0.12 * weave + 0.10 * fold, ny + 0.12 * weave
        c = c[0] * k, c[1] * k, c[2] * k
        scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        sheen = 0.70 * (1 - max(-(nx * dx + ny * dy + nz * dz), 0.0)) ** 3 * ambient
    r, g, b, sr, sg, sb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(4):
        lamp = lights[i]
        lit = transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2 if i == 1 else 2.2, start)
        if i == 1:
            lit = (0.35 + 0.65 * lit) * ambient
        else:
            lit *= soft_shadow(
                x + nx * 0.01,
                y + ny * 0.01,
                z + nz * 0.01,
                lamp[0],
                lamp[1],
                lamp[2],
                5.0 if i == 0 else 8.0,
                p,
            )
        if material == TEETH:
            lit = 0.45 + 0.55 * lit
        q = max((nx * lamp[0] + ny * lamp[1] + nz * lamp[2]) * 0.92 + 0.08, 0.0) * lit
        r, g, b = r + lamp[3] * q, g + lamp[4] * q, b + lamp[5] * q
        s = highlight(nx, ny, nz, dx, dy, dz, lamp, rough, f0) * lit
        sr, sg, sb = sr + lamp[3] * s, sg + lamp[4] * s, sb + lamp[5] * s
    up = 0.5 + 0.5 * ny
    open_sky = 0.35 + 0.65 * transmittance(hair, x, y, z, nx * 0.7, ny * 0.7 + 0.3, nz * 0.7, 0.9, start)
    around = lights[4]
    r += (around[0] * up + around[3] * (1 - up)) * ambient * open_sky + sheen * around[0]
    g += (around[1] * up + around[4] * (1 - up)) * ambient * open_sky + sheen * around[1]
    b += (around[2] * up + around[5] * (1 - up)) * ambient * open_sky + sheen * around[2]
    return cavity * (c[0] * r + sr), cavity * (c[1] * g + sg), cavity * (c[2] * b + sb)


@kernel
def shade_eye(x: float, y: float, z: float, p: Params, hair: Array, lights: Array, start: float) -> Colour:
    """A white eyeball under lamps and lids; the live renderer multiplies sclera and iris into it."""
    if p.eye_mode == 1.0:
        return 0.0, 0.0, 0.0
    if p.eye_mode == 2.0:
        return 1.0, 1.0, 1.0
    side = 1.0 if x > 0 else -1.0
    ball = BALL * p.eye_size
    ex, ey, ez = (x - side * p.eye_x) / ball, (y - p.eye_y) / ball, (z - BALL_Z) / ball
    r, g, b = 0.0, 0.0, 0.0
    for i in range(4):
        lamp = lights[i]
        lit = transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2, start)
        if i != 1:
            lit *= soft_shadow(x + ex * 0.01, y + ey * 0.01, z + ez * 0.01, lamp[0], lamp[1], lamp[2], 5.0, p)
        else:
            lit *= occlusion(x, y, z, ex, ey, ez, p)
        q = max((ex * lamp[0] + ey * lamp[1] + ez * lamp[2] + 0.35) / 1.35, 0.0) * (0.45 + 0.55 * lit)
        r, g, b = r + lamp[3] * q, g + lamp[4] * q, b + lamp[5] * q
    up, ambient = 0.5 + 0.5 * ey, occlusion(x, y, z, ex, ey, ez, p)
    around = lights[4]
    r += (around[0] * up + around[3] * (1 - up)) * ambient
    g += (around[1] * up + around[4] * (1 - up)) * ambient
    b += (around[2] * up + around[5] * (1 - up)) * ambient
    lid = lid_shade(side * ex, ey, ez, closure_at(x, p), p)
    return r * lid, g * lid, b * lid


@kernel
def shade(
    x: float, y: float, z: float, dx: float, dy: float, dz: float, material: int,
    p: Params, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    """Linear colour of the surface point (x, y, z) seen along d."""
    if material == SKIN:
        return shade_skin(x, y, z, dx, dy, dz, p, hair, lights, start)
    if material == EYE:
        return shade_eye(x, y, z, p, hair, lights, start)
    return shade_solid(x, y, z, dx, dy, dz, material, p, hair, lights, start)
