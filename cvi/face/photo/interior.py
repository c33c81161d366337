"""The inside of a mouth that the photo does not show: painted once, in the photo's light.

Two rows of teeth, a tongue and the dark behind them, in the mouth's own coordinates: the upper teeth hang on
the skull, the rest goes with the jaw. Proportions are an adult's: incisors of 8.5, 6.5 and 7.5 mm in a mouth
50 mm wide, foreshortened towards the sides, as teeth stand on an arch.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.photo.planes import to_ycc
from cvi.face.photo.rig import Rig
from cvi.face.photo.shape import Axes
from cvi.face.planes import Floats

_SPAN, _ABOVE, _BELOW = 0.60, 0.20, 0.50
"""Of the painted layers: to either side of the middle, above and below the lip line; mouth widths."""
_FINER = 4
_UPPER = ((0.128, 0.062), (0.102, 0.052), (0.088, 0.057), (0.066, 0.042), (0.048, 0.030), (0.035, 0.02))
"""Of each tooth from the middle: its width, and how far below the lip line it ends."""
_LOWER = ((0.082, 0.000), (0.080, 0.003), (0.076, -0.004), (0.064, 0.008), (0.05, 0.014), (0.04, 0.02))
"""The same of the lower teeth, and how far below their edge's middle they begin."""
_GAP = 0.007
_SHADE_DEEP = 0.08
"""Over so much below the upper lip its shadow lies, mouth widths."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`ycc` (h, w, 3) and how much of it is seen, `share` (h, w)."""

    ycc: Floats
    share: Floats


class Interior:
    """`paint` gives the inside for one frame; nothing is kept between calls."""

    def __init__(self, rig: Rig, axes: Axes) -> None:
        self._axes = axes
        unit = axes.unit * _FINER
        wide, high = round(2 * _SPAN * unit), round((_ABOVE + _BELOW) * unit)
        u = ((np.arange(wide) + 0.5) / unit - _SPAN).astype(np.float32)
        v = ((np.arange(high) + 0.5) / unit - _ABOVE).astype(np.float32)
        u, v = (np.ascontiguousarray(part) for part in np.meshgrid(u, v))
        arch = np.asarray(1 - 0.62 * np.square(np.clip(np.abs(u) / 0.46, 0, 1)), np.float32)
        upper = _row(u, v, _UPPER, up=True)
        lower = _row(u, -v - 0.02, _LOWER, up=True)
        # Towards the gums and between the teeth it is darker, and a little warmer.
        root = 0.80 + 0.20 * np.clip((v + 0.05) / 0.10, 0, 1)
        self._upper = self._layer(rig.teeth, arch * root, upper)
        self._lower = self._layer(rig.teeth * np.array([0.86, 0.82, 0.78], np.float32), arch * 0.74, lower)
        top = 0.030 + 0.16 * np.square(u / 0.33)
        over = np.clip((v - top) / 0.05, 0, 1)
        light = 0.46 + 0.50 * np.clip((v - 0.03) / 0.14, 0, 1) - 0.10 * np.exp(-np.square(u / 0.03))
        body = over * np.clip((0.34 - np.abs(u)) / 0.08, 0, 1)
        self._tongue = self._layer(rig.tongue, light, body)
        self._dark = to_ycc(rig.cavity)

    def paint(self, axes: Axes, x: Floats, y: Floats, top: Floats, drop: float, tongue: float) -> Floats:
        """Y, Cb, Cr (h, w, 3) at `x`, `y` (frame pixels of a rectangle).

        `axes`: the mouth's as the head is turned now; `top` (w,): y of the upper lip's edge; `drop`: how far
        the lower jaw is down, mouth widths; `tongue` 0..1 raises its tip to the teeth.
        """
        inside = np.empty((*x.shape, 3), np.float32)
        inside[:] = self._dark
        raised = 0.06 * tongue - 0.02 * (1 - tongue)
        # The tongue lies behind the lower teeth, but its tip is lifted over them.
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

    def _layer(self, colour: Floats, light: Floats, share: Floats) -> Layer:
        """At the frame's fineness, as soft as a photo's edges."""
        rgb = np.clip(light[..., None] * colour, 0, 255).astype(np.float32)
        size = -(-light.shape[1] // _FINER), -(-light.shape[0] // _FINER)
        soft = 0.010 * self._axes.unit * _FINER
        both = cv2.GaussianBlur(np.dstack([to_ycc(rgb), share]).astype(np.float32), (0, 0), soft)
        small = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
        return Layer(
            np.ascontiguousarray(small[..., :3], np.float32), np.ascontiguousarray(small[..., 3], np.float32)
        )

    def _lay(
        self, onto: Floats, layer: Layer, axes: Axes, x: Floats, y: Floats, down: float, share: float
    ) -> None:
        u, v = axes.into(x, y)
        column = ((u + _SPAN) * self._axes.unit - 0.5).astype(np.float32)
        row = ((v - down + _ABOVE) * self._axes.unit - 0.5).astype(np.float32)
        seen = cv2.remap(layer.ycc, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.remap(layer.share, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        onto += (seen - onto) * (weight * np.float32(share))[..., None]


def _row(u: Floats, v: Floats, teeth: tuple[tuple[float, float], ...], up: bool) -> Floats:
    """How much of a tooth is at each place, 0..1; teeth grow from above and end at `v`."""
    seen = np.zeros_like(u)
    start = 0.0
    for width, end in teeth:
        middle = start + width / 2
        away = np.abs(np.abs(u) - middle) / (width / 2 - _GAP / 2)
        # Rounded corners: the edge rises towards a tooth's sides.
        edge = end - 0.016 * np.clip(away, 0, 1) ** 4
        body = np.clip((1 - away) / 0.06 + 0.5, 0, 1) * np.clip((edge - v) / 0.006 + 0.5, 0, 1)
        seen = np.maximum(seen, body)
        # Between two teeth it is dim, not black.
        seen = np.maximum(seen, 0.72 * np.clip((edge - 0.02 - v) / 0.01, 0, 1) * (away < 1.25))
        start += width
    return np.asarray(seen, np.float32)
