"""The eyes: an eyeball that turns, behind lids that were baked at several openings."""

from __future__ import annotations

import math
from collections import OrderedDict

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.sculpted.atlas import TONE_STEPS, TONE_TOP, Atlas
from cvi.face.sculpted.morph import Bytes, Curves, Floats, Morph, bend
from cvi.face.sculpted.planes import Fit, feather, to_sheet, to_ycc

TURN_X, TURN_Y = 0.42, 0.34  # radians at the ends of the gaze controls
CONVERGE = 0.035  # each eye turned in, as when it looks at a near face
STEPS = 128  # of the unit of gaze and closure
LID_FOLLOW = 0.34  # lids follow the gaze up and down by this much of their way
IRIS_DEPTH = 0.12  # the iris lies behind the cornea, eyeball radii
GLINT = 3.0  # brightness of the catchlight, linear
FEATHER_PX = 10
KEPT = 48  # openings of the lids kept ready; 200 kB each at 720p


class Eye:
    """One eye; side -1 is on the viewer's left. `draw` depends on its arguments alone."""

    def __init__(self, atlas: Atlas, fit: Fit, side: int) -> None:
        which = 1 if side > 0 else 0
        baked = atlas.box(f"eye_rect_{which}")
        self.box = fit.box(baked)
        self._side = side
        width, height = self.box.x1 - self.box.x0, self.box.y1 - self.box.y0
        self._levels = atlas.floats("lid_levels")
        names = [f"{which}_{k:02d}" for k in range(len(self._levels))]

        def load(name: str) -> Bytes:
            return fit.image(atlas.image(name), baked)

        # Lids and how much they cover in one sheet; the square root of the light on the eyeball.
        self._lids = [to_sheet(load(f"lid_{name}"), load(f"lid_alpha_{name}")) for name in names]
        self._light = [load(f"eye_light_{name}") for name in names]
        x, y = atlas.floats("lid_columns")[which], atlas.floats("lid_curves")[which]
        self._morph = Morph(Curves(fit.x(x, self.box), fit.y(y, self.box), False), width, height)
        rows, columns = _open_part([lids[..., 3] for lids in self._lids])
        self._part = rows, columns
        self._sclera = np.square(load(f"sclera_{which}")[rows, columns] * np.float32(1 / 255))
        self._glint = load(f"glint_{which}")[rows, columns, None] * np.float32(GLINT / 255)
        ball = fit.floats(atlas.floats(f"ball_{which}"), baked)
        self._ball = np.ascontiguousarray(ball[rows, columns])
        self._iris = atlas.image("iris").astype(np.float32) / 255
        self._iris[..., :3] **= 2
        self._span = float(atlas.array("iris_span"))
        self._tone = atlas.floats("tone") * 255
        self.weight = feather(self.box, FEATHER_PX * fit.scale * atlas.fineness)
        self._open: OrderedDict[float, tuple[Bytes, Floats, Floats]] = OrderedDict()
        self._last: tuple[tuple[float, ...], Bytes] | None = None

    def draw(self, controls: Controls) -> Bytes:
        """The eye's sheet for `self.box`. Not to be written to; the same object if nothing changed."""
        lid = controls.lid_right if self._side > 0 else controls.lid_left
        brow = controls.brow_right if self._side > 0 else controls.brow_left
        gaze_x, gaze_y = _clip(controls.gaze_x), _clip(controls.gaze_y)
        closure = lid - (1 - min(max(lid, 0.0), 1.0)) * (LID_FOLLOW * gaze_y + 0.08 * _clip(brow))
        key = (_step(closure), _step(gaze_x), _step(gaze_y))
        if self._last is None or self._last[0] != key:
            self._last = key, self._mix(*key)
        return self._last[1]

    def _mix(self, closure: float, gaze_x: float, gaze_y: float) -> Bytes:
        lids, cover, light = self._opened(closure)
        if closure >= 1:
            return lids
        drawn = lids.copy()
        part = drawn[self._part]
        ball = self._eyeball(gaze_x, gaze_y, light)
        part[..., :3] = ball + (part[..., :3] - ball) * cover + np.float32(0.5)
        return drawn

    def _opened(self, closure: float) -> tuple[Bytes, Floats, Floats]:
        """The lids' sheet, and of the part that may be open the lids' cover 0..1 and the light, linear."""
        kept = self._open.get(closure)
        if kept is not None:
            self._open.move_to_end(closure)
            return kept
        place = float(np.interp(closure, self._levels, np.arange(len(self._levels), dtype=np.float32)))
        low = min(int(place), len(self._levels) - 2)
        second = place - low
        weights = np.zeros(len(self._levels), np.float32)
        weights[low], weights[low + 1] = 1 - second, second
        levels = [k for k in (low, low + 1) if weights[k] > 1e-4]
        lids, light = self._lids[levels[0]].copy(), self._light[levels[0]]
        if len(levels) == 2:
            (near, far), (a, b) = self._morph.maps(weights, levels), levels
            lids, light = (
                np.asarray(cv2.addWeighted(bend(p, near), 1 - second, bend(q, far), second, 0), np.uint8)
                for p, q in ((self._lids[a], self._lids[b]), (self._light[a], self._light[b]))
            )
        cover = lids[self._part][..., 3:] * np.float32(1 / 255)
        lit = np.square(light[self._part] * np.float32(math.sqrt(TONE_TOP) / 255))
        lids[..., 3] = 255
        self._open[closure] = lids, cover, lit
        if len(self._open) > KEPT:
            self._open.popitem(last=False)
        return self._open[closure]

    def _eyeball(self, gaze_x: float, gaze_y: float, lit: Floats) -> Floats:
        """Y, Cb, Cr of the turned eyeball; `lit` is the light on it, linear."""
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


def _open_part(covers: list[Bytes]) -> tuple[slice, slice]:
    """The rows and columns in which the eyeball shows at any opening."""
    seen = np.min(covers, axis=0) < 255
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _step(value: float) -> float:
    """To the nearest step, a tenth of a pixel at most: an eye that hardly moved is not drawn anew."""
    return round(value * STEPS) / STEPS


def _clip(value: float) -> float:
    return min(max(value, -1.0), 1.0)
