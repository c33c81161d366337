"""Displacement fields of the photo, one for each movement, and fetching through their sum.

A field is sampled on a coarse grid. A frame's displacement is the weighted sum of the fields; it says where
points go, and is inverted by fixed-point iteration to find where pixels come from. Amplitudes are those of a
person who speaks calmly: a photo that is bent further looks bent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.photo.canvas import Map, SheetPlaces
from cvi.face.photo.rig import BROW_ENDS, BROWS, CHEEK_LEFT, CHEEK_RIGHT, Axes, FaceShape
from cvi.face.planes import Box, Floats

MOST_DEGREES, MOST_ROLL = 4.5, 3.5
_TURN = 0.7
"""Gain of small turns; larger ones saturate at the maximum."""
JAW = 0.33
"""How far the widest mouth parts in the middle, mouth widths."""
_BEHIND_GLASSES = 0.25
"""Gain of brows and cheeks where they must not bend glasses."""
_FAINT = 2e-3
"""Pixels below which a displacement is zero, so that what is at rest stays exactly so."""
NAMES = (
    "yaw", "pitch", "roll", "brow_left", "brow_right", "furrow", "worry", "cheek", "smile", "frown", "chin",
    "round", "wide", "thin", "breath", "under_left", "under_right",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldGrid:
    """Points every `cell` pixels of `box`: `x`, `y` (rows, columns), frame pixels."""

    box: Box
    cell: int
    x: Floats
    y: Floats

    @classmethod
    def over(cls, box: Box, cell: int) -> FieldGrid:
        """The grid that covers `box`, points at the middles of its cells."""
        across, down = -(-box.width // cell), -(-box.height // cell)
        x = ((np.arange(across) + 0.5) * cell - 0.5 + box.x0).astype(np.float32)
        y = ((np.arange(down) + 0.5) * cell - 0.5 + box.y0).astype(np.float32)
        return cls(box, cell, *(np.ascontiguousarray(part) for part in np.meshgrid(x, y)))

    def at(self, field: Floats, points: Floats) -> Floats:
        """A field (rows, columns) interpolated at `points` (n, 2), frame pixels: (n,)."""
        column = ((points[:, 0] - self.box.x0 + 0.5) / self.cell - 0.5).astype(np.float32)
        row = ((points[:, 1] - self.box.y0 + 0.5) / self.cell - 0.5).astype(np.float32)
        return _sampled(field, column, row).ravel()

    def backwards(self, dx: Floats, dy: Floats, steps: int) -> Map:
        """Where what is seen at the grid's points comes from, frame pixels, after `steps` iterations."""
        rows, columns = np.indices(dx.shape, np.float32)
        from_x, from_y = dx, dy
        step = np.float32(1 / self.cell)
        for _ in range(steps):
            column, row = columns - from_x * step, rows - from_y * step
            from_x, from_y = _sampled(dx, column, row), _sampled(dy, column, row)
        return self.x - from_x, self.y - from_y

    def spread(self, coarse: Map, part: Box | None = None) -> SheetPlaces:
        """Sheet pixels at the grid's points, interpolated to every pixel of the box or of a part of it.

        `part`: pixels from the box's corner, its own corners at whole cells.
        """
        cell = self.cell
        whole = Box(0, 0, self.box.width, self.box.height)
        part = part or whole
        # Two more cells on every side, so that a part equals the same part of the whole.
        left, top = max(part.x0 // cell - 2, 0), max(part.y0 // cell - 2, 0)
        right, bottom = -(-part.x1 // cell) + 2, -(-part.y1 // cell) + 2
        within = Box(part.x0 - left * cell, part.y0 - top * cell, part.x1 - left * cell, part.y1 - top * cell)
        full, half = [], []
        for values in coarse:
            values = values[top:bottom, left:right]
            down, across = values.shape
            if cell > 4:
                # Cubic between large cells, so that a field's curvature shows no facets.
                size = across * cell // 4, down * cell // 4
                values = cv2.resize(values, size, interpolation=cv2.INTER_CUBIC)
            small, large = (
                cv2.resize(values, (across * cell // by, down * cell // by), interpolation=cv2.INTER_LINEAR)
                for by in (2, 1)
            )
            full.append(np.asarray(large, np.float32))
            half.append(np.asarray(small * np.float32(0.5) - np.float32(0.25), np.float32))
        return SheetPlaces((full[0], full[1]), (half[0], half[1])).part(within)


def fields(shape: FaceShape, grid: FieldGrid, height: int) -> Floats:
    """All fields on a grid: (len(NAMES), 2, rows, columns), pixels of x and y for an amount of one.

    Amounts of angles are radians. `height`: of the frame, pixels.
    """
    made = {**_turns(shape, grid), **_brows(shape, grid), **_mouth(shape, grid)}
    made["breath"] = _breath(shape, grid, height)
    for name, side in (("under_left", 0), ("under_right", 1)):
        made[name] = _lower_lid(shape, grid, side)
    if shape.glasses:
        for name in ("brow_left", "brow_right", "furrow", "worry", "cheek"):
            x, y = made[name]
            made[name] = np.float32(_BEHIND_GLASSES) * x, np.float32(_BEHIND_GLASSES) * y
    stacked = np.stack([np.stack(made[name]) for name in NAMES]).astype(np.float32)
    stacked[np.abs(stacked) < _FAINT] = 0
    return stacked


def amounts(controls: Controls) -> Floats:
    """The amount of each field for a control vector, (len(NAMES),)."""
    jaw, press, tuck = (_share(v) for v in (controls.jaw, controls.press, controls.tuck))
    smile = min(max(controls.smile, -1.0), 1.0)
    wide, round_ = _share(controls.wide), _share(controls.round)
    return np.array(
        [
            _turned(controls.yaw, MOST_DEGREES),
            _turned(controls.pitch, MOST_DEGREES),
            _turned(controls.roll, MOST_ROLL),
            _brow(controls.brow_left),
            _brow(controls.brow_right),
            _share(controls.furrow),
            _share(controls.worry),
            _share(controls.cheek) + 0.3 * max(smile, 0.0),
            max(smile, 0.0),
            max(-smile, 0.0),
            jaw * (1 - 0.35 * max(press, tuck)),
            round_,
            wide * (1 - 0.5 * round_),
            0.8 * press + 0.12 * max(smile, 0.0),
            _share(controls.breath),
            _share(controls.lid_left),
            _share(controls.lid_right),
        ],
        np.float32,
    )


def parted(controls: Controls) -> float:
    """How far the lips part, share of JAW; contact keeps them shut whatever the jaw does."""
    return _share(controls.jaw) * (1 - _share(controls.press)) * (1 - _share(controls.tuck))


def summed(parts: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """The sum of fields `parts` by amounts `shares`: x and y (rows, columns)."""
    total = shares @ parts.reshape(len(parts), -1)
    dx, dy = total.reshape(parts.shape[1:])
    return dx, dy


def bump(x: Floats, sigma: float) -> Floats:
    """exp(-(x / sigma)^2)."""
    return np.asarray(np.exp(-np.square(x / sigma)), np.float32)


def rise(x: Floats, start: float, end: float) -> Floats:
    """Smoothstep: 0 before `start`, 1 after `end`."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _turns(shape: FaceShape, grid: FieldGrid) -> dict[str, tuple[Floats, Floats]]:
    """Turns of the head about the neck, by its depth; what stands behind it stays."""
    head = shape.head
    u, v = head.into(grid.x, grid.y)
    chin = shape.high / 2
    # Hair is wider and higher than the mesh; beyond it the movement fades.
    away = np.hypot(u / 0.72, (v + 0.10) / (chin + 0.24))
    share = (1 - rise(away, 1.0, 1.8)) * (1 - rise(v, chin - 0.02, chin + 0.62))
    deep = _depth(shape, grid) * share
    neck = head.back(np.zeros(1, np.float32), np.array([chin + 0.3], np.float32))[0]
    return {
        "yaw": (deep * head.right[0], deep * head.right[1]),
        "pitch": (deep * head.down[0], deep * head.down[1]),
        "roll": (-(grid.y - neck[1]) * share, (grid.x - neck[0]) * share),
    }


def _depth(shape: FaceShape, grid: FieldGrid) -> Floats:
    """How far each point lies in front of the ears, pixels: the mesh's depth, smoothed and extended beyond
    it."""
    points = shape.points
    back = float((points[CHEEK_LEFT, 2] + points[CHEEK_RIGHT, 2]) / 2)
    front = np.maximum(back - points[:468, 2], 0) + 0.06 * shape.head.unit
    x, y = grid.x.ravel()[:, None], grid.y.ravel()[:, None]
    spread = 0.085 * shape.head.unit
    total = np.zeros(len(x), np.float32)
    weight = np.full(len(x), 1e-4, np.float32)
    # Far from every landmark: the depth of the temples.
    total += weight * np.float32(0.12 * shape.head.unit)
    for start in range(0, 468, 52):
        part = points[start : start + 52]
        near = np.exp(-((x - part[:, 0]) ** 2 + (y - part[:, 1]) ** 2) / spread**2)
        total += near @ front[start : start + 52]
        weight += near.sum(1)
    smooth = (total / weight).reshape(grid.x.shape)
    soft = max(0.05 * shape.head.unit / grid.cell, 0.3)
    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), soft), np.float32)


def _brows(shape: FaceShape, grid: FieldGrid) -> dict[str, tuple[Floats, Floats]]:
    head = shape.head
    u, v = head.into(grid.x, grid.y)
    made: dict[str, tuple[Floats, Floats]] = {}
    furrow_x = np.zeros_like(u)
    furrow_y, worry, cheek = np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
    for side, name in enumerate(("brow_left", "brow_right")):
        brow = shape.points[list(BROWS[side])]
        brow_u, brow_v = (float(part.mean()) for part in head.into(brow[:, 0], brow[:, 1]))
        up = v - brow_v
        lift = 0.044 * bump(u - brow_u, 0.19) * np.where(up < 0, bump(up, 0.20), bump(up, 0.085))
        made[name] = _along(head, np.zeros_like(lift), -lift)
        end = shape.points[BROW_ENDS[side]]
        end_u, end_v = (float(part) for part in head.into(end[0], end[1]))
        near = bump(u - end_u, 0.085) * bump(v - end_v - 0.02, 0.075)
        furrow_x += (0.016 if side == 0 else -0.016) * near
        furrow_y += 0.020 * near
        inner = v - end_v
        worry -= 0.030 * bump(u - end_u, 0.09) * np.where(inner < 0, bump(inner, 0.16), bump(inner, 0.07))
        eye = shape.eyes[side]
        eye_u, eye_v = (float(part) for part in head.into(eye.axes.origin[0], eye.axes.origin[1]))
        below = v - eye_v - 0.20
        cheek -= 0.026 * bump(u - eye_u, 0.16) * np.where(below < 0, bump(below, 0.075), bump(below, 0.15))
    still = np.zeros_like(u)
    made["furrow"] = _along(head, furrow_x, furrow_y)
    made["worry"] = _along(head, still, worry)
    made["cheek"] = _along(head, still, cheek)
    return made


def _mouth(shape: FaceShape, grid: FieldGrid) -> dict[str, tuple[Floats, Floats]]:
    mouth = shape.mouth
    u, v = mouth.axes.into(grid.x, grid.y)
    low = mouth.below_line(u, v)
    still = np.zeros_like(u)
    # Across the mouth in half widths: in step with the corners, and fading beyond them.
    across = u * 2
    pull = across * (1 - rise(np.abs(across), 0.9, 2.5))
    bow = np.square(across) * np.exp(1 - np.square(across))
    corner = bump(np.asarray(np.abs(u) - 0.55, np.float32), 0.28)
    chin = mouth.chin
    jaw = with_chin(low) * (1 - rise(np.abs(u), 0.55, 1.25)) * (1 - rise(low, chin + 0.02, chin + 1.0))
    chin_x = -0.025 * pull * bump(low, 0.45)
    chin_y = JAW * jaw + 0.035 * corner * bump(low, 0.40)
    smile_x, smile_y = 0.10 * pull * bump(low, 0.42), -0.115 * bow * bump(low - 0.02, 0.38)
    frown_x, frown_y = -0.015 * pull * bump(low, 0.4), 0.065 * bow * bump(low, 0.34)
    thick = low * bump(low, 0.26) * (1 - rise(np.abs(u), 0.40, 0.75))
    thinner = low * bump(low, 0.19) * (1 - rise(np.abs(u), 0.40, 0.75))
    flat = mouth.axes
    return {
        "chin": _along(flat, chin_x, chin_y),
        "smile": _along(flat, smile_x, smile_y),
        "frown": _along(flat, frown_x, frown_y),
        "round": _along(flat, -0.13 * pull * bump(low, 0.5), 0.22 * thick),
        "wide": _along(flat, 0.06 * pull * bump(low, 0.45), -0.12 * thick),
        "thin": _along(flat, still, -0.42 * thinner),
    }


def with_chin(low: Floats) -> Floats:
    """How far points follow the chin, 0..1; `low`: their distance below the lip line, mouth widths."""
    return rise(low, 0.0, 0.62)


def _breath(shape: FaceShape, grid: FieldGrid, height: int) -> tuple[Floats, Floats]:
    """The chest rises by up to 2.4 pixels of a frame 720 high."""
    u, v = shape.head.into(grid.x, grid.y)
    chin = shape.high / 2
    share = rise(v, chin + 0.35, chin + 0.95) * (1 - rise(np.abs(u), 0.9, 1.9))
    return np.zeros_like(share), np.asarray(share * np.float32(-2.4 * height / 720), np.float32)


def _lower_lid(shape: FaceShape, grid: FieldGrid, side: int) -> tuple[Floats, Floats]:
    """The lower lid rises slightly to meet the upper one."""
    eye = shape.eyes[side]
    u, v = eye.axes.into(grid.x, grid.y)
    edge = float(eye.lower[1].max())
    lift = 0.10 * eye.opening * bump(u, 0.8) * bump(v - edge, 0.4)
    return _along(eye.axes, np.zeros_like(lift), -lift)


def _along(axes: Axes, right: Floats, down: Floats) -> tuple[Floats, Floats]:
    """A displacement (right, down) in units of `axes` -> x, y in frame pixels."""
    unit = axes.unit
    x = (right * axes.right[0] + down * axes.down[0]) * unit
    y = (right * axes.right[1] + down * axes.down[1]) * unit
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _sampled(field: Floats, column: Floats, row: Floats) -> Floats:
    return np.asarray(
        cv2.remap(field, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _turned(degrees: float, most: float) -> float:
    """Radians: proportional for small turns, saturating at `most` degrees."""
    return math.radians(most * math.tanh(_TURN * degrees / most))


def _brow(value: float) -> float:
    """Brows rise further than they sink."""
    value = min(max(value, -1.0), 1.0)
    return value if value > 0 else 0.7 * value


def _share(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
