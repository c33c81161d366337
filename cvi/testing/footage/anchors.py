"""Points fixed to the skull of a sculpted head: where a frame shows them, exactly, in any pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cvi.face.base import Controls
from cvi.face.sculpted.atlas import Atlas, FrameFit
from cvi.face.sculpted.pose import CAMERA_Y, CAMERA_Z, FOCAL, MOST_DEGREES, PIVOT, head_points
from cvi.testing.footage.labels import Point

PLACES = {
    "bridge": (0.0, 0.12),
    "nose tip": (0.0, -0.26),
    "nose left": (-0.16, 0.02),
    "nose right": (0.16, 0.02),
    "mouth at rest": (0.0, -0.52),
}
"""Head units, x to the viewer's right, y up; the skin's depth there comes from the baked character. All of
them move with the head alone; brows, cheeks and lips do not move them."""


class Anchors:
    """`at` tells the pixels of every place of `PLACES` in a frame of (width, height)."""

    def __init__(self, replica: Path, width: int, height: int) -> None:
        """Raises MissingError, UsageError for a folder that holds no sculpted replica."""
        atlas = Atlas(replica / "atlas.npz")
        self._fit = FrameFit.cover((atlas.width, atlas.height), width, height)
        self._size = atlas.width, atlas.height
        self._focal = FOCAL * atlas.height
        places = np.array(list(PLACES.values()), np.float32)
        depth = np.full(len(places), 0.5, np.float32)
        for _ in range(4):  # a place's pixel depends on the depth that is read there
            x, y = self._pixels(np.column_stack([places, depth]))
            depth = head_points(atlas, self._fit, x[None], y[None])[0, :, 2]
        self._points = np.column_stack([places, depth]).astype(np.float64)

    def at(self, controls: Controls) -> tuple[Point, ...]:
        """Pixels of the frame, in the order of `PLACES`."""
        yaw, pitch, roll = (
            math.radians(min(max(angle, -MOST_DEGREES), MOST_DEGREES))
            for angle in (controls.yaw, controls.pitch, -controls.roll)
        )
        sin, cos = math.sin, math.cos
        about_y = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        about_z = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        turned = (self._points - PIVOT) @ (about_y @ about_x @ about_z).T + PIVOT
        x, y = self._pixels(turned)
        return tuple((round(float(a), 2), round(float(b), 2)) for a, b in zip(x, y, strict=True))

    def _pixels(self, points: np.ndarray) -> Sequence[np.ndarray]:
        far = CAMERA_Z - points[:, 2]
        x = points[:, 0] / far * self._focal + (self._size[0] - 1) / 2
        y = (CAMERA_Y - points[:, 1]) / far * self._focal + (self._size[1] - 1) / 2
        fit = self._fit
        return (
            ((x + 0.5) * fit.scale - 0.5 - fit.left).astype(np.float32),
            ((y + 0.5) * fit.scale - 0.5 - fit.top).astype(np.float32),
        )
