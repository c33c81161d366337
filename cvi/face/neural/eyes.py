"""The eyes of a trained replica: a blink pasted over them, and eyeballs turned within their opening.

The head in the picture is the footage's own, so the head turn that the controls ask for is added to the gaze:
the eyes look at the same point in the world. Irises move from where they are in the footage, within the range
seen there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls
from cvi.face.behaviour import EYE_PITCH_DEG, EYE_YAW_DEG
from cvi.face.neural.compose import paste
from cvi.face.planes import Bytes, Floats, Planes

_LEAST = 0.1
"""Smaller closures are not drawn: a patch is softer than the footage, and lids are never quite still."""


@dataclass(frozen=True, slots=True)
class BlinkPatches:
    """A person's own blink: pictures of both eyes at m closures; m is 0 where the footage showed no blink.

    `levels` (m,): closures, 0..1, ascending; `patches` uint8 (m, side, side, 3) RGB; `mask` and `ring`
    float32 (side, side) as in `DrawnRegion`; `place` (2, 3): pixels of the lower face's crop -> pixels of the
    patches.
    """

    levels: Floats
    patches: npt.NDArray[np.uint8]
    mask: Floats
    ring: Floats
    place: Floats

    def draw(self, frame: Bytes, controls: Controls, matrix: Floats) -> None:
        """Close the eyes of an I420 frame, in place, both as far as the one that is asked to close further.

        `matrix` (2, 3): frame pixels -> pixels of the lower face's crop.
        """
        wanted = min(max(controls.lid_left, controls.lid_right), 1.0)
        if wanted < _LEAST or not len(self.levels):
            return
        nearest = int(np.argmin(np.abs(self.levels - wanted)))
        # An open eye is nearer to what is asked than the first patch.
        if wanted < self.levels[nearest] - wanted:
            return
        patch = self.patches[nearest].astype(np.float32)
        paste(frame, patch, composed(matrix, self.place), self.mask, self.ring)


def composed(first: Floats, second: Floats) -> Floats:
    """The affine map (2, 3) that applies `first` (2, 3) and then `second` (2, 3)."""
    shift = second[:, :2] @ first[:, 2:] + second[:, 2:]
    return np.asarray(np.hstack([second[:, :2] @ first[:, :2], shift]), np.float32)


def no_blink() -> BlinkPatches:
    """The value for footage without a blink."""
    nothing = np.zeros((0, 0), np.float32)
    patches = np.zeros((0, 0, 0, 3), np.uint8)
    return BlinkPatches(np.zeros(0, np.float32), patches, nothing, nothing, np.eye(2, 3, dtype=np.float32))


GAZE_X, GAZE_Y = 0.34, 0.20
"""Movement of an iris at the ends of the gaze controls, half lengths of the eye."""
_MOST_X, _MOST_Y = 0.24, 0.10
"""Limits of the movement: beyond them the picture shows nothing of the white behind the iris."""
_STILL = (0.012, 0.03)
"""Half lengths of the eye: movements below the first are dropped, so that resting eyes stay untouched, those
above the second are made in full."""
_FINE = 16.0
"""Grid points in the half length of an eye at which displacements are computed."""
_SEEN_PX = 0.02
_WHOLE = 1.08
"""Iris radii within which all pixels move alike, the soft edge of the iris with them."""
_CORNER = 0.97
"""Share of the half length beyond which nothing moves."""
_EDGE, _HALF_WAY = 0.12, 0.40
"""Shares of the opening, from either lid, over which the movement aside, and up or down, grows from zero."""
_LASHES = 0.05
"""Half lengths of the eye by which the iris is visible beyond the mesh's edges of the lids."""


