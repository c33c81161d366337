"""Hairstyles: where hair grows on the head and how it is combed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.sculpted.bake.kernel import Array, Params
from cvi.face.sculpted.bake.strands import along_blur, clump, grow, smooth, unit

SKULL = np.array([0.0, 0.22, -0.12])
RADII = np.array([0.76, 0.84, 0.90])


@dataclass(frozen=True, slots=True)
class HairOptions:
    """`count` strands of `length` head units; `curl` is a radius, `part` the parting's x.

    sweep: combed to the viewer's right (positive) or left; forward: 0 back .. 1 onto the forehead;
    lift: how far it stands off the head; recede: raises the hairline; sides: lowers it at the temples.
    """

    style: str = "long"
    count: int = 28000
    seed: int = 3
    length: float = 2.15
    curl: float = 0.07
    turns: float = 1.7
    guides: int = 520
    volume: float = 0.07
    part: float = 0.14
    sweep: float = 0.6
    forward: float = 0.0
    lift: float = 0.7
    recede: float = 0.0
    sides: float = 0.0
    frizz: float = 0.008


def make_hair(options: HairOptions, p: Params) -> tuple[Array, npt.NDArray[np.int64]]:
    """Strands (n, points, 3) and the guide each belongs to."""
    styles = {"long": _long, "short": _short, "coily": _coily}
    if options.style not in styles:
        raise UsageError(f"There is no hairstyle '{options.style}'.", f"Styles: {', '.join(styles)}.")
    return styles[options.style](options, np.random.default_rng(options.seed), float(p["face_width"]))


def _roots(o: HairOptions, rng: np.random.Generator, width: float) -> tuple[Array, Array]:
    radii = RADII * np.array([width, 1.0, 1.0])
    found: list[Any] = []
    total = 0
    while total < o.count:
        p = unit(rng.normal(size=(o.count * 2, 3))) * radii + SKULL
        x, y, z = p.T
        line = -0.50 + (0.55 + o.sides * (1 - smooth(0.22, 0.5, z))) * smooth(-0.35, 0.02, z)
        line += (0.50 + o.recede) * smooth(0.18, 0.66, z)
        line -= 0.10 * smooth(0.25, 0.6, np.abs(x)) * smooth(0.3, 0.6, z)
        # Thinned towards the line, or it reads as the edge of a wig.
        p = p[y > line + np.abs(rng.normal(0, 0.035, len(p)))]
        found.append(p)
        total += len(p)
    roots = np.concatenate(found)[: o.count]
    return roots, unit((roots - SKULL) / radii**2)


def _long(o: HairOptions, rng: np.random.Generator, width: float) -> tuple[Array, npt.NDArray[np.int64]]:
    points = 48
    roots, normal = _roots(o, rng, width)
    n = len(roots)
    side = np.where(roots[:, 0] > o.part - 0.02 * rng.normal(size=n), 1.0, -1.0)
    front = smooth(0.0, 0.6, roots[:, 2])
    heading = np.stack([side * (0.9 + 0.5 * front), 0.30 + 0.35 * front, -0.25 - 0.15 * front], 1)
    temple = smooth(0.55, 0.85, np.abs(normal[:, 0])) * smooth(0.55, 0.2, roots[:, 2])
    temple = (temple * smooth(0.45, 0.1, roots[:, 1]))[:, None]
    heading = heading * (1 - temple) + np.array([0, -1.0, -0.10]) * temple
    heading = unit(heading - normal * (heading * normal).sum(1)[:, None])
    heading = unit(heading + normal * 0.40)

    def pull(here: Array, _: float) -> Array:
        g = np.zeros_like(here)
        crown = smooth(0.05, 0.45, here[:, 2]) * smooth(0.30, 0.85, here[:, 1])
        g[:, 0] = side * crown - np.sign(here[:, 0]) * 0.28 * smooth(-0.2, -1.1, here[:, 1])
        g[:, 1] = -1 + 0.70 * crown
        g[:, 2] = -0.06 - 0.9 * crown - 0.10 * smooth(0.25, 0.6, here[:, 2])
        g[:, 2] += 0.10 * smooth(0.35, -0.1, here[:, 1]) * (here[:, 2] > -0.25) * (here[:, 2] < 0.30)
        return unit(g)

    grown = grow(
        roots, heading, points, o.length * rng.uniform(0.82, 1.0, n) / (points - 1),
        rng.uniform(0.02, 1, n) ** 0.7 * o.volume, pull, 0.84,
        [
            (0, 0.22, -0.12, 0.76 * width, 0.84, 0.90, 1.0),
            (0, -0.25, 0.05, 0.68 * width, 0.82, 0.62, 0.8),
            (0, -0.62, 0.10, 0.60 * width, 0.64, 0.60, 0.6),  # the jaw, open
            (0, -1.1, -0.25, 0.42, 0.9, 0.36, 0.5),
            (0, -2.35, -0.30, 1.45, 0.72, 0.55, 0.6),
        ],
    )  # fmt: skip
    strands, guide = clump(grown, rng, o.guides, 0.72, o.curl, o.turns, o.frizz)
    stray = rng.choice(n, n // 45, replace=False)
    drift = along_blur(rng.normal(size=(len(stray), points, 3)), 5) * 0.16
    strands[stray] = (
        0.4 * strands[stray] + 0.6 * grown[stray] + drift * np.linspace(0, 1, points)[None, :, None]
    )
    return strands, guide


def _short(o: HairOptions, rng: np.random.Generator, width: float) -> tuple[Array, npt.NDArray[np.int64]]:
    points = 16
    roots, normal = _roots(o, rng, width)
    n = len(roots)
    top = smooth(0.25, 0.75, roots[:, 1])
    heading = np.stack(
        [
            np.where(top > 0.3, o.sweep * (0.5 + 0.5 * top), np.sign(roots[:, 0]) * 0.05),
            0.35 * top - 0.75 * (1 - top),
            -0.55 * top * (1 - o.forward) - 0.35 * (1 - top) + o.forward * top * 0.8,
        ],
        1,
    )
    heading = unit(heading - normal * (heading * normal).sum(1)[:, None])
    front = smooth(0.25, 0.7, roots[:, 2]) * top
    heading = unit(heading + normal * (o.lift * (0.30 + 0.9 * front) * (top * 0.9 + 0.12))[:, None])

    def pull(_: Array, __: float) -> Array:
        down = np.stack([o.sweep * 0.9 * top, -0.5 - 0.4 * (1 - top), 0 * top - 0.6 + 0.9 * o.forward], 1)
        return unit(down)

    length = o.length * (0.28 + 0.72 * top) * (1 + 0.35 * front) * rng.uniform(0.75, 1.05, n)
    grown = grow(
        roots, heading, points, length / (points - 1),
        rng.uniform(0.05, 1, n) * o.volume * (0.25 + 0.75 * top), pull, 0.84,
        [(0, 0.22, -0.12, 0.76 * width, 0.84, 0.90, 0.35)],
    )  # fmt: skip
    return clump(grown, rng, o.guides, 0.72, o.curl, o.turns, o.frizz)


def _coily(o: HairOptions, rng: np.random.Generator, width: float) -> tuple[Array, npt.NDArray[np.int64]]:
    points = 22
    roots, normal = _roots(o, rng, width)
    n = len(roots)
    heading = unit(normal + rng.normal(0, 0.25, (n, 3)) + np.array([0, 0.25, -0.1]))
    length = o.length * rng.uniform(0.55, 1.05, n) * (0.55 + 0.45 * smooth(-0.2, 0.5, roots[:, 1]))
    grown = grow(
        roots, heading, points, length / (points - 1), np.full(n, 0.02),
        lambda here, _: np.broadcast_to(np.array([0, -0.15, 0.0]), here.shape), 0.97,
        [(0, 0.22, -0.12, 0.76 * width, 0.84, 0.90, 1.0)],
    )  # fmt: skip
    return clump(grown, rng, o.guides, 0.93, o.curl, o.turns, o.frizz)
