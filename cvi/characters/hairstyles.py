"""Hairstyles: where hair grows on the head, its direction and length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.characters.kernel import Array, Params
from cvi.characters.scene import Grid
from cvi.characters.strands import along_blur, clump, grow, push_out, smooth, unit
from cvi.errors import UsageError

CENTRE = np.array([0.0, 0.20, -0.14])
Grown = tuple[Array, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class HairOptions:
    """`count` strands of `length` head units; `curl` is a radius, `part` the parting's x.

    sweep: combed to the viewer's right (positive) or left; forward: 0 back .. 1 onto the forehead;
    lift: how far it stands off the head; recede: raises the hairline; bald: thins the crown;
    sides: length at the temples as a share; fringe: 0..1, hair cut across the forehead;
    frame: locks that fall beside the face; tuck: hair behind the ears.
    """

    style: str = "long"
    count: int = 46000
    seed: int = 3
    length: float = 1.9
    curl: float = 0.05
    turns: float = 1.7
    guides: int = 900
    clumping: float = 0.62
    volume: float = 0.10
    part: float = 0.0
    sweep: float = 0.6
    forward: float = 0.0
    lift: float = 0.5
    recede: float = 0.0
    bald: float = 0.0
    peak: float = 0.0
    sides: float = 0.3
    fringe: float = 0.0
    frame: float = 0.5
    tuck: float = 0.0
    frizz: float = 0.010


def make_hair(options: HairOptions, p: Params, grid: Grid) -> Grown:
    """Strands (n, points, 3) and the guide each belongs to; `grid` is the bare head's field."""
    styles = {"long": _long, "short": _short, "coily": _coily, "bun": _bun}
    if options.style not in styles:
        raise UsageError(f"There is no hairstyle '{options.style}'.", f"Styles: {', '.join(styles)}.")
    return styles[options.style](options, np.random.default_rng(options.seed), p, grid)


def hairline(o: HairOptions, x: Array, z: Array) -> Array:
    """Height above which hair grows, head units."""
    ax = np.abs(x)
    line = -0.52 + 0.50 * smooth(-0.35, -0.02, z)  # nape to behind the ear
    line = line + 0.02 * smooth(0.0, 0.2, z)  # sideburn
    line = line + (0.56 + 0.6 * o.recede) * smooth(0.22, 0.60, z)
    temple = smooth(0.20, 0.40, ax) * smooth(0.66, 0.50, ax) * smooth(0.2, 0.45, z)
    line = line + temple * (0.04 + 0.25 * o.recede)
    line = line + smooth(0.35, 0.60, z) * (0.03 - 0.13 * smooth(0.08, 0.42, ax))  # round over the brow
    return np.asarray(line - 0.06 * o.peak * np.exp(-((x / 0.10) ** 2)) * smooth(0.3, 0.5, z))


def _roots(o: HairOptions, rng: np.random.Generator, p: Params, grid: Grid) -> tuple[Array, Array]:
    """Roots on the scalp (n, 3) and the directions out of it."""
    found: list[Any] = []
    total = 0
    radii = np.array([0.70 * float(p["face_width"]), 0.82 * float(p["forehead"]), 0.87])
    while total < o.count:
        q = unit(rng.normal(size=(o.count * 2, 3))) * radii + CENTRE
        line = hairline(o, q[:, 0], q[:, 2])
        # Thinner towards the hairline, which would look like the edge of a wig.
        q = q[q[:, 1] > line + np.abs(rng.normal(0, 0.042, len(q))) - 0.012]
        if o.bald > 0:
            crown = np.exp(-((q[:, 0] / 0.50) ** 2) - ((q[:, 2] + 0.15) / 0.75) ** 2)
            crown *= smooth(0.35, 0.75, q[:, 1])
            q = q[rng.uniform(size=len(q)) > 1.3 * o.bald * crown]
        found.append(q)
        total += len(q)
    roots = np.concatenate(found)[: o.count]
    for _ in range(6):  # onto the true scalp, from both sides
        push_out(roots, np.full(len(roots), 0.002), grid)
        roots = roots - unit(roots - CENTRE) * 0.012
    push_out(roots, np.full(len(roots), 0.0), grid)
    return roots, unit((roots - CENTRE) / np.array([0.70, 0.82, 0.87]) ** 2)


def _tangent(heading: Array, normal: Array) -> Array:
    return unit(heading - normal * (heading * normal).sum(1)[:, None])


