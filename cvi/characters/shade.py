"""Shading of a surface point, in linear light.

Skin has one normal per colour channel, taken from the distance field at different scales: red light travels
furthest under the skin, so it is shaded by the smoothest surface.
"""

from __future__ import annotations

import math

from cvi.characters.eyes_and_mouth import (
    BALL,
    BALL_Z,
    closure_at,
    glint,
    half_width,
    iris_colour,
    lid_shade,
    lips_at,
    sclera_colour,
)
from cvi.characters.kernel import (
    CLOTH,
    EYE,
    METAL,
    SKIN,
    TEETH,
    UNDERSHIRT,
    Array,
    Colour,
    Params,
    bell,
    kernel,
    noise3,
    step,
)
from cvi.characters.materials import (
    base_colour,
    cloth_colour,
    lid_colour,
    solid_colour,
    with_freckles,
    with_hair_roots,
    with_lips,
    wrinkle,
)
from cvi.characters.scene import (
    CELL,
    Grid,
    distance_at,
    normal_at,
    occlusion,
    soft_normal,
    soft_shadow,
    transmittance,
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
def ambient_light(y: float, nx: float, ny: float, nz: float, p: Params, lights: Array) -> Colour:
    """Light of the sky from above, of the ground from below, and reflected by the clothes onto throat and
    jaw."""
    up, around = 0.5 + 0.5 * ny, lights[4]
    bounce = 1.5 * max(-0.75 * ny + 0.35 * nz, 0.0) * step(0.1, -1.2, y)
    return (
        around[0] * up + around[3] * (1 - up) + bounce * p.cloth[0],
        around[1] * up + around[4] * (1 - up) + bounce * p.cloth[1],
        around[2] * up + around[5] * (1 - up) + bounce * p.cloth[2],
    )


@kernel
def rim_share(x: float, y: float, z: float, eye: float, p: Params) -> float:
    """Share of the lamps behind the head that reaches a point, 0..1; `eye`: its distance from the eye.

    Little of it reaches lips and lids, whose small ridges the sampled field does not resolve for shadows.
    """
    if z < 0.3:
        return 1.0
    mouth = math.sqrt((x / (1.25 * half_width(p))) ** 2 + ((y - lips_at(x, p)[1]) / 0.15) ** 2)
    return (1 - 0.92 * step(0.33, 0.21, eye)) * (1 - 0.95 * step(1.25, 0.90, mouth))


@kernel
def _with_fine_relief(
    x: float, y: float, z: float, nx: float, ny: float, nz: float, bx: float, by: float, lip: float, p: Params
) -> tuple[float, float, float, float, float]:
    """The normal, and x and y of the blue normal, with pores or the lips' lines, and wrinkles."""
    pore = noise3(x * 95, y * 95, z * 95)
    px = noise3(x * 95 + 0.35, y * 95, z * 95) - pore
    py = noise3(x * 95, y * 95 + 0.35, z * 95) - pore
    depth = (0.085 + 0.040 * p.age) * (1 - lip)
    if lip > 0.01:
        px = (noise3((x + 0.004) * 70, y * 7, 3.0) - noise3(x * 70, y * 7, 3.0)) * 2.0 * lip
        depth = 0.06
    nx += depth * px
    ny += depth * py
    if p.age > 0.0 and z > 0.3:
        wx, wy = wrinkle(x, y, z, p)
        nx, ny = nx + wx, ny + wy
        bx, by = bx + 0.5 * wx, by + 0.5 * wy
    scale = 1 / math.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    return nx, ny, nz, bx, by


@kernel
def _lamps_on_skin(
    x: float, y: float, z: float, dx: float, dy: float, dz: float,
    normal: Colour, red: Colour, blue: Colour,
    ambient: float, rough: float, f0: float, thin: float, behind: float,
    p: Params, grid: Grid, hair: Array, lights: Array, start: float,
) -> tuple[float, float, float, float, float, float]:  # fmt: skip
    """Diffuse and specular light (r, g, b each) of the four lamps on skin with the normals of fine relief,
    red and blue.

    `thin`: how much of the light behind passes an ear; `behind`: `rim_share`.
    """
    nx, ny, nz = normal
    rx, ry, rz = red
    bx, by, bz = blue
    r, g, b, sr, sg, sb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(4):
        lamp = lights[i]
        soft = rx * lamp[0] + ry * lamp[1] + rz * lamp[2]
        firm = bx * lamp[0] + by * lamp[1] + bz * lamp[2]
        if thin == 0.0 and soft < -0.34 and firm < -0.16 and nx * lamp[0] + ny * lamp[1] + nz * lamp[2] < 0:
            continue  # a rim behind a cheek: nothing of it arrives
        if i == 1:
            lit = (
                0.35 + 0.65 * transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2, start)
            ) * ambient
        else:
            hard, off = (4.0, 0.02) if i == 0 else (5.0, 0.055)
            lit = soft_shadow(x + bx * off, y + by * off, z + bz * off, lamp[0], lamp[1], lamp[2], hard, grid)
            lit *= transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 2.2 if i == 0 else 4.0, start)
            lit *= 1.0 if i == 0 else behind
        some = max(lit, 1e-6)
        r += lamp[3] * max((soft + 0.34) / 1.34, 0.0) * some**0.62
        g += lamp[4] * max((0.45 * soft + 0.55 * firm + 0.16) / 1.16, 0.0) * some**0.88
        b += lamp[5] * max((firm + 0.08) / 1.08, 0.0) * lit
        if thin > 0.0 and i > 0:
            through = thin * max(-soft + 0.3, 0.0)
            r, g = r + 0.40 * lamp[3] * through, g + 0.10 * lamp[4] * through
        s = (
            0.85 * highlight(nx, ny, nz, dx, dy, dz, lamp, rough, f0)
            + 0.13 * p.oil * highlight(nx, ny, nz, dx, dy, dz, lamp, 0.62 * rough, f0)
        ) * lit
        s *= 1.0 if i < 2 else 0.65  # at grazing angles skin scatters what metal would mirror
        sr, sg, sb = sr + lamp[3] * s, sg + lamp[4] * s, sb + lamp[5] * s
    return r, g, b, sr, sg, sb


