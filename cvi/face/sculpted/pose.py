"""Head turns, brows, cheeks and breath as one displacement of the picture.

The head was baked facing the camera, with the depth of every point. To turn it, the points are rotated about
the neck and projected again, and the picture is fetched from where they came from.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from cvi.face.base import Controls
from cvi.face.planes import Box, Floats
from cvi.face.sculpted.atlas import Atlas, FrameFit

CAMERA_Z, CAMERA_Y, FOCAL = 7.2, -0.22, 2.25  # the baker's camera; focal length in picture heights
PIVOT = (0.0, -0.75, -0.15)
STIFF_Y, LOOSE_Y = -1.55, -0.80  # below the first nothing turns, above the second all turns
MOST_DEGREES = 14.0
CELL_PX = 8  # of 720: grid of the displacements


def head_points(atlas: Atlas, fit: FrameFit, x: Floats, y: Floats) -> Floats:
    """Points of the head seen at frame pixels `x`, `y` of any shape: (..., 3) head units."""
    x = (x + fit.left + 0.5) / fit.scale - 0.5
    y = (y + fit.top + 0.5) / fit.scale - 0.5
    depth = atlas.floats("depth")
    cell = atlas.width / depth.shape[1]
    far = cv2.remap(
        depth,
        ((x + 0.5) / cell - 0.5).astype(np.float32),
        ((y + 0.5) / cell - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    focal = FOCAL * atlas.height
    across, up = (x - (atlas.width - 1) / 2) / focal, (y - (atlas.height - 1) / 2) / focal
    return np.stack([across * far, CAMERA_Y - up * far, CAMERA_Z - far], -1).astype(np.float32)


def jaw_share(atlas: Atlas, fit: FrameFit, box: Box) -> Floats:
    """How far each pixel of `box` follows the chin when the jaw opens, 0..1, as in the baker's model."""
    x, y = np.meshgrid(
        np.arange(box.x0, box.x1, dtype=np.float32), np.arange(box.y0, box.y1, dtype=np.float32)
    )
    points = head_points(atlas, fit, x, y)
    low, front = np.clip((-0.42 - points[..., 1]) / 0.53, 0, 1), np.clip((points[..., 2] + 0.12) / 0.64, 0, 1)
    return np.asarray(low * low * (3 - 2 * low) * front * front * (3 - 2 * front), np.float32)