def _long(o: HairOptions, rng: np.random.Generator, p: Params, grid: Grid) -> Grown:
    points = 44
    roots, normal = _roots(o, rng, p, grid)
    n = len(roots)
    x, y, z = roots.T
    # partings are not straight, and hardly visible over a fringe
    wander = 0.016 * np.sin(8.0 * z + o.seed) + 0.009 * np.sin(21.0 * z + 2.0 * o.seed)
    side = np.where(x > o.part + wander - (0.022 + 0.03 * o.fringe) * rng.normal(size=n), 1.0, -1.0)
    front = smooth(0.05, 0.55, z)
    cut = o.fringe * smooth(0.25, 0.42, z) * smooth(0.44, 0.36, np.abs(x)) * smooth(0.40, 0.5, y)
    fringe = (rng.uniform(size=n) < cut)[:, None]
    heading = np.stack([side * (0.9 - 0.1 * front), 0.30 + 0.75 * front, -0.30 - 0.75 * front], 1)
    low = (smooth(0.50, 0.66, np.abs(normal[:, 0])) * smooth(0.45, 0.1, y))[:, None]
    heading = heading * (1 - low) + np.stack([side * 0.05, np.full(n, -1.0), np.full(n, -0.25)], 1) * low
    heading = np.where(fringe, np.stack([0.25 * side, -0.25 + 0 * x, 0.9 + 0 * x], 1), heading)
    # locks that fall forward beside the face
    near = smooth(0.15, 0.40, z) * smooth(0.22, 0.50, np.abs(x) + 0.2 * rng.uniform(size=n))
    beside = rng.uniform(size=n) < o.frame * near
    heading[beside] = np.stack([0.45 * side, -0.5 + 0 * x, 0.15 + 0 * x], 1)[beside]
    heading = unit(_tangent(heading, normal) + normal * 0.30)

    def pull(here: Array, t: float) -> Array:
        g = np.zeros_like(here)
        crown = smooth(0.05, 0.40, here[:, 2]) * smooth(0.30, 0.80, here[:, 1])
        outward = np.sign(here[:, 0])
        g[:, 0] = side * crown * 1.1 - outward * 0.42 * smooth(0.05, -0.9, here[:, 1])
        g[:, 1] = -1 + 0.65 * crown
        back = np.where(beside, 0.05, 0.55 + 0.9 * o.tuck)
        g[:, 2] = -0.05 - 0.8 * crown - back * smooth(0.05, 0.45, here[:, 2])
        g[:, 2] += np.where(beside, 0.8, 0.0) * smooth(0.45, 0.0, here[:, 1]) * smooth(0.42, 0.2, here[:, 2])
        g = np.where(fringe, np.stack([0.12 * side, np.full(n, -1.0), np.full(n, 0.1)], 1), g)
        return unit(g)

    length = o.length * rng.uniform(0.86, 1.0, n) * (1 - 0.22 * beside)
    length = np.where(fringe[:, 0], rng.uniform(0.46, 0.52, n), length)
    clearance = 0.012 + rng.uniform(0.02, 1, n) ** 0.8 * o.volume * np.where(fringe[:, 0], 0.4, 1)
    grown = grow(roots, heading, points, length / (points - 1), clearance, pull, 0.80, grid)
    strands, guide = clump(grown, rng, o.guides, o.clumping, o.curl, o.turns, o.frizz)
    return _strays(strands, grown, rng), guide