@dataclass(frozen=True, slots=True)
class EyeTrack:
    """Lids and irises of the n frames of the base film, the left eye first.

    `lids` float32 (n, 2, 2, 9, 2): edges of the upper and the lower lid from left to right, frame pixels;
    `irises` (n, 2, 3): centre and radius, frame pixels; `least`, `most` (2,): range of the irises' centres
    right and down of the middle between the corners, half lengths of the eye.
    """

    lids: Floats
    irises: Floats
    least: Floats
    most: Floats

    def turn(self, frame: Bytes, controls: Controls, index: int) -> None:
        """Turn the eyes of base frame `index`, I420, in place. Only pixels of the eyeballs change."""
        eyes = [_FrameEye(self.lids[index, side], self.irises[index, side]) for side in range(2)]
        own = np.mean([eye.iris for eye in eyes], axis=0)
        right, down = self.shift(controls, own)
        if right or down:
            for eye in eyes:
                eye.turn(frame, right, down)

    def shift(self, controls: Controls, own: Floats) -> tuple[float, float]:
        """How far right and down the irises move, half lengths of the eye.

        `own` (2,): where they are in the footage, right and down of the middle between the corners.
        """
        gaze = (
            controls.gaze_x + controls.yaw / EYE_YAW_DEG,
            -(controls.gaze_y - controls.pitch / EYE_PITCH_DEG),
        )
        asked = np.clip(gaze, -1, 1) * (GAZE_X, GAZE_Y)
        goal = np.clip(own + asked, np.minimum(self.least, own), np.maximum(self.most, own))
        shift = np.clip(goal - own, (-_MOST_X, -_MOST_Y), (_MOST_X, _MOST_Y))
        right, down = (shift * _rise(np.hypot(*shift), *_STILL)).tolist()
        return right, down


class _FrameEye:
    """One eye of one frame; u right from corner to corner and v down, in half lengths of the eye."""

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
        """Move the eyeball's pixels by `right` and `down`, half lengths of the eye, in place."""
        planes = Planes.of(frame)
        height, width = planes.luma.shape
        points = self._back(np.concatenate([self._upper, self._lower]))
        margin = _LASHES * self._long + 2
        low, high = points.min(0) - margin, points.max(0) + margin + 1
        # Even to even, for the chroma.
        left, top = (int(max(value, 0) // 2 * 2) for value in low)
        wide, tall = int(min(high[0], width) - left) // 2 * 2, int(min(high[1], height) - top) // 2 * 2
        if wide < 4 or tall < 4:
            return
        # Displacements are smooth: they are computed on a coarse grid and interpolated.
        columns, rows = (max(2, round(side * min(1.0, _FINE / self._long))) for side in (wide, tall))
        x = left - 0.5 + (np.arange(columns, dtype=np.float32) + 0.5) * (wide / columns)
        y = top - 0.5 + (np.arange(rows, dtype=np.float32) + 0.5) * (tall / rows)
        du, dv = self._displacement(x, y, right, down)
        displacement = self._long * (du[..., None] * self._axes[0] + dv[..., None] * self._axes[1])
        for step, parts in ((1, planes[:1]), (2, planes[1:])):
            size = wide // step, tall // step
            places = cv2.resize(displacement, size, interpolation=cv2.INTER_LINEAR) / np.float32(step)
            moves = np.abs(places[..., 0]) + np.abs(places[..., 1]) > _SEEN_PX
            places[..., 0] += np.arange(size[0], dtype=np.float32)
            places[..., 1] += np.arange(size[1], dtype=np.float32)[:, None]
            for plane in parts:
                part = plane[top // step : top // step + size[1], left // step : left // step + size[0]]
                fetched = cv2.remap(part, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
                np.copyto(part, np.clip(fetched, 16, 235 if step == 1 else 240), where=moves)

    def _displacement(self, x: Floats, y: Floats, right: float, down: float) -> tuple[Floats, Floats]:
        """Where pixels at columns `x` and rows `y` are fetched from, relative to themselves, (rows, columns)
        each."""
        points = np.stack(np.meshgrid(x, y), 2) - self._middle
        u, v = (points @ (axis / self._long) for axis in self._axes)
        upper, lower = self._edges(u)
        high = np.maximum(lower - upper, 1e-3)
        depth = np.minimum(v - upper, lower - v) / high
        middle = float(self.iris[0]) + right
        radius = _WHOLE * self._radius
        near = _rise(u, -_CORNER, middle - radius) * (1 - _rise(u, middle + radius, _CORNER))
        du = -right * near * _rise(depth, 0.0, _EDGE)
        dv = -down * near * _rise(depth, 0.0, _HALF_WAY)
        # Lids are not level: keep each pixel's distance from them at the place it is fetched from.
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
