"""The eyes: an eyeball that turns behind lids baked at several openings."""

from __future__ import annotations

import math
from collections import OrderedDict

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.planes import Box, Bytes, Floats, Planes, feather, mixed, to_planes, to_ycc
from cvi.face.sculpted.atlas import TONE_STEPS, TONE_TOP, Atlas, FrameFit
from cvi.face.sculpted.patch_warp import PatchCurves, PatchWarp, bend, bend_planes

TURN_X, TURN_Y = 0.42, 0.34  # radians at the ends of the gaze controls
CONVERGE = 0.035  # radians each eye is turned in, as if looking at a near face
STEPS = 128  # steps in a unit of gaze and closure, to which they are rounded
LID_FOLLOW = 0.34  # lids follow the gaze up and down by this much of their way
IRIS_DEPTH = 0.12  # the iris lies behind the cornea, eyeball radii
GLINT = 3.0  # brightness of the catchlight, linear
FEATHER_PX = 10
CACHED = 48  # openings of the lids; 100 kB each at 720p
Cover = tuple[Floats, Floats]  # how much the lids cover, 0..1: of luma, of chroma


class BakedEye:
    """Draws one eye's patch `box`, to be laid on the head by `weight`; side -1 is the viewer's left, 1 the
    right."""

    def __init__(self, atlas: Atlas, fit: FrameFit, side: int) -> None:
        which = 1 if side > 0 else 0
        baked = atlas.box(f"eye_rect_{which}")
        self.box = fit.box(baked)
        self._side = side
        width, height = self.box.x1 - self.box.x0, self.box.y1 - self.box.y0
        self._levels = atlas.floats("lid_levels")
        names = [f"{which}_{k:02d}" for k in range(len(self._levels))]

        def load(name: str) -> Bytes:
            return fit.image(atlas.image(name), baked)

        self._lids = [to_planes(load(f"lid_{name}")) for name in names]
        self._covers = [load(f"lid_alpha_{name}") for name in names]
        # The square root of the light on the eyeball.
        self._light = [load(f"eye_light_{name}") for name in names]
        x, y = atlas.floats("lid_columns")[which], atlas.floats("lid_curves")[which]
        unit = fit.scale * atlas.fineness
        curves = PatchCurves(fit.x(x, self.box), fit.y(y, self.box), False)
        self._warp = PatchWarp(curves, width, height, unit)
        self._part = _open_part(self._covers)
        rows = slice(self._part.y0, self._part.y1)
        columns = slice(self._part.x0, self._part.x1)
        self._open_pixels = rows, columns
        self._sclera = np.square(load(f"sclera_{which}")[rows, columns] * np.float32(1 / 255))
        self._glint = load(f"glint_{which}")[rows, columns, None] * np.float32(GLINT / 255)
        ball = fit.floats(atlas.floats(f"ball_{which}"), baked)
        self._ball = np.ascontiguousarray(ball[rows, columns])
        self._iris = atlas.image("iris").astype(np.float32) / 255
        self._iris[..., :3] **= 2
        self._span = float(atlas.array("iris_span"))
        self._tone = atlas.floats("tone") * 255
        self.weight = feather(self.box, FEATHER_PX * unit)
        self._open: OrderedDict[float, tuple[Planes, Cover, Floats]] = OrderedDict()
        self._last: tuple[tuple[float, ...], Planes] | None = None

    def draw(self, controls: Controls) -> Planes:
        """The eye in `box`. Read-only; the same object as before if nothing changed."""
        lid = controls.lid_right if self._side > 0 else controls.lid_left
        brow = controls.brow_right if self._side > 0 else controls.brow_left
        gaze_x, gaze_y = _clip(controls.gaze_x), _clip(controls.gaze_y)
        closure = lid - (1 - min(max(lid, 0.0), 1.0)) * (LID_FOLLOW * gaze_y + 0.08 * _clip(brow))
        key = (_step(closure), _step(gaze_x), _step(gaze_y))
        if self._last is None or self._last[0] != key:
            self._last = key, self._mix(*key)
        return self._last[1]

    def _mix(self, closure: float, gaze_x: float, gaze_y: float) -> Planes:
        lids, (cover, half_cover), light = self._opened(closure)
        if closure >= 1:
            return lids
        drawn = lids.copy()
        ball = self._eyeball(gaze_x, gaze_y, light)
        size = half_cover.shape[1], half_cover.shape[0]
        colour = cv2.resize(ball[..., 1:], size, interpolation=cv2.INTER_AREA)
        luma, cb, cr = drawn.part(self._part)
        for plane, seen, hidden in (
            (luma, ball[..., 0], cover),
            (cb, colour[..., 0], half_cover),
            (cr, colour[..., 1], half_cover),
        ):
            plane[:] = seen + (plane - seen) * hidden + np.float32(0.5)
        return drawn

    def _opened(self, closure: float) -> tuple[Planes, Cover, Floats]:
        """The lids; and, of the part that may be open, how much the lids cover and the linear light on the
        eyeball."""
        cached = self._open.get(closure)
        if cached is not None:
            self._open.move_to_end(closure)
            return cached
        place = float(np.interp(closure, self._levels, np.arange(len(self._levels), dtype=np.float32)))
        low = min(int(place), len(self._levels) - 2)
        second = place - low
        weights = np.zeros(len(self._levels), np.float32)
        weights[low], weights[low + 1] = 1 - second, second
        levels = [k for k in (low, low + 1) if weights[k] > 1e-4]
        first = levels[0]
        lids, cover, light = self._lids[first], self._covers[first], self._light[first]
        if len(levels) == 2:
            (near, far), other = self._warp.maps(weights, levels), levels[1]
            lids = mixed(bend_planes(lids, near), bend_planes(self._lids[other], far), second)
            cover, light = (
                np.asarray(cv2.addWeighted(bend(a, near), 1 - second, bend(b, far), second, 0), np.uint8)
                for a, b in ((cover, self._covers[other]), (light, self._light[other]))
            )
        hidden = cover[self._open_pixels] * np.float32(1 / 255)
        size = hidden.shape[1] // 2, hidden.shape[0] // 2
        both = hidden, np.asarray(cv2.resize(hidden, size, interpolation=cv2.INTER_AREA), np.float32)
        lit = np.square(light[self._open_pixels] * np.float32(math.sqrt(TONE_TOP) / 255))
        self._open[closure] = lids, both, lit
        if len(self._open) > CACHED:
            self._open.popitem(last=False)
        return self._open[closure]

    def _eyeball(self, gaze_x: float, gaze_y: float, lit: Floats) -> Floats:
        """Y, Cb, Cr of the turned eyeball; `lit`: linear light on it."""
        yaw, pitch = TURN_X * gaze_x - self._side * CONVERGE, TURN_Y * gaze_y
        ahead = np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
        right = np.array([ahead[2], 0, -ahead[0]]) / math.hypot(ahead[0], ahead[2])
        up = np.cross(ahead, right)
        turned = self._ball @ np.stack([right, up, ahead], 1).astype(np.float32)
        a, b, facing = turned[..., 0], turned[..., 1], turned[..., 2]
        sunk = IRIS_DEPTH * np.maximum(1 - (a * a + b * b) / (self._span / 1.1) ** 2, 0)
        scale = (len(self._iris) - 1) / 2
        column = ((a - float(right[2]) * sunk) / self._span + 1) * scale
        row = (1 - (b - float(up[2]) * sunk) / self._span) * scale
        column = np.where(facing > 0, column, -10).astype(np.float32)
        iris = cv2.remap(self._iris, column, row.astype(np.float32), cv2.INTER_LINEAR, borderValue=0)
        colour = self._sclera + (iris[..., :3] - self._sclera) * iris[..., 3:]
        linear = np.minimum(colour * lit + self._glint, TONE_TOP)
        steps = (np.sqrt(linear) * np.float32((TONE_STEPS - 1) / math.sqrt(TONE_TOP))).astype(np.intp)
        return to_ycc(np.take(self._tone, steps))


def _open_part(covers: list[Bytes]) -> Box:
    """The even box in which the eyeball is visible at some opening; `covers` have even sides."""
    seen = np.min(covers, axis=0) < 255
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return Box(
        int(columns[0]) // 2 * 2,
        int(rows[0]) // 2 * 2,
        (int(columns[-1]) + 2) // 2 * 2,
        (int(rows[-1]) + 2) // 2 * 2,
    )


def _step(value: float) -> float:
    """Rounded to a step, at most a tenth of a pixel: an eye that hardly moved is not drawn again."""
    return round(value * STEPS) / STEPS


def _clip(value: float) -> float:
    return min(max(value, -1.0), 1.0)
