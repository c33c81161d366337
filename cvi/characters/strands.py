"""Hair strands: grown along a direction field, clumped around guides, lit (Kajiya & Kay 1989), drawn by
depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.characters.camera import Rect, project
from cvi.characters.kernel import Array, kernel, step
from cvi.characters.scene import Grid, distance_at, soft_normal, through

Pull = Callable[[Array, float], Array]


def smooth(a: float, b: float, x: Array) -> Array:
    """Smoothstep of an array: 0 at `a`, 1 at `b`."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def unit(v: Array) -> Array:
    """Vectors (..., 3) scaled to length one."""
    return np.asarray(v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9))


def along_blur(values: Array, sigma: float) -> Array:
    """Gaussian blur along axis 1 of (n, points, 3), edges held."""
    radius = int(3 * sigma)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    padded = np.pad(values, ((0, 0), (radius, radius), (0, 0)), mode="edge")
    out = np.zeros_like(values)
    for k, tap in enumerate(taps):
        out += tap * padded[:, k : k + values.shape[1]]
    return out


@kernel
def _push_out(points: Array, clearance: Array, grid: Grid) -> None:
    for i in range(points.shape[0]):
        for _ in range(3):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            inside = clearance[i] - distance_at(x, y, z, grid)
            if inside <= 0:
                break
            nx, ny, nz = soft_normal(x, y, z, 0.03, grid)
            points[i, 0], points[i, 1], points[i, 2] = x + nx * inside, y + ny * inside, z + nz * inside


def push_out(points: Array, clearance: Array, grid: Grid) -> None:
    """Move points (n, 3), in place, until each is `clearance` (n,) head units off the surface."""
    _push_out(points, clearance, grid)


def grow(
    roots: Array, heading: Array, points: int, stride: Array, clearance: Array, pull: Pull, stiff: float,
    grid: Grid,
) -> Array:  # fmt: skip
    """Strands (n, points, 3) from `roots` (n, 3), walked in steps of `stride` (n,), `clearance` (n,) off the
    skin.

    `heading` (n, 3): first direction; `pull(here, t)`: direction wanted at a point, t 0..1 along the strand;
    `stiff` 0..1: how much of its direction a strand keeps at each step.
    """
    here, heading = roots.copy(), heading.copy()
    walked = [here.copy()]
    for number in range(points - 1):
        heading = unit(heading * stiff + pull(here, number / (points - 1)) * (1 - stiff))
        here = here + heading * stride[:, None]
        push_out(here, clearance * min(1.0, (number + 1) / 6), grid)
        heading = unit(0.5 * heading + 0.5 * unit(here - walked[-1]))
        walked.append(here.copy())
    return np.stack(walked, 1)


@kernel
def _nearest(points: Array, guides: Array, out: npt.NDArray[np.int64]) -> None:
    for i in range(points.shape[0]):
        best = 1e18
        for j in range(guides.shape[0]):
            d = (
                (points[i, 0] - guides[j, 0]) ** 2
                + (points[i, 1] - guides[j, 1]) ** 2
                + (points[i, 2] - guides[j, 2]) ** 2
            )
            if d < best:
                best = d
                out[i] = j