class HeadWarp:
    """Computes where the head's picture is fetched from for a pose: maps with one value for each `cell` x
    `cell` pixels of `box`. Stateless after construction."""

    def __init__(self, atlas: Atlas, fit: FrameFit) -> None:
        self.box = fit.box(atlas.box("head_rect"))
        width, height = self.box.x1 - self.box.x0, self.box.y1 - self.box.y0
        self._unit = fit.scale * atlas.fineness  # pixels of the frame for one of a picture 720 high
        self.cell = max(2 * round(CELL_PX * self._unit / 2), 4)
        across, down = -(-width // self.cell), -(-height // self.cell)
        column, row = np.meshgrid(np.arange(across, dtype=np.float32), np.arange(down, dtype=np.float32))
        self._column, self._row = column, row
        self._x = ((column + 0.5) * self.cell - 0.5).astype(np.float32)
        self._y = ((row + 0.5) * self.cell - 0.5).astype(np.float32)
        self._focal = FOCAL * atlas.height
        self._scale = fit.scale
        points = head_points(atlas, fit, self._x + self.box.x0, self._y + self.box.y0)
        far = CAMERA_Z - points[..., 2]
        self._seen = points[..., 0] / far, (CAMERA_Y - points[..., 1]) / far
        self._points = np.stack([points[..., axis] - np.float32(PIVOT[axis]) for axis in range(3)])
        self._left = points[..., 0] < PIVOT[0]
        turns = np.clip((points[..., 1] - STIFF_Y) / (LOOSE_Y - STIFF_Y), 0, 1)
        self._turns = (turns * turns * (3 - 2 * turns)).astype(np.float32) * self._focal * self._scale
        fields = _brow_fields(points[..., 0], points[..., 1])
        free = 1 - _rigid(atlas, fit, self._x + self.box.x0, self._y + self.box.y0)
        self._brow, self._knit_x, self._knit_y, self._worry, self._cheek = (field * free for field in fields)
        chest = np.clip((-1.30 - points[..., 1]) / 0.35, 0, 1)
        self._breath = (chest * chest * (3 - 2 * chest) * 2.5).astype(np.float32)

    def maps(self, controls: Controls) -> tuple[Floats, Floats]:
        """Where in the head's picture each cell is fetched from: x and y, pixels."""
        dx, dy = self._turned(controls)
        left, right = _clip(controls.brow_left), _clip(controls.brow_right)
        knit = min(max(controls.furrow, 0.0), 1.0)
        if left or right or knit:
            amount = np.where(self._left, np.float32(_lift(left)), np.float32(_lift(right)))
            dx += self._unit * knit * self._knit_x
            dy += self._unit * (knit * self._knit_y - amount * self._brow)
        worry, cheek = min(max(controls.worry, 0.0), 1.0), min(max(controls.cheek, 0.0), 1.0)
        if worry or cheek:
            dy -= self._unit * (worry * self._worry + cheek * self._cheek)
        breath = min(max(controls.breath, 0.0), 1.0)
        if breath:
            dy -= self._unit * breath * self._breath
        # The displacement is known at the source and wanted at the target: one step of fixed-point iteration.
        step = np.float32(1 / self.cell)
        column, row = self._column - dx * step, self._row - dy * step
        how = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        back_x, back_y = (cv2.remap(part, column, row, how[0], borderMode=how[1]) for part in (dx, dy))
        return self._x - back_x, self._y - back_y

    def moved(self, maps: tuple[Floats, Floats]) -> Floats:
        """How far each cell of `maps` is displaced, the larger of x and y, pixels."""
        return np.asarray(np.maximum(np.abs(maps[0] - self._x), np.abs(maps[1] - self._y)), np.float32)

    def _turned(self, controls: Controls) -> tuple[Floats, Floats]:
        yaw, pitch, roll = (
            math.radians(min(max(v, -MOST_DEGREES), MOST_DEGREES))
            for v in (controls.yaw, controls.pitch, -controls.roll)
        )
        about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        about_x = np.array(
            [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
        )
        about_z = np.array(
            [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
        )
        rotation = (about_y @ about_x @ about_z).astype(np.float32)
        x, y, z = (rotation @ self._points.reshape(3, -1)).reshape(self._points.shape)
        closer = 1 / (np.float32(CAMERA_Z - PIVOT[2]) - z)
        dx = ((x + np.float32(PIVOT[0])) * closer - self._seen[0]) * self._turns
        dy = ((np.float32(CAMERA_Y - PIVOT[1]) - y) * closer - self._seen[1]) * self._turns
        return dx, dy


def _rigid(atlas: Atlas, fit: FrameFit, x: Floats, y: Floats) -> Floats:
    """How far glasses hold each point (frame pixels) still, 0..1."""
    if not atlas.has("rigid"):
        return np.zeros_like(x)
    held = atlas.image("rigid")
    cell = atlas.width / held.shape[1]
    x = ((x + fit.left + 0.5) / fit.scale / cell - 0.5).astype(np.float32)
    y = ((y + fit.top + 0.5) / fit.scale / cell - 0.5).astype(np.float32)
    found = cv2.remap(held, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found * np.float32(1 / 255), np.float32)


def _brow_fields(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Displacements in pixels of 720 at points in head units: up with raised brows, x and y with furrowed
    brows, up with raised inner ends, up with raised cheeks, which push the lower lids."""
    aside = np.exp(-(((np.abs(x) - 0.29) / 0.27) ** 2))
    # Largest at the brows' lower edge: growing across them it would stretch them.
    above, below = np.exp(-(((y - 0.26) / 0.23) ** 2)), np.exp(-(((y - 0.26) / 0.095) ** 2))
    lift = 17.0 * aside * np.where(y > 0.26, above, below)
    near = np.exp(-(((np.abs(x) - 0.14) / 0.13) ** 2) - ((y - 0.28) / 0.11) ** 2)
    inner = (
        13.0
        * np.exp(-(((np.abs(x) - 0.12) / 0.11) ** 2))
        * np.where(y > 0.27, np.exp(-(((y - 0.27) / 0.19) ** 2)), np.exp(-(((y - 0.27) / 0.10) ** 2)))
    )
    below_eye = np.where(y > -0.17, np.exp(-(((y + 0.17) / 0.085) ** 2)), np.exp(-(((y + 0.17) / 0.17) ** 2)))
    cheek = 9.0 * np.exp(-(((np.abs(x) - 0.33) / 0.21) ** 2)) * below_eye
    return (
        lift.astype(np.float32),
        (-10.0 * np.sign(x) * near).astype(np.float32),
        (12.0 * near).astype(np.float32),
        inner.astype(np.float32),
        cheek.astype(np.float32),
    )


def _lift(brow: float) -> float:
    """Brows rise further than they sink."""
    return brow if brow > 0 else 0.75 * brow


def _clip(value: float) -> float:
    return min(max(value, -1.0), 1.0)
