"""A face in one picture: 478 points, and what finds them.

The points are those of MediaPipe's face mesh: 468 of the face, then five of each iris.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""uint8 [height, width, 3]."""
Points = npt.NDArray[np.float32]

POINTS = 478


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
