"""One face's 478 points -> its measures: pose of the head, eyes, mouth, brows.

Lengths are in widths of the face (ear to ear), measured after the head's turn is taken out, so that they are
the same near and far, straight and turned. Indices are those of MediaPipe's face mesh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.perception.face_detection import Points

_EAR_LEFT, _EAR_RIGHT, _FOREHEAD, _CHIN = 234, 454, 10, 152
_NOSE_BASE, _BRIDGE = 2, 6
_UPPER_LIP, _LOWER_LIP, _CORNER_LEFT, _CORNER_RIGHT = 13, 14, 61, 291
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))
"""Of each eye the middles of the upper and lower lid, and the two corners."""
_MORE_LIDS = (((158, 153), (160, 144)), ((385, 380), (387, 373)))
_IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
_BROWS = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))
_INNER_BROWS = (55, 285)
_STEADY = (33, 133, 362, 263, 168, 6)
"""Corners of the eyes and bridge of the nose: neither speech nor blinks move them."""
_EYE_CORNERS = ((33, 133), (362, 263))
_USED = tuple(
    dict.fromkeys(
        (_EAR_LEFT, _EAR_RIGHT, _FOREHEAD, _CHIN, _NOSE_BASE, _BRIDGE, _UPPER_LIP, _LOWER_LIP, _CORNER_LEFT,
         _CORNER_RIGHT, *(i for eye in _LIDS for i in eye),
         *(i for eye in _MORE_LIDS for pair in eye for i in pair),
         *(i for iris in _IRISES for i in iris), *(i for brow in _BROWS for i in brow), *_INNER_BROWS)
    )
)  # fmt: skip
_AT = {index: place for place, index in enumerate(_USED)}
PITCH_OF_STRAIGHT_DEG = 5.0
"""Pitch of the mesh's line from forehead to chin when a face looks straight ahead: measured on a stock face,
whose pose is known; three frontal real clips lie at 3.7 to 6.3."""


@dataclass(frozen=True, slots=True)
class FaceMeasures:
    """One face in one picture.

    `yaw` to the viewer's right, `pitch` down, `roll` clockwise, degrees. `x`, `y` are the face's middle and
    `width` its width, as shares of the picture's width and height; `bridge_x`, `bridge_y` where the bridge of
    the nose is, both as shares of the picture's width. `eye_left`, `eye_right` are the heights
    of the eyes over their widths; `iris_x`, `iris_y` where the irises lie in the eyes, in widths of an eye
    from its middle, to the viewer's right and down. `opening` of the lips, `mouth_width`, `corners` how far
    the mouth's corners lie above the middle of the lips, `brows` how high the brows lie above the eyes,
    `brow_gap` between their inner ends: widths of the face.
    """

    yaw: float
    pitch: float
    roll: float
    x: float
    y: float
    width: float
    bridge_x: float
    bridge_y: float
    eye_left: float
    eye_right: float
    iris_x: float
    iris_y: float
    opening: float
    mouth_width: float
    corners: float
    brows: float
    brow_gap: float

    @property
    def eyes(self) -> float:
        """The mean height of both eyes."""
        return (self.eye_left + self.eye_right) / 2


def measure(landmarks: Points, picture_width: int, picture_height: int) -> FaceMeasures:
    """The measures of `landmarks`, float32 [478, 3] in pixels of the picture."""
    points = landmarks[list(_USED)].astype(np.float64)
    across = points[_AT[_EAR_RIGHT]] - points[_AT[_EAR_LEFT]]
    width = float(np.linalg.norm(across))
    across /= width
    down = points[_AT[_CHIN]] - points[_AT[_FOREHEAD]]
    down -= across * float(down @ across)
    down /= float(np.linalg.norm(down))
    forward = np.cross(across, down)
    # In the face's own frame: x to its right as seen, y down, z into the head; in widths of the face.
    own = (points - points[_AT[_BRIDGE]]) @ np.stack([across, down, forward], 1) / width

    def at(index: int) -> npt.NDArray[np.float64]:
        return np.asarray(own[_AT[index]])

    eyes, iris = [], []
    for (upper, lower, left, right), more, ring in zip(_LIDS, _MORE_LIDS, _IRISES, strict=True):
        corner = at(right) - at(left)
        long = math.hypot(corner[0], corner[1])
        heights = [math.dist(at(a)[:2], at(b)[:2]) for a, b in ((upper, lower), *more)]
        eyes.append(sum(heights) / (3 * long))
        middle = (at(left) + at(right)) / 2
        along = corner[:2] / long
        centre = np.mean([at(i)[:2] for i in ring], axis=0) - middle[:2]
        iris.append((float(centre @ along) / long, float(centre[1] * along[0] - centre[0] * along[1]) / long))
    lips = (at(_UPPER_LIP) + at(_LOWER_LIP)) / 2
    mouth = at(_CORNER_RIGHT) - at(_CORNER_LEFT)
    heights = [
        np.mean([at(a)[1] for a in corners]) - np.mean([at(i)[1] for i in brow])
        for corners, brow in zip(_EYE_CORNERS, _BROWS, strict=True)
    ]
    place = points.mean(0)
    bridge = landmarks[list(_STEADY)].mean(0)
    return FaceMeasures(
        yaw=-math.degrees(math.atan2(forward[0], forward[2])),
        pitch=-math.degrees(math.asin(min(1.0, max(-1.0, float(forward[1]))))) - PITCH_OF_STRAIGHT_DEG,
        roll=math.degrees(math.atan2(across[1], across[0])),
        x=float(place[0]) / picture_width,
        y=float(place[1]) / picture_height,
        width=width / picture_width,
        bridge_x=float(bridge[0]) / picture_width,
        bridge_y=float(bridge[1]) / picture_width,
        eye_left=eyes[0],
        eye_right=eyes[1],
        iris_x=(iris[0][0] + iris[1][0]) / 2,
        iris_y=(iris[0][1] + iris[1][1]) / 2,
        opening=float(np.linalg.norm(at(_LOWER_LIP)[:2] - at(_UPPER_LIP)[:2])),
        mouth_width=float(np.hypot(mouth[0], mouth[1])),
        corners=float(lips[1] - (at(_CORNER_LEFT)[1] + at(_CORNER_RIGHT)[1]) / 2),
        brows=float(np.mean(heights)),
        brow_gap=float(np.linalg.norm(at(_INNER_BROWS[1])[:2] - at(_INNER_BROWS[0])[:2])),
    )
