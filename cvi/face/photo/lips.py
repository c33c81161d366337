"""The mouth's part of the picture: two lips that part along the line where they met, and what lies between.

Above and below the lip line the picture is displaced differently; each side is fetched with its own
displacement, and where the two draw apart the painted inside is seen. Shut lips show the photo's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.face.base import Controls
from cvi.face.photo.canvas import Canvas
from cvi.face.photo.fields import JAW, Grid, bump, fields, parted, summed, with_chin
from cvi.face.photo.interior import Interior
from cvi.face.photo.planes import Map, fetched, lay, mix
from cvi.face.photo.rig import Rig
from cvi.face.photo.shape import Axes, Shape
from cvi.face.planes import Box, Floats, Planes

_CELL = 2
_STEPS = 5
_POINTS = 49
_RAISED = 0.075
"""How far the upper lip rises in the middle at most, mouth widths."""


@dataclass(frozen=True, slots=True)
class _Sides:
    """What the upper and the lower side are moved by beside what moves both, (2, rows, columns) each."""

    raised: Floats
    dropped: Floats
    rolled: Floats


class Lips:
    """`draw` depends on its arguments alone."""

    def __init__(self, rig: Rig, shape: Shape, canvas: Canvas, width: int, height: int) -> None:
        mouth = shape.mouth
        corners = np.array([[-0.66, -0.36], [0.66, -0.36], [-0.66, 0.72], [0.66, 0.72]], np.float32)
        self._box = Box.around(mouth.axes.back(corners[:, 0], corners[:, 1]), width, height)
        self._grid = Grid.over(self._box, _CELL)
        self._fields = fields(shape, self._grid, height)
        self._canvas, self._axes = canvas, mouth.axes
        u, v = mouth.axes.into(self._grid.x, self._grid.y)
        low, parts = mouth.below_line(u, v), mouth.parts(u)
        unit, down = mouth.axes.unit, mouth.axes.down[:, None, None]
        # Under the lip the chin takes over, which the common fields move.
        drop = JAW * parts * (1 - with_chin(low))
        self._sides = _Sides(
            raised=-_RAISED * parts * bump(low, 0.28) * unit * down,
            dropped=drop * unit * down,
            rolled=-0.40 * parts * np.maximum(low, 0) * bump(low, 0.2) * unit * down,
        )
        line = np.linspace(mouth.line[0, 0], mouth.line[0, -1], _POINTS, dtype=np.float32)
        heights = np.interp(line, mouth.line[0], mouth.line[1]).astype(np.float32)
        self._line = mouth.axes.back(line, heights)
        self._interior = Interior(rig, mouth.axes)
        columns = np.arange(self._box.x0, self._box.x1, dtype=np.float32)
        rows = np.arange(self._box.y0, self._box.y1, dtype=np.float32)
        self._x, self._y = (np.ascontiguousarray(part) for part in np.meshgrid(columns, rows))

    def draw(self, frame: Planes, controls: Controls, shares: Floats, turned: Floats) -> None:
        """Draw the mouth into a frame. `shares` of the common fields; `turned`: those of the head alone."""
        dx, dy = summed(self._fields, shares)
        apart = parted(controls)
        press, tuck, tongue = (
            float(min(max(v, 0.0), 1.0)) for v in (controls.press, controls.tuck, controls.tongue)
        )
        raised = min(0.62 * apart + 0.85 * tuck * (1 - press), 1.0)
        upper = self._shifted(dx, dy, raised * self._sides.raised)
        lower = self._shifted(dx, dy, apart * self._sides.dropped + tuck * self._sides.rolled)
        top, ends = self._edge(upper)
        if apart <= 0 and raised <= 0:
            # One side goes over into the other without a step: the line between them is not seen.
            lay_both = self._fetch(upper)
            if tuck > 0:
                mix(lay_both, self._fetch(lower), np.clip(self._y - top + 0.5, 0, 1).astype(np.float32))
            _put(lay_both, frame.part(self._box))
            return
        bottom = self._edge(lower)[0]
        view = frame.part(self._box)
        both = self._fetch(upper)
        below = np.clip(self._y - (top + bottom) / 2 + 0.5, 0, 1).astype(np.float32)
        mix(both, self._fetch(lower), below)
        gap = np.where((self._x[0] > ends[0]) & (self._x[0] < ends[1]), bottom - top, 0)
        share = np.clip(np.minimum(self._y - top, bottom - self._y) + 0.5, 0, 1) * np.clip(gap, 0, 1)
        if share.any():
            axes = self._turned_axes(turned)
            drop = apart * JAW * 0.92
            inside = self._interior.paint(axes, self._x, self._y, top, drop, tongue)
            lay(both, inside, share.astype(np.float32))
        _put(both, view)

    def _shifted(self, dx: Floats, dy: Floats, more: Floats) -> tuple[Floats, Floats]:
        return dx + more[0], dy + more[1]

    def _fetch(self, moved: tuple[Floats, Floats]) -> Planes:
        places = on_sheet(self._grid.backwards(*moved, _STEPS), self._canvas)
        return fetched(self._canvas.sheet, self._grid.spread(places))

    def _edge(self, moved: tuple[Floats, Floats]) -> tuple[Floats, tuple[float, float]]:
        """y of the lip line, moved, at every column of the box; x of its two ends."""
        x, y = (self._line[:, k] + self._grid.at(moved[k], self._line) for k in (0, 1))
        order = np.maximum.accumulate(x)
        return np.interp(self._x[0], order, y).astype(np.float32), (float(order[0]), float(order[-1]))

    def _turned_axes(self, turned: Floats) -> Axes:
        """The mouth's axes on the skull: moved as the head moves them, without the mouth's own."""
        dx, dy = summed(self._fields, turned)
        ends = self._line[[0, -1]]
        moved = ends + np.stack([self._grid.at(dx, ends), self._grid.at(dy, ends)], 1)
        across = moved[1] - moved[0]
        right = (across / np.linalg.norm(across)).astype(np.float32)
        origin = self._axes.origin + moved.mean(0) - ends.mean(0)
        return Axes(origin, right, np.array([-right[1], right[0]], np.float32), self._axes.unit)


def on_sheet(places: Map, canvas: Canvas) -> Map:
    """Places of the frame as places of the sheet."""
    x, y = (
        (part + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
        for part, scale in zip(places, canvas.scale, strict=True)
    )
    return x, y


def _put(new: Planes, onto: Planes) -> None:
    for plane, target in zip(new, onto, strict=True):
        target[:] = plane
