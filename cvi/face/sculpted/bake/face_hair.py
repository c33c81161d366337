"""Brows, lashes and beard: short strands that grow on the modelled surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cvi.face.sculpted.bake.eye_shape import BALL, BALL_Z, lid_edges
from cvi.face.sculpted.bake.head import head_distance
from cvi.face.sculpted.bake.kernel import Array, Params, kernel
from cvi.face.sculpted.bake.strands import smooth, unit


@dataclass(frozen=True, slots=True)
class BrowOptions:
    """`count` hairs a side; `height` of the line, `arch` its rise, `inner` and `outer` its ends in x."""

    count: int = 560
    thick: float = 0.036
    length: float = 0.078
    arch: float = 0.05
    height: float = 0.265
    inner: float = 0.115
    outer: float = 0.50
    seed: int = 11


@dataclass(frozen=True, slots=True)
class LashOptions:
    count: int = 84
    length: float = 0.034
    width_px: float = 1.0
    seed: int = 12


@dataclass(frozen=True, slots=True)
class BeardOptions:
    count: int = 0
    length: float = 0.085
    seed: int = 13


@kernel
def _surface_z(xs: Array, ys: Array, p: Params, out: Array) -> None:
    for i in range(xs.shape[0]):
        z = 1.3
        for _ in range(90):
            d = head_distance(xs[i], ys[i], z, p)[0]
            if d < 0.0006 or z < -1:
                break
            z -= d * 0.7
        out[i] = z


def surface_z(x: Array, y: Array, p: Params) -> Array:
    """Depth of the head's front at (x, y), arrays of shape (n,)."""
    out = np.empty(len(x))
    _surface_z(np.ascontiguousarray(x, float), np.ascontiguousarray(y, float), p, out)
    return out


def make_brows(o: BrowOptions, p: Params) -> tuple[Array, Array]:
    """Strands (n, 5, 3) of both brows and the opacity of each."""
    rng = np.random.default_rng(o.seed)
    sides = []
    t = np.linspace(0, 1, 5)[None]
    for side in (-1, 1):
        u, v = rng.uniform(0, 1, o.count) ** 0.9, rng.uniform(-1, 1, o.count)
        half = o.thick * (1 - 0.72 * u**1.6) * (0.55 + 0.45 * smooth(0, 0.12, u))
        x = o.inner + (o.outer - o.inner) * u
        y = o.height + o.arch * np.sin(np.clip(u / 0.68, 0, 1.6) * math.pi / 2)
        y += -0.055 * np.clip((u - 0.62) / 0.38, 0, 1) ** 1.4 + v * half
        angle = np.radians(np.interp(u, [0, 0.15, 0.5, 0.8, 1], [78, 48, 18, -12, -28]))
        angle = angle - v * np.radians(np.interp(u, [0, 0.3, 1], [5, 22, 16])) + rng.normal(0, 0.08, o.count)
        length = o.length * rng.uniform(0.7, 1.1, o.count) * np.interp(u, [0, 0.2, 1], [0.75, 1, 0.75])
        bent = angle[:, None] - 0.35 * t * np.where(v > 0, 1, -0.4)[:, None]
        xs = (x[:, None] + length[:, None] * t * np.cos(bent)) * side
        ys = y[:, None] + length[:, None] * t * np.sin(bent)
        z0, z1 = surface_z(xs[:, 0], ys[:, 0], p), surface_z(xs[:, -1], ys[:, -1], p)
        zs = z0[:, None] * (1 - t) + z1[:, None] * t + 0.006 + 0.010 * np.sin(t * math.pi)
        sides.append(np.stack([xs, ys, zs], -1))
    strands = np.concatenate(sides)
    return strands, 0.35 + 0.65 * smooth(o.inner, o.inner + 0.10, np.abs(strands[:, 0, 0]))


