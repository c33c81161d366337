"""Brows and lashes: short strands that grow on the modelled surface."""

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
        bend = unit(root)[:, None] * t * 0.95 + rise[:, None] * (t * t * 0.95 * (1 - 1.95 * shut))
        strands = root[:, None] + bend * length[:, None, None]
        strands += np.array([float(p["eye_x"]), float(p["eye_y"]), BALL_Z])
        sides.append(strands * np.array([side, 1, 1]))
    return np.concatenate(sides)
