"""Where the parts of a face lie in a picture: MediaPipe's face mesh, run frame by frame.

The mesh is the one that replicas are made with: `cvi replica setup` fetches it once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]

UPPER_LIP, LOWER_LIP = 13, 14  # the inner edges, in the middle
LEFT_CORNER, RIGHT_CORNER = 61, 291
LEFT_CHEEK, RIGHT_CHEEK = 234, 454  # the face's width
LEFT_EYE, RIGHT_EYE = 33, 263  # outer corners
# Places that no speech and no blink moves: bridge and tip of the nose, forehead, corners of the eyes.
STEADY = (168, 6, 197, 195, 5, 4, 10, 151, 33, 133, 263, 362)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
MESH = 468
SETTLE = 3
"""Looks at a first picture before what is found counts: the mesh starts each look where it found the face
in the last, and first from a coarse guess, up to 6 % of the face's width beside it."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """`points` (n, MESH, 2) pixels, NaN where no face was found; `found` (n,) bool."""

    points: Points
    found: npt.NDArray[np.bool_]

    @property
    def face_width(self) -> float:
        """Median distance of the cheeks, pixels."""
        across = self.points[:, RIGHT_CHEEK] - self.points[:, LEFT_CHEEK]
        return float(np.nanmedian(np.hypot(across[:, 0], across[:, 1])))

    @property
    def gap_px(self) -> npt.NDArray[np.float64]:
        """Distance of the inner lips, (n,)."""
        gap = np.linalg.norm(self.points[:, LOWER_LIP] - self.points[:, UPPER_LIP], axis=-1)
        return np.asarray(gap, np.float64)

    @property
    def opening(self) -> npt.NDArray[np.float64]:
        """Distance of the inner lips over that of the eyes, (n,)."""
        eyes = np.linalg.norm(self.points[:, RIGHT_EYE] - self.points[:, LEFT_EYE], axis=-1)
        return np.asarray(self.gap_px / eyes, np.float64)


def track(pictures: Iterable[Rgb]) -> Landmarks:
    """Find the face in each picture (RGB, all of one size).

    Raises MissingError without the mesh, EngineError when it fails.
    """
    from cvi.training.footage.mesh_tracker import build_tracker

    tracker = build_tracker()
    rows: list[Points] = []
    try:
        for picture in pictures:
            for _ in range(SETTLE if not rows else 0):
                tracker.see(picture)
            face = tracker.see(picture).landmarks
            rows.append(np.full((MESH, 2), np.nan, np.float32) if face is None else face[:MESH, :2])
    finally:
        tracker.close()
    points = np.array(rows, np.float32).reshape(-1, MESH, 2)
    return Landmarks(points, ~np.isnan(points[:, 0, 0]))


def steadied(landmarks: Landmarks) -> Points:
    """The points with the head's own movement (shift, turn in the plane, size) taken out, by `STEADY`."""
    reference = np.nanmedian(landmarks.points[:, STEADY], axis=0)
    centre = reference.mean(0)
    goal = (reference - centre) @ np.array([1, 1j])
    out = np.full_like(landmarks.points, np.nan)
    for index in np.flatnonzero(landmarks.found):
        points = landmarks.points[index]
        here = points[list(STEADY)]
        middle = here.mean(0)
        spots = (here - middle) @ np.array([1, 1j])
        turn = np.vdot(spots, goal) / np.vdot(spots, spots)
        moved = ((points - middle) @ np.array([1, 1j])) * turn
        out[index] = np.stack([moved.real, moved.imag], -1) + centre
    return out
