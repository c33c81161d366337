"""A face in one picture: 478 points, hands: 21 points each, and what finds them.

The points are those of MediaPipe's face mesh (468 of the face, then five of each iris) and of its hands (the
wrist, then four of each finger from its root to its tip, the thumb first).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""uint8 [height, width, 3]."""
Points = npt.NDArray[np.float32]

POINTS, HAND_POINTS = 478, 21


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """The faces of one frame. `landmarks` float32 [478, 3] of the tracked face, pixels of the frame
    (x right, y down, z away from the viewer on x's scale); None where there is no face. `faces` counts all
    faces in the frame."""

    landmarks: Points | None
    faces: int


class FaceTracker(Protocol):
    """Finds the face in one frame after the other of a film or a camera. Used by one thread."""

    name: str
    """The method and its version, stored with each track."""

    def see(self, rgb: Rgb) -> FaceDetection:
        """The faces of the next frame. Frames come in order of time, at one size; the tracker follows one
        face from frame to frame. Blocks. Raises EngineError."""

    def close(self) -> None:
        """End the tracker; it is not used again."""


@runtime_checkable
class HandFinder(Protocol):
    """A face tracker that finds hands too."""

    def hands(self, rgb: Rgb) -> list[Points]:
        """The hands of a picture, at most two: float32 [21, 3] each, pixels of the picture. Blocks, 6 ms
        without a hand, 3 more for each. Raises EngineError."""
