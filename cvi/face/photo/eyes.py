"""The eyes of a photo: lids drawn over the eyeball with their own skin, irises that turn slightly."""

from __future__ import annotations

import numpy as np

from cvi.face.base import Controls
from cvi.face.motion import ease
from cvi.face.photo.canvas import Map, PhotoCanvas, SheetPlaces, fetched, mix, ycc_of
from cvi.face.photo.fields import FieldGrid, bump, fields, rise, summed
from cvi.face.photo.rig import EyeOutline, FaceShape, PhotoRig
from cvi.face.planes import Box, Floats, Planes

GAZE_X, GAZE_Y = 0.34, 0.20
"""Movement of the iris at the ends of the gaze controls, half lengths of the eye."""
MOST_GAZE = 0.7
_FOLLOWS = 0.30
"""Share of their way by which lids follow the gaze up and down."""
_MEETS = 1.14
"""Openings that a shut lid moves: beyond the mesh's lower edge, which runs inside the lashes."""
_CELL = 2
_STEPS = 3
_LASH_HIGH = 0.16
"""Openings above the lid's edge within which skin is moved and not stretched."""
_STEP = 1 / 256
"""Resolution of gaze and closure, so that resting eyes are still."""


class PhotoEye:
    """Draws one eye; `side` 0 is the viewer's left. `draw` depends on its arguments alone."""

    def __init__(
        self, rig: PhotoRig, shape: FaceShape, side: int, canvas: PhotoCanvas, width: int, height: int
    ) -> None:
        eye = shape.eyes[side]
        self._eye, self._side, self._canvas = eye, side, canvas
        top, bottom = float(eye.upper[1].min()) - eye.brow - 0.35, float(eye.lower[1].max()) + 0.35
        corners = np.array([[-1.3, top], [1.3, top], [-1.3, bottom], [1.3, bottom]], np.float32)
        self._box = Box.around(eye.axes.back(corners[:, 0], corners[:, 1]), width, height)
        self._grid = FieldGrid.over(self._box, _CELL)
        self._fields = fields(shape, self._grid, height)
        columns = np.arange(self._box.x0, self._box.x1, dtype=np.float32)
        rows = np.arange(self._box.y0, self._box.y1, dtype=np.float32)
        self._x, self._y = (np.ascontiguousarray(part) for part in np.meshgrid(columns, rows))
        self._lash = ycc_of(rig.lash)

    def draw(self, frame: Planes, controls: Controls, shares: Floats) -> None:
        """Draw the eye into a frame, in place; `shares`: amounts of the displacement fields."""
        lid = controls.lid_right if self._side else controls.lid_left
        gaze_x, gaze_y = (
            round(float(min(max(value, -MOST_GAZE), MOST_GAZE)) / _STEP) * _STEP
            for value in (controls.gaze_x, controls.gaze_y)
        )
        shut = min(max(lid, 0.0), 1.0)
        closure = min(max(lid, -0.2), 1.0) - _FOLLOWS * (1 - shut) * gaze_y
        closure = round(float(min(max(closure, -0.22), 1.0)) / _STEP) * _STEP
        dx, dy = summed(self._fields, shares)
        source = self._grid.backwards(dx, dy, _STEPS)
        u, v = self._eye.axes.into(*source)
        lids = _lids(self._eye, u)
        open_eye = self._places(source, *self._eyeball(u, v, lids, closure, gaze_x, gaze_y))
        picture = fetched(self._canvas.sheet, open_eye)
        if closure:
            skin = self._places(source, u, self._skin(v, lids, closure))
            edge = self._edge(dx, dy, closure)
            covered = np.clip(edge - self._y + 0.5, 0, 1).astype(np.float32)
            mix(picture, fetched(self._canvas.sheet, skin), covered)
            if closure > 0.25:
                self._paint_lashes(picture, edge, closure)
        for plane, target in zip(picture, frame.part(self._box), strict=True):
            target[:] = plane

    def _places(self, source: Map, u: Floats, v: Floats) -> SheetPlaces:
        """Eye coordinates -> sheet pixels; what the eye does not move stays at
        `source`."""
        axes = self._eye.axes
        u0, v0 = axes.into(*source)
        du, dv = (u - u0) * axes.unit, (v - v0) * axes.unit
        x = source[0] + du * axes.right[0] + dv * axes.down[0]
        y = source[1] + du * axes.right[1] + dv * axes.down[1]
        return self._grid.spread(self._canvas.on_sheet((x.astype(np.float32), y.astype(np.float32))))

    def _skin(self, v: Floats, lids: tuple[Floats, Floats], closure: float) -> Floats:
        """v that the lid's skin is fetched from: stretched between brow and edge, the lashes moved
        unstretched."""
        upper, lower = lids
        way = closure * (lower - upper) * _MEETS
        lash = _LASH_HIGH * self._eye.opening
        above = upper + way - v
        long = self._eye.brow - lash
        stretched = lash + (above - lash) * long / np.maximum(long + way, 1e-3)
        source = upper - np.where(above < lash, above, stretched)
        return np.asarray(np.where(above > self._eye.brow + way, v, source), np.float32)

    def _eyeball(
        self, u: Floats, v: Floats, lids: tuple[Floats, Floats], closure: float, gaze_x: float, gaze_y: float
    ) -> tuple[Floats, Floats]:
        """u, v that the eyeball is fetched from: the iris turned, and stretched upwards below a raised
        lid."""
        eye = self._eye
        upper, lower = lids
        high = lower - upper
        if closure < 0:
            # The photo does not show what is under the lid: stretch the upper half of the eye.
            middle = (upper + lower) / 2
            edge = upper + closure * high
            share = (v - edge) / np.maximum(middle - edge, 1e-3)
            lifted = upper + share * (middle - upper)
            inside = (v < middle) & (v > edge - 0.05) & (high > 1e-3)
            v = np.where(inside, lifted, v).astype(np.float32)
        if gaze_x or gaze_y:
            away = np.abs(u - eye.iris[0]) / eye.radius
            near = 1 - rise(away, 0.9, max(1.9, 0.85 / eye.radius))
            # At the lower lid the eyeball's picture ends.
            near *= 1 - rise(v, float(lower.max()) - 0.30 * eye.opening, float(lower.max()) + 0.02)
            near *= rise(v, float(upper.min()) - 0.35, float(upper.min()) - 0.05)
            u = u - GAZE_X * gaze_x * near
            v = v + GAZE_Y * gaze_y * near
        return u, v

    def _edge(self, dx: Floats, dy: Floats, closure: float) -> Floats:
        """y of the upper lid's edge at every column of the box, frame pixels."""
        eye = self._eye
        u = np.linspace(-1, 1, 33, dtype=np.float32)
        upper, lower = _lids(eye, u)
        points = eye.axes.back(u, upper + closure * (lower - upper) * _MEETS)
        x, y = (points[:, k] + self._grid.at(part, points) for k, part in enumerate((dx, dy)))
        # Beyond the corners skin and eyeball are fetched from the same place.
        return np.asarray(np.interp(self._x[0], np.maximum.accumulate(x), y), np.float32)

    def _paint_lashes(self, picture: Planes, edge: Floats, closure: float) -> None:
        """Darken the line where closed lids meet, which stretched skin does not show."""
        unit = self._eye.axes.unit
        middle = self._eye.axes.origin
        across = (self._x - middle[0]) / unit
        share = 0.62 * bump(self._y - edge, 0.075 * unit + 0.6) * (1 - rise(np.abs(across), 0.6, 1.0))
        share *= ease((closure - 0.25) / 0.60)
        luma = picture.luma.astype(np.float32)
        dark = np.minimum(self._lash[0], luma)
        picture.luma[:] = luma + (dark - luma) * share + np.float32(0.5)


def _lids(eye: EyeOutline, u: Floats) -> tuple[Floats, Floats]:
    """v of the upper and the lower lid's edge at `u`, the lower never above the upper."""
    upper = np.interp(u, eye.upper[0], eye.upper[1]).astype(np.float32)
    lower = np.interp(u, eye.lower[0], eye.lower[1]).astype(np.float32)
    return upper, np.maximum(lower, upper)
