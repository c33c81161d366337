"""The mouth and the eyes of a photo.

Lids are drawn over the eyeball with their own skin, and irises turn slightly. Lips part along the line
where they meet, and between them is the painted inside. The picture above and below the lip line is
displaced differently; each side is fetched with its own displacement, and where the two draw apart the
inside shows. Shut lips show the photo's own pixels. Proportions of the inside are an adult's: incisors of
8.5, 6.5 and 7.5 mm in a mouth 50 mm wide, foreshortened towards the sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.motion import ease
from cvi.face.photo.canvas import Map, PhotoCanvas, SheetPlaces, blend, fetched, mix, ycc_of
from cvi.face.photo.fields import JAW, FieldGrid, bump, fields, parted, rise, summed, with_chin
from cvi.face.photo.rig import Axes, EyeOutline, FaceShape, PhotoRig
from cvi.face.planes import Box, Floats, Planes

_SPAN, _ABOVE, _BELOW = 0.60, 0.20, 0.50
"""Extent of the painted layers: to either side of the middle, above and below the lip line; mouth widths."""
_FINER = 4
_UPPER = ((0.128, 0.062), (0.102, 0.052), (0.088, 0.057), (0.066, 0.042), (0.048, 0.030), (0.035, 0.02))
"""Width of each upper tooth from the middle, and how far below the lip line it ends, mouth widths."""
_LOWER = ((0.082, 0.000), (0.080, 0.003), (0.076, -0.004), (0.064, 0.008), (0.05, 0.014), (0.04, 0.02))
"""Width of each lower tooth, and how far below the row's edge it begins."""
_GAP = 0.007
_SHADE_DEEP = 0.08
"""Height of the upper lip's shadow, mouth widths."""


@dataclass(frozen=True, slots=True)
class PaintedLayer:
    """`ycc` (h, w, 3) and its opacity `share` (h, w), 0..1."""

    ycc: Floats
    share: Floats


