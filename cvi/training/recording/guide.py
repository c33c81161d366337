"""Whether the face stands well in the camera's picture: one short advice at a time, the weightiest first."""

from __future__ import annotations

import numpy as np

from cvi.training.grading.geometry import CHIN, LEFT, RIGHT, TOP, face_width, head_pose
from cvi.training.landmarks import Seen

OVAL_X, OVAL_Y, OVAL_HEIGHT, OVAL_SHAPE = 0.5, 0.45, 0.56, 0.78
"""The oval to sit in: its middle in shares of the picture's width and height, its height in shares of the
picture's, and its width in shares of its height."""
LEAST_PX, MOST_HEIGHT = 200.0, 0.62
_ASIDE, _HIGH = 0.10, 0.12
_TURN_DEGREES = 12.0


def advice(seen: Seen, width: int, height: int, turn_bias: float = 0.0) -> str:
    """What to do, or "" when all is well. Left and right are the reader's own, as in a mirror.

    `width` and `height` of the picture, pixels.
    """
    if seen.landmarks is None:
        return "I cannot see your face"
    if seen.faces > 1:
        return "There is a second face in the picture"
    face = seen.landmarks[None]
    wide = float(face_width(face)[0])
    tall = float(seen.landmarks[CHIN, 1] - seen.landmarks[TOP, 1])
    middle = (seen.landmarks[LEFT, :2] + seen.landmarks[RIGHT, :2]) / 2
    x, y = float(middle[0]) / width - OVAL_X, float(middle[1]) / height - OVAL_Y
    if wide < LEAST_PX:
        return "Come closer"
    if tall > MOST_HEIGHT * height:
        return "Move back a little"
    if abs(x) > _ASIDE:
        # The picture's right is the reader's left.
        return "Move to your right" if x > 0 else "Move to your left"
    if abs(y) > _HIGH:
        return "Lower the camera, or sit up" if y > 0 else "Raise the camera, or sit lower"
    turn = float(np.nan_to_num(head_pose(face).turn[0]))
    if turn - turn_bias > _TURN_DEGREES:
        return "Face the camera"
    return ""