@kernel
def shade_skin(
    x: float, y: float, z: float, dx: float, dy: float, dz: float, plain: bool,
    p: Params, grid: Grid, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    """Linear colour of skin at a point seen along d; parameters as in `shade`."""
    eye = math.sqrt((abs(x) - p.eye_x) ** 2 + (y - p.eye_y) ** 2) if z > 0.2 else 9.0
    if plain and eye > 0.36:  # folds of the lids are finer than the grid's cells
        nx, ny, nz = soft_normal(x, y, z, CELL, grid)
    else:
        nx, ny, nz = normal_at(x, y, z, 0.0015, p)
    fine = 0.35 + 0.65 * step(0.18, 0.36, eye)
    rx, ry, rz = soft_normal(x, y, z, 2 * CELL * fine, grid)
    bx, by, bz = soft_normal(x, y, z, CELL * fine, grid)
    k = 0.5 * fine  # blue sees part of the finest relief too
    bx, by, bz = bx * k + nx * (1 - k), by * k + ny * (1 - k), bz * k + nz * (1 - k)
    ambient = occlusion(x, y, z, bx, by, bz, grid)
    colour = base_colour(x, y, z, p)
    if abs(x) < 0.75 and abs(y - p.eye_y) < 0.3 and z > 0.3:
        colour = lid_colour(colour, x, y, z, p)
    colour = with_freckles(colour, x, y, z, p)
    colour = with_hair_roots(colour, x, y, z, p, hair)
    zone = bell(x, 0.22) * step(-0.6, 0.1, y)  # forehead and nose shine more than cheeks
    throat = 0.10 * step(-0.9, -1.2, y)
    rough, f0 = 0.47 + throat - 0.05 * zone * p.oil, 0.028 * (0.4 + 0.6 * p.oil) * (1 - 4 * throat)
    f0 *= 1 - 0.55 * step(0.32, 0.22, eye)  # thin skin, always a little powdered
    cavity, lip = 1.0, 0.0
    if z > 0.2 and -1.1 < y < -0.3 and abs(x) < 0.45:
        colour, lip, seam, t, cavity, left = with_lips(colour, x, y, z, p)
        ambient *= left
        rough = rough * (1 - lip) + 0.37 * lip
        f0 = (f0 * (1 - lip) + 0.040 * lip) * (1 - 0.8 * seam)
        f0 *= 1 - 0.9 * step(0.75, 0.97, t) * step(0.09, 0.05, abs(y - lips_at(x, p)[1]))  # no wet corners
    nx, ny, nz, bx, by = _with_fine_relief(x, y, z, nx, ny, nz, bx, by, lip, p)
    thin = 0.0
    if abs(x) > 0.6 and abs(y) < 0.45:  # ears let the rims' light through
        thin = step(-0.10, -0.01, distance_at(x - nx * 0.07, y - ny * 0.07, z - nz * 0.07, grid))
    behind = rim_share(x, y, z, eye, p)
    r, g, b, sr, sg, sb = _lamps_on_skin(
        x, y, z, dx, dy, dz, (nx, ny, nz), (rx, ry, rz), (bx, by, bz), ambient, rough, f0, thin, behind,
        p, grid, hair, lights, start,
    )  # fmt: skip
    open_sky = 0.35 + 0.65 * transmittance(hair, x, y, z, bx * 0.7, by * 0.7 + 0.3, bz * 0.7, 0.9, start)
    around = ambient_light(y, bx, by, bz, p, lights)
    r += around[0] * ambient**0.70 * open_sky
    g += around[1] * ambient * open_sky
    b += around[2] * ambient**1.05 * open_sky
    facing = max(-(nx * dx + ny * dy + nz * dz), 0.0)
    sheen = 0.26 * p.oil * (1 - facing) ** 5 * ambient * open_sky * (0.6 + 0.4 * ny)
    # down of fine hair at grazing angles: what keeps a cheek's outline from looking like plastic
    velvet = 0.22 * (1 - facing) ** 3 * ambient * open_sky
    return (
        cavity * (colour[0] * (r + velvet * r) + sr) + sheen * lights[4, 0],
        cavity * (colour[1] * (g + velvet * r) + sg) + sheen * lights[4, 1],
        cavity * (colour[2] * (b + velvet * r) + sb) + sheen * lights[4, 2],
    )


@kernel
def shade_solid(
    x: float, y: float, z: float, dx: float, dy: float, dz: float, material: int, plain: bool,
    p: Params, grid: Grid, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    """Teeth, tongue, cloth, metal and frames: one normal, one albedo."""
    if plain:
        nx, ny, nz = soft_normal(x, y, z, CELL, grid)
    else:
        nx, ny, nz = normal_at(x, y, z, 0.0015, p)
    ambient, cavity, sheen = occlusion(x, y, z, nx, ny, nz, grid), 1.0, 0.0
    if material in (CLOTH, UNDERSHIRT):
        c, nx, ny, nz = cloth_colour(x, y, z, nx, ny, nz, material, p)
        rough, f0 = 0.85, 0.02
        facing = max(-(nx * dx + ny * dy + nz * dz), 0.0)
        sheen = 0.55 * (1 - facing) ** 3 * ambient
    else:
        c, rough, f0, cavity = solid_colour(x, y, z, material, p)
        if material == TEETH:
            ambient = 0.45 + 0.55 * ambient
    r, g, b, sr, sg, sb = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(4):
        lamp = lights[i]
        facing = nx * lamp[0] + ny * lamp[1] + nz * lamp[2]
        if facing < -0.09:
            continue
        lit = transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2 if i == 1 else 2.2, start)
        if i == 1:
            lit = (0.35 + 0.65 * lit) * ambient
        else:
            off = 0.02 if i == 0 else 0.055
            lit *= soft_shadow(
                x + nx * off, y + ny * off, z + nz * off, lamp[0], lamp[1], lamp[2],
                5.0, grid,
            )  # fmt: skip
        if material == TEETH:
            lit = 0.45 + 0.55 * lit
        q = max(facing * 0.92 + 0.08, 0.0) * lit
        r, g, b = r + lamp[3] * q, g + lamp[4] * q, b + lamp[5] * q
        s = highlight(nx, ny, nz, dx, dy, dz, lamp, rough, f0) * lit
        sr, sg, sb = sr + lamp[3] * s, sg + lamp[4] * s, sb + lamp[5] * s
    open_sky = 0.35 + 0.65 * transmittance(hair, x, y, z, nx * 0.7, ny * 0.7 + 0.3, nz * 0.7, 0.9, start)
    around = ambient_light(1.0, nx, ny, nz, p, lights)
    r += around[0] * ambient * open_sky + sheen * lights[4, 0]
    g += around[1] * ambient * open_sky + sheen * lights[4, 1]
    b += around[2] * ambient * open_sky + sheen * lights[4, 2]
    if material == METAL:
        sr, sg, sb = sr * c[0] + 0.3 * r, sg * c[1] + 0.3 * g, sb * c[2] + 0.3 * b
    return cavity * (c[0] * r + sr), cavity * (c[1] * g + sg), cavity * (c[2] * b + sb)


@kernel
def shade_eye(
    x: float, y: float, z: float, p: Params, grid: Grid, hair: Array, lights: Array, start: float
) -> Colour:
    """By `eye_mode`: 0 the whole eye looking ahead, 1 black, 2 white, 3 a white eyeball lit by lamps and
    shaded by lids, by which the live renderer multiplies sclera and iris."""
    if p.eye_mode == 1.0:
        return 0.0, 0.0, 0.0
    if p.eye_mode == 2.0:
        return 1.0, 1.0, 1.0
    side = 1.0 if x > 0 else -1.0
    ball = BALL * p.eye_size
    ex, ey, ez = (x - side * p.eye_x) / ball, (y - p.eye_y) / ball, (z - BALL_Z) / ball
    r, g, b = 0.0, 0.0, 0.0
    ambient = occlusion(x, y, z, ex, ey, ez, grid)
    for i in range(4):
        lamp = lights[i]
        lit = transmittance(hair, x, y, z, lamp[0], lamp[1], lamp[2], 1.2, start)
        if i != 1:
            lit *= soft_shadow(
                x + ex * 0.02, y + ey * 0.02, z + ez * 0.02, lamp[0], lamp[1], lamp[2], 5.0, grid
            )
        else:
            lit *= ambient
        q = max((ex * lamp[0] + ey * lamp[1] + ez * lamp[2] + 0.35) / 1.35, 0.0) * (0.45 + 0.55 * lit)
        r, g, b = r + lamp[3] * q, g + lamp[4] * q, b + lamp[5] * q
    up, around = 0.5 + 0.5 * ey, lights[4]
    r += (around[0] * up + around[3] * (1 - up)) * ambient
    g += (around[1] * up + around[4] * (1 - up)) * ambient
    b += (around[2] * up + around[5] * (1 - up)) * ambient
    lid = lid_shade(side * ex, ey, ez, closure_at(x, p), p)
    r, g, b = r * lid, g * lid, b * lid
    if p.eye_mode == 3.0:
        return r, g, b
    white = sclera_colour(ex)
    a = ex + side * 0.035
    iris, cover = iris_colour(a, ey, lights[0, 0], lights[0, 1], p)
    mirror = glint(ex, ey, ez, lights[5])
    return (
        r * (white[0] * (1 - cover) + iris[0] * cover) + 3.0 * mirror,
        g * (white[1] * (1 - cover) + iris[1] * cover) + 3.0 * mirror,
        b * (white[2] * (1 - cover) + iris[2] * cover) + 3.0 * mirror,
    )


@kernel
def shade(
    x: float, y: float, z: float, dx: float, dy: float, dz: float, material: int, plain: bool,
    p: Params, grid: Grid, hair: Array, lights: Array, start: float,
) -> Colour:  # fmt: skip
    """Linear colour of the surface point (x, y, z) seen along d; `plain`: its cell's samples suffice
    (`march`)."""
    if material == SKIN:
        return shade_skin(x, y, z, dx, dy, dz, plain, p, grid, hair, lights, start)
    if material == EYE:
        return shade_eye(x, y, z, p, grid, hair, lights, start)
    return shade_solid(x, y, z, dx, dy, dz, material, plain, p, grid, hair, lights, start)
