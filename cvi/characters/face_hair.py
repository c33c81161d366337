"""Brows, lashes and beards: short strands rooted on the modelled surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.characters.eyes_and_mouth import BALL, BALL_Z, LINE_Y, half_width, lid_edges, lips_at
from cvi.characters.head import JAW_DROP, head_distance
from cvi.characters.kernel import EYE, SKIN, Array, Params, kernel
from cvi.characters.strands import smooth, unit

TUFT = 0.085  # width of a tuft of lashes, eyeball radii


@dataclass(frozen=True, slots=True)
class BrowOptions:
    """`count` hairs a side; `height` of the brow's line, `arch` its rise, `inner` and `outer` its ends in x;
    head units."""

    count: int = 850
    thick: float = 0.036
    length: float = 0.078
    arch: float = 0.055
    height: float = 0.240
    inner: float = 0.115
    outer: float = 0.50
    width_px: float = 0.65
    tilt: float = 0.0  # radians the line falls outwards
    seed: int = 11


@dataclass(frozen=True, slots=True)
class LashOptions:
    """`count` lashes on each lid; `length` head units; `width_px` pixels of 720."""

    count: int = 84
    length: float = 0.034
    width_px: float = 1.0
    seed: int = 12


@dataclass(frozen=True, slots=True)
class BeardOptions:
    """`count` hairs; 0..1: `high` the edge on the cheek, `sides` up to the ears, `moustache`, `chin`."""

    count: int = 0
    length: float = 0.10
    high: float = 0.5
    sides: float = 1.0
    moustache: float = 1.0
    chin: float = 1.0
    width_px: float = 0.63
    curl: float = 0.25
    grey: float = 0.0
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
        y -= o.tilt * (x - 0.3)
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


@kernel
def _lid_margin(x: float, low: float, high: float, p: Params) -> tuple[float, float, bool]:
    """The visible edge of the lid over the eyeball at x, between two heights: y, z, and whether there is
    one."""
    y, found = low, False
    while y < high:
        z, material = 0.95, SKIN
        for _ in range(40):
            d, material = head_distance(x, y, z, p)
            if d < 0.001:
                break
            z -= 0.8 * d
        if material == EYE:
            found = True
        elif found:
            return y, z, True
        y += 0.003
    return 0.0, 0.0, False


def make_lashes(o: LashOptions, p: Params, upper: bool) -> Array:
    """Strands (n, 6, 3) of both eyes: short, uneven, longer outwards."""
    rng = np.random.default_rng(o.seed + upper)
    bare = p.copy()
    bare["glasses"] = 0.0
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
        # Skin above the eye may hang lower than the lid's own edge.
        margin, seen = root.copy(), np.zeros(o.count, bool)
        for k, (high, low) in enumerate(edges):
            bottom, top = (float(p["eye_y"]) + across[k] * math.sin(a) for a in (low, high - 0.015))
            y, z, seen[k] = _lid_margin(side * (float(p["eye_x"]) + ex[k]), bottom, top + 0.02, bare)
            if seen[k]:
                margin[k, 1:] = y + 0.002 - float(p["eye_y"]), z - BALL_Z
        short = _beside_the_eye(along, margin, seen, max(closure, 0.0))
        if upper:
            root = margin
        length = o.length * np.interp(along, [-0.9, -0.4, 0.5, 0.9], [0.30, 0.65, 1.1, 1.2])
        length = length * rng.uniform(0.50, 1.12, o.count) * short * (1.0 if upper else 0.42)
        lift = 1.0 if upper else -1.0
        fan = 0.22 + 0.85 * along + rng.normal(0, 0.10, o.count)
        if upper:  # tips lean together in tufts of three or four; evenly spaced they look like a comb
            middle = (np.floor(along / TUFT) + 0.5 + rng.normal(0, 0.15, o.count)) * TUFT
            fan += 0.6 * (middle - along) * ball / np.maximum(0.95 * length, 0.3 * o.length)
        rise = np.stack([fan, np.full(o.count, lift), np.zeros(o.count)], 1)
        shut = max(closure, 0.0) if upper else 0.0
        bend = unit(root)[:, None] * t * 0.95 + rise[:, None] * (t * t * 0.95 * (1 - 1.95 * shut))
        strands = root[:, None] + bend * length[:, None, None]
        strands += np.array([float(p["eye_x"]), float(p["eye_y"]), BALL_Z])
        sides.append(strands[short > 0.15] * np.array([side, 1, 1]))
    return np.concatenate(sides)


def _beside_the_eye(along: Array, root: Array, seen: npt.NDArray[np.bool_], closure: float) -> Array:
    """Relative lengths of the lashes along a lid: where skin hides the lid's edge they fade out.

    `root` is changed in place: hidden lashes next to `seen` ones are rooted as if the visible edge went on.
    """
    share, there = np.ones(len(along)), np.flatnonzero(seen)
    if not len(there):  # the eye is shut, and the whole lid is visible
        return share
    hidden = np.flatnonzero(~seen)
    next_to = there[np.abs(along[hidden, None] - along[there]).argmin(1)]
    away = np.abs(along[hidden] - along[next_to])
    open_ = 1 - float(smooth(0.45, 0.85, np.array(closure)))
    share[hidden] = 1 - open_ * np.clip(away / 0.10, 0, 1)
    root[hidden, 1:] = open_ * root[next_to, 1:] + (1 - open_) * root[hidden, 1:]
    return share


def make_beard(o: BeardOptions, p: Params) -> tuple[Array, Array]:
    """Strands (n, 7, 3) rooted on cheeks, lip and chin, following the jaw, and the opacity of each (n,)."""
    rng = np.random.default_rng(o.seed)
    rest = make_rest(p)
    kept_x, kept_y, kept_w = [], [], []
    total = 0
    width, lip = half_width(rest), LINE_Y
    while total < o.count:
        x, y = rng.uniform(-0.72, 0.72, 4 * o.count), rng.uniform(-1.12, -0.10, 4 * o.count)
        ax = np.abs(x)
        face = 0.64 - 0.30 * smooth(-0.55, -1.02, y)
        # cheek: from the sideburn down in a curve to the corner of the mouth
        edge = -0.62 + 0.16 * o.high + (0.38 - 0.05 * o.high) * smooth(0.34, 0.60, ax) * o.sides
        cheek = smooth(-0.02, 0.05, edge - y) * smooth(0.10, 0.22, ax) * o.sides
        under = smooth(-0.72, -0.78, y) * o.chin * smooth(0.52, 0.30, ax + 0.15 * (1 - o.sides))
        soul = smooth(0.09, 0.05, ax) * smooth(-0.64, -0.66, y) * o.chin
        # a moustache thins and falls towards the corners of the mouth, and parts under the nose
        aside = np.maximum(ax - 0.04, 0.0)
        low, high = lip + 0.062 - 0.16 * aside, lip + 0.172 - 0.36 * aside
        top = smooth(-0.002, 0.016, y - low) * smooth(0.0, 0.045, high - y)
        tash = top * smooth(-0.07, 0.03, width - ax) * o.moustache * (0.6 + 0.4 * smooth(0.005, 0.03, ax))
        drop = smooth(width + 0.00, width + 0.03, ax) * smooth(width + 0.15, width + 0.10, ax)
        drop = drop * smooth(lip + 0.08, lip + 0.02, y) * smooth(-0.95, -0.80, y) * min(o.moustache, o.chin)
        lips = ((ax / (width + 0.03)) ** 2 + ((y - lip + 0.01) / 0.098) ** 2) < 1
        want = np.clip(np.maximum.reduce([cheek, under, soul, tash, drop]), 0, 1) * (ax < face) * ~lips
        keep = rng.uniform(size=len(x)) < want
        kept_x.append(x[keep])
        kept_y.append(y[keep])
        kept_w.append(want[keep])
        total += int(keep.sum())
    x, y, weight = (np.concatenate(part)[: o.count] for part in (kept_x, kept_y, kept_w))
    z = surface_z(x, y, rest)
    share = smooth(-0.42, -0.95, y) * smooth(-0.12, 0.52, z) * float(p["jaw"])
    posed_y = y - JAW_DROP * share
    # the skin over the lips goes with them
    rise = np.exp(-((np.abs(x) / 0.30) ** 2) - ((y - lip - 0.12) / 0.09) ** 2)
    _, line, gap_up, _, _, _, _, _ = lips_at(0.0, p)
    posed_y = posed_y + rise * (line + gap_up - lips_at(0.0, rest)[1])
    drawn = np.exp(-(((y - lip) / 0.25) ** 2) - (x / 0.36) ** 4)  # in by rounded lips; the cheeks stay
    posed_x = x * (1 - 0.40 * float(p["round"]) * drawn)
    z = surface_z(posed_x, posed_y, p)
    t = np.linspace(0, 1, 7)[None]
    n = len(x)  # the same strands in every pose, or they would flicker; those off the face are hidden
    seen = z > -0.25
    length = o.length * rng.uniform(0.55, 1.15, n) * (0.45 + 0.55 * weight)
    length *= 0.55 + 0.45 * smooth(-0.35, -0.85, y)
    above = (y > lip + 0.02) & (np.abs(x) < width + 0.05)
    length *= np.where(above, 1.35, 1.0)
    angle = np.where(above, np.sign(x) * 0.95, 0.45 * np.sign(x) * np.clip(np.abs(x) / 0.6, 0, 1))
    angle = angle + rng.normal(0, 0.28, n)
    bend = angle[:, None] + o.curl * rng.normal(0, 1.0, n)[:, None] * t * 2
    stride = length[:, None] / 6
    aside, down = stride * np.sin(bend), stride * np.cos(bend)
    aside[:, 0], down[:, 0] = 0.0, 0.0
    xs, ys = posed_x[:, None] + np.cumsum(aside, 1), posed_y[:, None] - np.cumsum(down, 1)
    end = surface_z(xs[:, -1], ys[:, -1], p)
    end = np.where(np.abs(end - z) > 1.2 * length, z - 0.35 * length, end)
    zs = z[:, None] * (1 - t) + end[:, None] * t + 0.004 + 0.30 * length[:, None] * np.sin(t * math.pi * 0.5)
    return np.stack([xs, ys, zs], -1), (0.35 + 0.6 * weight) * seen


def make_rest(p: Params) -> Params:
    """The same head with its mouth at rest."""
    rest = p.copy()
    for name in ("jaw", "wide", "round", "press", "tuck", "tongue", "lip_raise"):
        rest[name] = 0.0
    return rest
