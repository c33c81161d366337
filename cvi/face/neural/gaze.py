"""A person's own eyes, turned within their opening to where the controls look.

The head is the footage's own, so what is asked of it is taken out of the gaze: the eyes look at the same
place in the world. They go from where they look in the footage, no farther than they were seen to go there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.behaviour import EYE_PITCH_DEG, EYE_YAW_DEG
from cvi.face.neural.colour import Bytes, Floats, split

GAZE_X, GAZE_Y = 0.34, 0.20
"""How far an iris goes at the ends of the gaze controls, half lengths of the eye."""
_MOST_X, _MOST_Y = 0.24, 0.10
"""Farther, what lies behind the iris would have to be invented."""
_STILL = (0.012, 0.03)
"""Half lengths of the eye: ways shorter than the first are none, so that resting eyes are left alone; those
longer than the second are gone whole."""
_FINE = 16.0
"""Points in the half length of an eye at which the way of its pixels is worked out."""
_SEEN_PX = 0.02
_WHOLE = 1.08
"""Of the iris: so far around its middle all goes one way, its soft edge with it."""
_CORNER = 0.97
"""Of the half length: beyond it nothing moves."""
_EDGE, _HALF_WAY = 0.12, 0.40
"""Of the opening, from either lid: over so much the eyeball's way aside, and up or down, grows from none."""
_LASHES = 0.05
"""Half lengths of the eye: the iris is seen so far beyond the mesh's edges of the lids."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Of n frames of the base film, the left eye (the viewer's) first. `lids` float32 (n, 2, 2, 9, 2): edges
    of the upper and the lower lid from the viewer's left to the right, frame pixels; `irises` (n, 2, 3):
    middle and radius, frame pixels. `least`, `most` (2,): how far right and down from the middle between the
    corners the irises were seen, half lengths of the eye."""

    lids: Floats
    irises: Floats
    least: Floats
    most: Floats

    def turn(self, frame: Bytes, controls: Controls, index: int) -> None:
        """Turn the eyes of base frame `index`, I420, in place. Nothing but the eyeballs changes."""
        eyes = [_Eye(self.lids[index, side], self.irises[index, side]) for side in range(2)]
        own = np.mean([eye.iris for eye in eyes], axis=0)
        right, down = self.way(controls, own)
        if right or down:
            for eye in eyes:
                eye.turn(frame, right, down)

    def way(self, controls: Controls, own: Floats) -> tuple[float, float]:
        """How far right and down the irises go from where they are, half lengths of the eye. `own` (2,) is
        where they are, from the middle between the corners."""
        looks = (
            controls.gaze_x + controls.yaw / EYE_YAW_DEG,
            -(controls.gaze_y - controls.pitch / EYE_PITCH_DEG),
        )
        asked = np.clip(looks, -1, 1) * (GAZE_X, GAZE_Y)
        there = np.clip(own + asked, np.minimum(self.least, own), np.maximum(self.most, own))
        way = np.clip(there - own, (-_MOST_X, -_MOST_Y), (_MOST_X, _MOST_Y))
        right, down = (way * _rise(np.hypot(*way), *_STILL)).tolist()
        return right, down