def clump(
    strands: Array,
    rng: np.random.Generator,
    guides: int,
    amount: float,
    curl: float,
    turns: float,
    frizz: float,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Pull strands towards their nearest guide, which may curl. Returns the strands and the guide of each
    (n,)."""
    n, points, _ = strands.shape
    roots = strands[:, 0]
    chosen = rng.choice(n, guides, replace=False)
    guide = np.zeros(n, np.int64)
    _nearest(roots, roots[chosen], guide)
    t = np.linspace(0, 1, points)
    lead = strands[chosen]
    if curl > 0:
        phase = rng.uniform(0, 2 * math.pi, guides)[:, None]
        rate = turns * rng.uniform(0.8, 1.25, guides)[:, None]
        tangent = unit(np.gradient(lead, axis=1))
        side = unit(np.cross(tangent, np.array([0.0, 0.0, 1.0])))
        other = np.cross(tangent, side)
        wide = curl * smooth(0.15, 0.7, t)[None] * rng.uniform(0.6, 1.3, guides)[:, None]
        angle = rate * 2 * math.pi * t[None] + phase
        lead = lead + side * (wide * np.sin(angle))[..., None] + other * (wide * np.cos(angle))[..., None]
    along = t[None, :, None]
    pulled = amount * smooth(0.0, 0.75, along)
    target = lead[guide] + (roots - roots[chosen][guide])[:, None] * (1 - 0.55 * along)
    out = strands * (1 - pulled) + target * pulled
    wobble = along_blur(rng.normal(size=(n, points, 3)), 3) * 3
    return out + wobble * frizz * along, guide


def light_strands(
    strands: Array, hair: Array, lights: Array, base: Array, vary: Array,
    root: float, tip: Array | None, gloss: tuple[float, float], thick: float,
) -> Array:  # fmt: skip
    """Linear colour at every point of (n, points, 3).

    base: albedo rgb; vary: factor per strand (n, 3); root: darkness at the root; tip: albedo at the tip.
    """
    n, points, _ = strands.shape
    colour = np.zeros((n, points, 3))
    ends = np.asarray(base if tip is None else tip, float)
    _light(
        np.ascontiguousarray(strands), hair, lights, np.asarray(base, float), ends,
        np.ascontiguousarray(vary), root, gloss[0], gloss[1], thick, unit(np.array([0, 0.6, 0.8])), colour,
    )  # fmt: skip
    return colour


@kernel
def _light(
    strands: Array, hair: Array, lights: Array, base: Array, tip: Array, vary: Array, root: float,
    gloss: float, tinted: float, thick: float, open_sky: Array, out: Array,
) -> None:  # fmt: skip
    count, points, _ = strands.shape
    for i in range(count):
        for k in range(points):
            x, y, z = strands[i, k, 0], strands[i, k, 1], strands[i, k, 2]
            a, b = max(k - 1, 0), min(k + 1, points - 1)
            tx, ty, tz = (
                strands[i, b, 0] - strands[i, a, 0],
                strands[i, b, 1] - strands[i, a, 1],
                strands[i, b, 2] - strands[i, a, 2],
            )
            scale = 1 / (math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9)
            tx, ty, tz = tx * scale, ty * scale, tz * scale
            vx, vy, vz = -x, -0.22 - y, 7.2 - z
            scale = 1 / math.sqrt(vx * vx + vy * vy + vz * vz)
            vx, vy, vz = vx * scale, vy * scale, vz * scale
            ox, oy, oz = x, y - 0.1, z + 0.12
            scale = 1 / (math.sqrt(ox * ox + oy * oy + oz * oz) + 1e-9)
            ox, oy, oz = ox * scale, oy * scale, oz * scale
            t = k / max(points - 1, 1)
            dark, late = root + (1 - root) * step(0.0, 0.35, t), step(0.35, 1.0, t)
            shift = 0.10 * (vary[i, 0] - 1)
            sky = 0.15 + 0.85 * through(hair, x, y, z, open_sky[0], open_sky[1], open_sky[2], 0.8, 8, 0.06)
            for c in range(3):
                albedo = (base[c] * dark * (1 - late) + tip[c] * late) * vary[i, c]
                out[i, k, c] = albedo * (lights[4, c] * 0.65 + lights[4, 3 + c] * 0.25) * sky
            for lamp in range(4):
                lx, ly, lz = lights[lamp, 0], lights[lamp, 1], lights[lamp, 2]
                wrap = min(max((ox * lx + oy * ly + oz * lz + 0.45) / 1.45, 0.0), 1.0)
                if wrap <= 0.0:
                    continue
                lit = wrap * through(hair, x, y, z, lx, ly, lz, thick, 12, 0.05)
                across = tx * lx + ty * ly + tz * lz
                diffuse = math.sqrt(max(1 - across * across, 0.0)) * 0.75 * (1.0 if lamp < 2 else 1.3)
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                scale = 1 / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
                half = (tx * hx + ty * hy + tz * hz) * scale
                first = max(1 - (half - 0.06 + shift) ** 2, 0.0) ** 45 * gloss * 0.10
                second = max(1 - (half + 0.10 + shift) ** 2, 0.0) ** 13 * tinted * 2.2
                for c in range(3):
                    albedo = (base[c] * dark * (1 - late) + tip[c] * late) * vary[i, c]
                    out[i, k, c] += lights[lamp, 3 + c] * lit * (albedo * (diffuse + second) + first)


@kernel
def _raster(
    image: Array, depth: Array, ax: Array, ay: Array, bx: Array, by: Array, z: Array,
    colour: Array, width: Array, alpha: Array, order: npt.NDArray[np.int64],
) -> None:  # fmt: skip
    high, wide = depth.shape
    for index in range(order.shape[0]):
        i = order[index]
        half = width[i] * 0.5
        reach = half + 1
        left, right = (
            int(max(min(ax[i], bx[i]) - reach, 0)),
            int(min(max(ax[i], bx[i]) + reach + 1, wide - 1)),
        )
        top, bottom = (
            int(max(min(ay[i], by[i]) - reach, 0)),
            int(min(max(ay[i], by[i]) + reach + 1, high - 1)),
        )
        dx, dy = bx[i] - ax[i], by[i] - ay[i]
        length = dx * dx + dy * dy + 1e-9
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                t = min(max(((x + 0.5 - ax[i]) * dx + (y + 0.5 - ay[i]) * dy) / length, 0.0), 1.0)
                ex, ey = x + 0.5 - ax[i] - t * dx, y + 0.5 - ay[i] - t * dy
                cover = min(half + 0.5 - math.sqrt(ex * ex + ey * ey), min(1.0, 2 * half))
                if cover <= 0 or z[i] > depth[y, x] + 0.015:
                    continue
                cover *= alpha[i]
                for k in range(3):
                    image[y, x, k] += (colour[i, k] - image[y, x, k]) * cover
                image[y, x, 3] += (1 - image[y, x, 3]) * cover


@dataclass(frozen=True, slots=True)
class StrandSegments:
    """Segments of strands projected into a rectangle and sorted from far to near."""

    ends: tuple[Array, Array, Array, Array]  # ax, ay, bx, by
    z: Array
    colour: Array
    width: Array
    opacity: Array
    order: npt.NDArray[np.int64]


def prepare(
    rect: Rect, strands: Array, colour: Array, width_px: float, alpha: Array | float, nearer: float,
    scale: float,
) -> StrandSegments:  # fmt: skip
    """Project strands (n, points, 3) for a 2 x 2 supersampled rectangle.

    `width_px`: pixels of the 1280 x 720 picture; `nearer`: head units towards the camera, so that the skin
    they lie on does not hide them.
    """
    n, points, _ = strands.shape
    x, y, z = project(strands)
    x, y = (x - rect.x0) * 2 * scale, (y - rect.y0) * 2 * scale
    t = np.linspace(0, 1, points)
    taper = (np.where(t < 0.15, 0.35 + 4.3 * t, 1) * (1 - 0.75 * smooth(0.55, 1, t)))[:-1]
    width = np.broadcast_to(width_px * 2 * scale * taper, (n, points - 1))
    fade = np.broadcast_to(np.reshape(alpha, (-1, 1)) * (1 - 0.5 * smooth(0.6, 1, t[:-1])), (n, points - 1))
    opacity = np.clip(fade, 0, 1) * np.minimum(1, width / 0.9)
    wide, high = 2 * rect.width * scale, 2 * rect.height * scale
    shown = (np.maximum(x[:, :-1], x[:, 1:]) > -4) & (np.minimum(x[:, :-1], x[:, 1:]) < wide + 4)
    shown &= (np.maximum(y[:, :-1], y[:, 1:]) > -4) & (np.minimum(y[:, :-1], y[:, 1:]) < high + 4)
    middle = (0.5 * (z[:, :-1] + z[:, 1:]) - nearer)[shown]
    return StrandSegments(
        (x[:, :-1][shown], y[:, :-1][shown], x[:, 1:][shown], y[:, 1:][shown]),
        middle,
        (0.5 * (colour[:, :-1] + colour[:, 1:]))[shown],
        np.maximum(width[shown], 0.9),
        opacity[shown],
        np.argsort(-middle),
    )


def draw(image: Array, depth: Array, segments: StrandSegments) -> None:
    """Draw onto a 2 x 2 supersampled premultiplied RGBA rectangle."""
    s = segments
    _raster(image, depth, *s.ends, s.z, s.colour, s.width, s.opacity, s.order)