def _strays(strands: Array, grown: Array, rng: np.random.Generator) -> Array:
    n, points, _ = strands.shape
    stray = rng.choice(n, n // 50, replace=False)
    drift = along_blur(rng.normal(size=(len(stray), points, 3)), 5) * 0.15
    along = np.linspace(0, 1, points)[None, :, None]
    strands[stray] = 0.4 * strands[stray] + 0.6 * grown[stray] + drift * along
    return strands


def _short(o: HairOptions, rng: np.random.Generator, p: Params, grid: Grid) -> Grown:
    points = 18
    roots, normal = _roots(o, rng, p, grid)
    n = len(roots)
    x, y, z = roots.T
    top = smooth(0.30, 0.72, y)
    front = smooth(0.20, 0.62, z) * top
    across = o.sweep * np.ones(n)
    if o.part:  # combed away from a parting
        across = np.where(x > o.part, 1.0, -1.0) * abs(o.sweep)
    heading = np.stack(
        [
            across * top + np.sign(x) * 0.05 * (1 - top),
            0.30 * top - 0.85 * (1 - top),
            -0.75 * top * (1 - o.forward) - 0.45 * (1 - top) + o.forward * top * 0.8,
        ],
        1,
    )
    heading = _tangent(heading, normal)
    heading = unit(heading + normal * (o.lift * (0.25 + 0.9 * front) * (top * 0.9 + 0.12))[:, None])

    def pull(_: Array, __: float) -> Array:
        back = -0.6 + 0.95 * o.forward
        return unit(np.stack([across * 0.8 * top, -0.45 - 0.5 * (1 - top), back * np.ones(n)], 1))

    share = o.sides + (1 - o.sides) * top
    length = o.length * share * (1 + 0.35 * front) * rng.uniform(0.75, 1.05, n)
    clearance = 0.004 + rng.uniform(0.02, 1, n) * o.volume * (0.15 + 0.85 * top)
    grown = grow(roots, heading, points, length / (points - 1), clearance, pull, 0.84, grid)
    return clump(grown, rng, o.guides, o.clumping, o.curl, o.turns, o.frizz)


def _coily(o: HairOptions, rng: np.random.Generator, p: Params, grid: Grid) -> Grown:
    points = 26
    roots, normal = _roots(o, rng, p, grid)
    n = len(roots)
    heading = unit(normal + rng.normal(0, 0.22, (n, 3)) + np.array([0, 0.2, -0.1]))
    high = smooth(-0.25, 0.45, roots[:, 1])
    length = o.length * rng.uniform(0.62, 1.05, n) * (o.sides + (1 - o.sides) * high)
    droop = np.array([0, -0.15 - 0.9 * (1 - o.lift), 0.0])
    grown = grow(
        roots, heading, points, length / (points - 1), np.full(n, 0.01),
        lambda here, _: np.broadcast_to(droop, here.shape), 0.95, grid,
    )  # fmt: skip
    return clump(grown, rng, o.guides, 0.90, o.curl, o.turns, o.frizz)


def _bun(o: HairOptions, rng: np.random.Generator, p: Params, grid: Grid) -> Grown:
    """Combed back and up to a knot on the crown; wisps in front of the ears."""
    points = 36
    roots, normal = _roots(o, rng, p, grid)
    n = len(roots)
    knot = np.array([0.0, 0.98 * float(p["forehead"]), -0.42])
    wisp = (rng.uniform(size=n) < 0.10 * o.frame) & (roots[:, 2] > 0.25) & (np.abs(roots[:, 0]) > 0.40)
    heading = unit(_tangent(knot - roots, normal) + normal * 0.15)
    heading[wisp] = unit(np.array([0, -0.6, 0.25]) + normal[wisp] * 0.5)

    def pull(here: Array, _: float) -> Array:
        g = unit(knot - here)
        g[wisp] = (0.0, -1.0, -0.1)
        return np.asarray(g)

    length = np.linalg.norm(knot - roots, axis=1) * 1.06
    down = rng.uniform(size=n) < 0.35 * smooth(0.16, 0.0, roots[:, 1] - hairline(o, roots[:, 0], roots[:, 2]))
    length[down] *= rng.uniform(0.05, 0.35, int(down.sum()))  # new hair along the line
    length[wisp] = rng.uniform(0.45, 0.75, int(wisp.sum()))
    clearance = 0.006 + rng.uniform(0.02, 1, n) * o.volume * np.where(wisp, 2.0, 1.0)
    grown = grow(roots, heading, points, length / (points - 1), clearance, pull, 0.75, grid)
    strands, guide = grown.copy(), np.zeros(n, np.int64)
    # hanging strands are clumped apart from those combed up, which would pull them into loops
    strands[~wisp], guide[~wisp] = clump(grown[~wisp], rng, o.guides, 0.35, o.curl, o.turns, o.frizz)
    guide[wisp] = guide.max() + 1 + np.arange(wisp.sum()) % 8
    count = max(o.count // 4, 1)
    coil, lane = _knot(rng, knot + np.array([0, 0.16, -0.04]), count, points)
    return np.concatenate([strands, coil]), np.concatenate([guide, guide.max() + 1 + lane])


def _knot(rng: np.random.Generator, middle: Array, count: int, points: int) -> Grown:
    """Strands wound around a ball."""
    lanes = 26
    lane = rng.integers(0, lanes, count)
    axis = unit(rng.normal(size=(lanes, 3)) + np.array([0, 1.5, 0.3]))[lane]
    first = unit(np.cross(axis, np.array([0.3, 0.1, 1.0])))
    second = np.cross(axis, first)
    phase = rng.uniform(0, 6.28, lanes)[lane] + rng.normal(0, 0.1, count)
    high = rng.uniform(-0.7, 0.8, lanes)[lane] + rng.normal(0, 0.10, count)
    angle = phase[:, None] + np.linspace(0, 2.6, points)[None]
    flat = np.sqrt(np.maximum(1 - high**2, 0.05))[:, None, None]
    ball = flat * (first[:, None] * np.cos(angle)[..., None] + second[:, None] * np.sin(angle)[..., None])
    ball = ball + (axis * high[:, None])[:, None]
    radius = 0.25 * rng.uniform(0.88, 1.0, (count, 1, 1))
    return middle + ball * radius * np.array([1.05, 0.90, 1.0]), lane