def make_lashes(o: LashOptions, p: Params, upper: bool) -> Array:
    """Strands (n, 6, 3) of both eyes: short, uneven, longer outwards."""
    rng = np.random.default_rng(o.seed + upper)
    ball = BALL * float(p["eye_size"])
    t = np.linspace(0, 1, 6)[None, :, None]
    sides = []
    for side in (-1, 1):
        closure = float(p["lid_right"] if side > 0 else p["lid_left"])
        along = np.sort(rng.uniform(-0.68, 0.90, o.count))
        edges = np.array([lid_edges(a, closure, p)[:2] for a in along])
        angle = edges[:, 0] - 0.015 if upper else edges[:, 1]
        radius, ex = ball * 1.115, along * ball * 1.02
        across = np.sqrt(np.maximum(radius**2 - ex**2, 1e-4))
        root = np.stack([ex, across * np.sin(angle), across * np.cos(angle)], 1)
        length = o.length * np.interp(along, [-0.9, -0.4, 0.5, 0.9], [0.30, 0.65, 1.1, 1.2])
        length = length * rng.uniform(0.45, 1.15, o.count) * (1.0 if upper else 0.42)
        lift = 1.0 if upper else -1.0
        fan = 0.22 + 0.85 * along + rng.normal(0, 0.16, o.count)
        rise = np.stack([fan, np.full(o.count, lift), np.zeros(o.count)], 1)
        shut = max(closure, 0.0) if upper else 0.0
        bend = unit(root)[:, None] * t * 0.95 + rise[:, None] * (t * t * 0.95 * (1 - 1.35 * shut))
        strands = root[:, None] + bend * length[:, None, None]
        strands += np.array([float(p["eye_x"]), float(p["eye_y"]), BALL_Z])
        sides.append(strands * np.array([side, 1, 1]))
    return np.concatenate(sides)


def make_beard(o: BeardOptions, p: Params) -> Array:
    """Strands (n, 6, 3) below a line from the sideburns over the cheeks to the moustache."""
    rng = np.random.default_rng(o.seed)
    x, y = rng.uniform(-0.66, 0.66, o.count * 4), rng.uniform(-1.18, -0.08, o.count * 4)
    ax = np.abs(x)
    line = np.interp(ax, [0, 0.10, 0.26, 0.36, 0.5, 0.62], [-0.42, -0.43, -0.52, -0.52, -0.36, -0.05])
    width, jaw = 0.27 * float(p["mouth_width"]), float(p["jaw"])
    mouth = (x / (width * 1.02)) ** 2 + ((y + 0.565 + 0.11 * jaw) / (0.085 + 0.135 * jaw)) ** 2 < 1
    keep = (y < line + rng.normal(0, 0.02, len(x))) & ~mouth
    keep |= (ax < 0.27) & (y < -0.40) & (y > -0.50) & (ax > 0.012) & ~mouth
    keep &= ~((ax > 0.06) & (ax < 0.17) & (y < -0.69) & (y > -0.76) & (rng.uniform(size=len(x)) < 0.75))
    x, y = x[keep][: o.count], y[keep][: o.count]
    z = surface_z(x, y, p)
    x, y, z = x[z > -0.25], y[z > -0.25], z[z > -0.25]
    ax, n = np.abs(x), len(x)
    lip = (y > -0.56) & (ax < 0.34)
    comb = np.stack(
        [
            np.where(lip, np.sign(x) * (0.75 + 0.4 * ax), np.sign(x) * 0.06 - 0.15 * x),
            np.where(lip, -0.42, -1.0),
            np.where(lip, 0.25, 0.12),
        ],
        1,
    )
    comb = unit(comb + rng.normal(0, 0.14, comb.shape))
    e = 0.03
    slope_x = (surface_z(x - e, y, p) - surface_z(x + e, y, p)) / (2 * e)
    slope_y = (surface_z(x, y - e, p) - surface_z(x, y + e, p)) / (2 * e)
    normal = unit(np.stack([np.clip(slope_x, -3, 3), np.clip(slope_y, -3, 3), np.ones(n)], 1))
    comb = unit(comb - normal * (comb * normal).sum(1)[:, None] * 0.9)
    length = o.length * rng.uniform(0.6, 1.1, n) * np.where(lip, 0.8, 1.0)
    length = (length * np.interp(y, [-1.1, -0.8, -0.2], [1.25, 1.0, 0.6]))[:, None, None]
    t = np.linspace(0, 1, 6)[None, :, None]
    out = comb[:, None] * t + normal[:, None] * (0.35 * np.sin(t * 2.2)) + np.array([0, -1, 0]) * t * t * 0.25
    return np.stack([x, y, z], 1)[:, None] + out * length