class _Eye:
    """One eye of one frame: its own axes, right from corner to corner and down, in half lengths of it."""

    def __init__(self, lids: Floats, iris: Floats) -> None:
        left, right = lids[:, 0].mean(0), lids[:, -1].mean(0)
        self._middle = (left + right) / 2
        self._long = max(float(np.linalg.norm(right - left)) / 2, 1e-3)
        along = (right - left) / (2 * self._long)
        self._axes = np.stack([along, (-along[1], along[0])])
        self._upper, self._lower = (self._into(edge) for edge in lids)
        self.iris = self._into(iris[None, :2])[0]
        self._radius = float(iris[2]) / self._long

    def turn(self, frame: Bytes, right: float, down: float) -> None:
        """Fetch every pixel of the eyeball from where it was."""
        planes = split(frame)
        height, width = planes.luma.shape
        points = self._back(np.concatenate([self._upper, self._lower]))
        margin = _LASHES * self._long + 2
        low, high = points.min(0) - margin, points.max(0) + margin + 1
        # Even to even, for the chroma.
        left, top = (int(max(value, 0) // 2 * 2) for value in low)
        wide, tall = int(min(high[0], width) - left) // 2 * 2, int(min(high[1], height) - top) // 2 * 2
        if wide < 4 or tall < 4:
            return
        # The way is smooth, and is worked out at a few points.
        columns, rows = (max(2, round(side * min(1.0, _FINE / self._long))) for side in (wide, tall))
        x = left - 0.5 + (np.arange(columns, dtype=np.float32) + 0.5) * (wide / columns)
        y = top - 0.5 + (np.arange(rows, dtype=np.float32) + 0.5) * (tall / rows)
        du, dv = self._from(x, y, right, down)
        way = self._long * (du[..., None] * self._axes[0] + dv[..., None] * self._axes[1])
        for step, parts in ((1, planes[:1]), (2, planes[1:])):
            size = wide // step, tall // step
            places = cv2.resize(way, size, interpolation=cv2.INTER_LINEAR) / np.float32(step)
            moves = np.abs(places[..., 0]) + np.abs(places[..., 1]) > _SEEN_PX
            places[..., 0] += np.arange(size[0], dtype=np.float32)
            places[..., 1] += np.arange(size[1], dtype=np.float32)[:, None]
            for plane in parts:
                part = plane[top // step : top // step + size[1], left // step : left // step + size[0]]
                fetched = cv2.remap(part, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
                np.copyto(part, np.clip(fetched, 16, 235 if step == 1 else 240), where=moves)

    def _from(self, x: Floats, y: Floats, right: float, down: float) -> tuple[Floats, Floats]:
        """Where the frame's points of columns `x` and rows `y` are fetched from, less where they are; half
        lengths of the eye, (rows, columns)."""
        there = np.stack(np.meshgrid(x, y), 2) - self._middle
        u, v = (there @ (axis / self._long) for axis in self._axes)
        upper, lower = self._edges(u)
        high = np.maximum(lower - upper, 1e-3)
        depth = np.minimum(v - upper, lower - v) / high
        middle = float(self.iris[0]) + right
        radius = _WHOLE * self._radius
        near = _rise(u, -_CORNER, middle - radius) * (1 - _rise(u, middle + radius, _CORNER))
        du = -right * near * _rise(depth, 0.0, _EDGE)
        dv = -down * near * _rise(depth, 0.0, _HALF_WAY)
        # Lids are not level: what is fetched from aside is as far from them there.
        share = np.clip((v - upper) / high, 0, 1)
        aside_upper, aside_lower = self._edges(u + du)
        dv += (1 - share) ** 2 * (aside_upper - upper) + share**2 * (aside_lower - lower)
        inside = (depth > 0) & (np.abs(u) < _CORNER)
        return np.where(inside, du, 0).astype(np.float32), np.where(inside, dv, 0).astype(np.float32)

    def _edges(self, u: Floats) -> tuple[Floats, Floats]:
        upper, lower = (np.interp(u, edge[:, 0], edge[:, 1]) for edge in (self._upper, self._lower))
        upper, lower = upper - _LASHES, lower + _LASHES
        return upper.astype(np.float32), np.maximum(upper, lower).astype(np.float32)

    def _into(self, points: Floats) -> Floats:
        return np.asarray((points - self._middle) @ self._axes.T / self._long, np.float32)

    def _back(self, points: Floats) -> Floats:
        return np.asarray(points * self._long @ self._axes + self._middle, np.float32)


def _rise(value: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    x = np.clip((value - low) / max(high - low, 0.05), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)