class MouthInterior:
    """Two rows of teeth, a tongue and the dark behind them, in mouth coordinates: the upper teeth are fixed
    to the skull, the rest moves with the jaw. Painted once, in the photo's light; stateless after
    construction."""

    def __init__(self, rig: PhotoRig, axes: Axes) -> None:
        self._axes = axes
        unit = axes.unit * _FINER
        wide, high = round(2 * _SPAN * unit), round((_ABOVE + _BELOW) * unit)
        u = ((np.arange(wide) + 0.5) / unit - _SPAN).astype(np.float32)
        v = ((np.arange(high) + 0.5) / unit - _ABOVE).astype(np.float32)
        u, v = (np.ascontiguousarray(part) for part in np.meshgrid(u, v))
        arch = np.asarray(1 - 0.62 * np.square(np.clip(np.abs(u) / 0.46, 0, 1)), np.float32)
        upper = _row(u, v, _UPPER, up=True)
        lower = _row(u, -v - 0.02, _LOWER, up=True)
        # Darker and warmer towards the gums and between the teeth.
        root = 0.80 + 0.20 * np.clip((v + 0.05) / 0.10, 0, 1)
        self._upper = self._layer(rig.teeth, arch * root, upper)
        self._lower = self._layer(rig.teeth * np.array([0.86, 0.82, 0.78], np.float32), arch * 0.74, lower)
        top = 0.030 + 0.16 * np.square(u / 0.33)
        over = np.clip((v - top) / 0.05, 0, 1)
        light = 0.46 + 0.50 * np.clip((v - 0.03) / 0.14, 0, 1) - 0.10 * np.exp(-np.square(u / 0.03))
        body = over * np.clip((0.34 - np.abs(u)) / 0.08, 0, 1)
        self._tongue = self._layer(rig.tongue, light, body)
        self._dark = ycc_of(rig.cavity)

    def paint(self, axes: Axes, x: Floats, y: Floats, top: Floats, drop: float, tongue: float) -> Floats:
        """Y, Cb, Cr (h, w, 3) of the inside at `x`, `y` (frame pixels of a rectangle).

        `axes`: the mouth's, with the head as turned now; `top` (w,): y of the upper lip's edge; `drop`: how
        far the lower jaw is down, mouth widths; `tongue` 0..1 raises its tip to the teeth.
        """
        inside = np.empty((*x.shape, 3), np.float32)
        inside[:] = self._dark
        raised = 0.06 * tongue - 0.02 * (1 - tongue)
        # The tongue lies behind the lower teeth; a raised tip is drawn over them below.
        self._lay(inside, self._tongue, axes, x, y, 0.38 * drop - raised, 0.75 + 0.25 * tongue)
        self._lay(inside, self._lower, axes, x, y, drop, 1.0)
        self._lay(inside, self._upper, axes, x, y, 0.0, 1.0)
        if tongue > 0:
            self._lay(inside, self._tongue, axes, x, y, 0.25 * drop - 0.045, tongue)
        deep = (y - top) / (axes.unit * _SHADE_DEEP)
        u = axes.into(x, y)[0]
        shade = (0.66 + 0.34 * np.clip(deep, 0, 1)) * (1 - 0.55 * np.square(np.clip(np.abs(u) / 0.5, 0, 1)))
        inside[..., 0] = 16 + (inside[..., 0] - 16) * shade
        inside[..., 1:] = 128 + (inside[..., 1:] - 128) * (0.4 + 0.6 * shade[..., None])
        return inside

    def _layer(self, colour: Floats, light: Floats, share: Floats) -> PaintedLayer:
        """A layer at the frame's resolution, with edges as soft as a photo's."""
        rgb = np.clip(light[..., None] * colour, 0, 255).astype(np.float32)
        size = -(-light.shape[1] // _FINER), -(-light.shape[0] // _FINER)
        soft = 0.010 * self._axes.unit * _FINER
        both = cv2.GaussianBlur(np.dstack([ycc_of(rgb), share]).astype(np.float32), (0, 0), soft)
        small = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
        return PaintedLayer(
            np.ascontiguousarray(small[..., :3], np.float32), np.ascontiguousarray(small[..., 3], np.float32)
        )

    def _lay(
        self, onto: Floats, layer: PaintedLayer, axes: Axes, x: Floats, y: Floats, down: float, share: float
    ) -> None:
        u, v = axes.into(x, y)
        column = ((u + _SPAN) * self._axes.unit - 0.5).astype(np.float32)
        row = ((v - down + _ABOVE) * self._axes.unit - 0.5).astype(np.float32)
        seen = cv2.remap(layer.ycc, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.remap(layer.share, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        onto += (seen - onto) * (weight * np.float32(share))[..., None]


def _row(u: Floats, v: Floats, teeth: tuple[tuple[float, float], ...], up: bool) -> Floats:
    """Opacity of a row of teeth, 0..1; teeth grow from above and end at `v`."""
    seen = np.zeros_like(u)
    start = 0.0
    for width, end in teeth:
        middle = start + width / 2
        away = np.abs(np.abs(u) - middle) / (width / 2 - _GAP / 2)
        # Rounded corners: the edge rises towards the sides of a tooth.
        edge = end - 0.016 * np.clip(away, 0, 1) ** 4
        body = np.clip((1 - away) / 0.06 + 0.5, 0, 1) * np.clip((edge - v) / 0.006 + 0.5, 0, 1)
        seen = np.maximum(seen, body)
        # Gaps between teeth are dim, not black.
        seen = np.maximum(seen, 0.72 * np.clip((edge - 0.02 - v) / 0.01, 0, 1) * (away < 1.25))
        start += width
    return np.asarray(seen, np.float32)


_CELL = 2
_STEPS = 5
_POINTS = 49
_RAISED = 0.075
"""Largest rise of the upper lip's middle, mouth widths."""


@dataclass(frozen=True, slots=True)
class _Sides:
    """Displacements of one side only, (2, rows, columns) each: upper lip raised, lower lip dropped, lower lip
    rolled in."""

    raised: Floats
    dropped: Floats
    rolled: Floats


class PhotoLips:
    """Draws the mouth; `draw` depends on its arguments alone."""

    def __init__(self, rig: PhotoRig, shape: FaceShape, canvas: PhotoCanvas, width: int, height: int) -> None:
        mouth = shape.mouth
        corners = np.array([[-0.66, -0.36], [0.66, -0.36], [-0.66, 0.72], [0.66, 0.72]], np.float32)
        self._box = Box.around(mouth.axes.back(corners[:, 0], corners[:, 1]), width, height)
        self._grid = FieldGrid.over(self._box, _CELL)
        self._fields = fields(shape, self._grid, height)
        self._canvas, self._axes = canvas, mouth.axes
        u, v = mouth.axes.into(self._grid.x, self._grid.y)
        low, parts = mouth.below_line(u, v), mouth.parting(u)
        unit, down = mouth.axes.unit, mouth.axes.down[:, None, None]
        # Below the lip the chin takes over, which the common fields move.
        drop = JAW * parts * (1 - with_chin(low))
        self._sides = _Sides(
            raised=-_RAISED * parts * bump(low, 0.28) * unit * down,
            dropped=drop * unit * down,
            rolled=-0.40 * parts * np.maximum(low, 0) * bump(low, 0.2) * unit * down,
        )
        line = np.linspace(mouth.line[0, 0], mouth.line[0, -1], _POINTS, dtype=np.float32)
        heights = np.interp(line, mouth.line[0], mouth.line[1]).astype(np.float32)
        self._line = mouth.axes.back(line, heights)
        self._interior = MouthInterior(rig, mouth.axes)
        columns = np.arange(self._box.x0, self._box.x1, dtype=np.float32)
        rows = np.arange(self._box.y0, self._box.y1, dtype=np.float32)
        self._x, self._y = (np.ascontiguousarray(part) for part in np.meshgrid(columns, rows))

    def draw(self, frame: Planes, controls: Controls, shares: Floats, turned: Floats) -> None:
        """Draw the mouth into a frame, in place.

        `shares`: amounts of the displacement fields; `turned`: the same with only those of the head.
        """
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
            # Shut lips: both sides have one displacement, and the line between them does not show.
            lay_both = self._fetch(upper)
            if tuck > 0:
                mix(lay_both, self._fetch(lower), np.clip(self._y - top + 0.5, 0, 1).astype(np.float32))
            frame.part(self._box).put(lay_both)
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
            blend(both, inside, share.astype(np.float32))
        view.put(both)

    def _shifted(self, dx: Floats, dy: Floats, more: Floats) -> tuple[Floats, Floats]:
        return dx + more[0], dy + more[1]

    def _fetch(self, moved: tuple[Floats, Floats]) -> Planes:
        places = self._canvas.on_sheet(self._grid.backwards(*moved, _STEPS))
        return fetched(self._canvas.sheet, self._grid.spread(places))

    def _edge(self, moved: tuple[Floats, Floats]) -> tuple[Floats, tuple[float, float]]:
        """y of the displaced lip line at every column of the box, and x of its two ends."""
        x, y = (self._line[:, k] + self._grid.at(moved[k], self._line) for k in (0, 1))
        order = np.maximum.accumulate(x)
        return np.interp(self._x[0], order, y).astype(np.float32), (float(order[0]), float(order[-1]))

    def _turned_axes(self, turned: Floats) -> Axes:
        """The mouth's axes as the head moves them, without the mouth's own movement."""
        dx, dy = summed(self._fields, turned)
        ends = self._line[[0, -1]]
        moved = ends + np.stack([self._grid.at(dx, ends), self._grid.at(dy, ends)], 1)
        across = moved[1] - moved[0]
        right = (across / np.linalg.norm(across)).astype(np.float32)
        origin = self._axes.origin + moved.mean(0) - ends.mean(0)
        return Axes(origin, right, np.array([-right[1], right[0]], np.float32), self._axes.unit)


GAZE_X, GAZE_Y = 0.34, 0.20
"""Movement of the iris at the ends of the gaze controls, half lengths of the eye."""
MOST_GAZE = 0.7
_FOLLOWS = 0.30
"""Share of their way by which lids follow the gaze up and down."""
_MEETS = 1.14
"""Openings that a shut lid moves: beyond the mesh's lower edge, which runs inside the lashes."""
_EYE_CELL = 2
_EYE_STEPS = 3
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
        self._grid = FieldGrid.over(self._box, _EYE_CELL)
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
        source = self._grid.backwards(dx, dy, _EYE_STEPS)
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
