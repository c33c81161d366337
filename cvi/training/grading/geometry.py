"""What the points of a face say: how large it is, how it is turned, how the mouth stands.

Indices are those of MediaPipe's face mesh. All functions take landmarks [n, 478, 3] in pixels and give
one value a frame, NaN where there is no face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.training.landmarks import Floats

Series = npt.NDArray[np.float64]

LEFT, RIGHT, TOP, CHIN = 234, 454, 10, 152
EYE_LEFT, EYE_RIGHT = 33, 263
LIP_UPPER, LIP_LOWER, CORNER_LEFT, CORNER_RIGHT = 13, 14, 61, 291
NOSE_BASE = 2
STABLE = (33, 133, 362, 263, 168, 6, 197, 195)
"""Corners of the eyes and the bridge of the nose: what neither speech nor feeling moves much."""
CAMERA_PITCH_DEGREES = 5.0
"""By how much the mesh's line of forehead and chin leans when a face looks straight ahead: measured on a
stock face, whose pose is known; three frontal real clips lie at 3.7 to 6.3."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Degrees, 0 facing the camera: `yaw` to the viewer's right, `pitch` down, `roll` clockwise."""

    yaw: Series
    pitch: Series
    roll: Series

    @property
    def turn(self) -> Series:
        """The angle between the nose and the camera."""
        cosine = np.cos(np.deg2rad(self.yaw)) * np.cos(np.deg2rad(self.pitch))
        return np.asarray(np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))), np.float64)


def head_pose(landmarks: Floats) -> HeadPose:
    """From the axes of the face's own points, which carry depth."""
    points = landmarks.astype(np.float64)
    across = points[:, RIGHT] - points[:, LEFT]
    down = points[:, CHIN] - points[:, TOP]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    down -= across * np.sum(across * down, axis=1, keepdims=True)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    forward = np.cross(across, down)  # into the picture
    yaw = -np.rad2deg(np.arctan2(forward[:, 0], forward[:, 2]))
    pitch = -np.rad2deg(np.arcsin(np.clip(forward[:, 1], -1, 1))) - CAMERA_PITCH_DEGREES
    roll = np.rad2deg(np.arctan2(across[:, 1], across[:, 0]))
    return HeadPose(yaw, pitch, roll)


def face_width(landmarks: Floats) -> Series:
    """Ear to ear, pixels; the depth counts, so that a turned head is as wide as a straight one."""
    return _length(landmarks[:, RIGHT] - landmarks[:, LEFT])


def mouth_opening(landmarks: Floats) -> Series:
    """Between the lips' inner edges, in face widths."""
    return _length(landmarks[:, LIP_LOWER, :2] - landmarks[:, LIP_UPPER, :2]) / face_width(landmarks)


def mouth_width(landmarks: Floats) -> Series:
    """Corner to corner, in face widths."""
    return _length(landmarks[:, CORNER_RIGHT] - landmarks[:, CORNER_LEFT]) / face_width(landmarks)


def lips_height(landmarks: Floats) -> Series:
    """From the upper lip's upper edge to the lower lip's lower one, in face widths."""
    return _length(landmarks[:, 17, :2] - landmarks[:, 0, :2]) / face_width(landmarks)


def leaps(landmarks: Floats) -> Series:
    """How far the face's stable points moved since the frame before, in face widths; 0 at first."""
    points = landmarks[:, STABLE, :2].astype(np.float64)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1) / face_width(landmarks)[1:]
    return np.concatenate([[0.0], moved])


def _length(vectors: Floats) -> Series:
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1), np.float64)
