"""What was seen, drawn over the picture: the face's points, directions of head and eyes, the state's text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from cvi.perception.face_detection import Points, Rgb
from cvi.perception.sight import Sight

_GREEN, _YELLOW, _BLUE, _WHITE, _BLACK = (
    (90, 220, 90),
    (250, 210, 60),
    (90, 170, 255),
    (255, 255, 255),
    (0, 0, 0),
)
_EYES = (33, 263)
_LINE_CHARACTERS = 62


def draw_overlay(
    rgb: Rgb, sight: Sight, landmarks: Points | None, text: str, hands: Sequence[Points] = ()
) -> Rgb:
    """A copy of the picture with the overlay; `landmarks` [478, 3] and `hands` [21, 3] in its pixels."""
    import cv2

    picture = np.ascontiguousarray(rgb).copy()
    height, width = picture.shape[:2]
    size = max(height, 240) / 480
    if landmarks is not None and sight.face is not None:
        for x, y in landmarks[::3, :2]:
            cv2.circle(picture, (int(x), int(y)), max(int(size), 1), _GREEN, -1)
        face_px = sight.face.width * width
        nose = landmarks[1, :2]
        _arrow(picture, nose, sight.yaw, sight.pitch, face_px, _BLUE)
        for eye in (landmarks[468, :2], landmarks[473, :2]):
            _arrow(picture, eye, sight.look_yaw, sight.look_pitch, 0.6 * face_px, _YELLOW)
    for x, y in (point for hand in hands for point in hand[:, :2]):
        cv2.circle(picture, (int(x), int(y)), max(int(2 * size), 2), _YELLOW, -1)
    values = (
        ("smile", sight.smile),
        ("brows up", sight.raised),
        ("brows drawn", sight.furrowed),
        ("mouth open", sight.opening),
        ("eyes", min(sight.eyes, 1.0)),
    )
    for row, (name, value) in enumerate(values):
        y = int((16 + 15 * row) * size)
        left, long = int(90 * size), int(70 * size)
        _write(picture, name, (int(6 * size), y), 0.36 * size)
        cv2.rectangle(picture, (left, y - int(8 * size)), (left + long, y), _BLACK, -1)
        cv2.rectangle(picture, (left, y - int(8 * size)), (left + int(long * value), y), _GREEN, -1)
    state = sight.look if sight.calibrated else "calibrating" if sight.present else sight.picture
    facts = f"{state}  blinks {sight.blinks}  people {sight.people}"
    facts += "  talking" if sight.talking else ""
    _write(picture, facts, (int(6 * size), int(94 * size)), 0.36 * size)
    lines = textwrap.wrap(text, _LINE_CHARACTERS)[:3]
    for row, line in enumerate(lines):
        y = height - int((8 + 16 * (len(lines) - 1 - row)) * size)
        _write(picture, line, (int(8 * size), y), min(0.45 * size, 0.45 * width / 560))
    return picture


def _arrow(
    picture: Rgb, at: np.ndarray, yaw: float, pitch: float, long: float, colour: tuple[int, ...]
) -> None:
    import cv2

    tip = at + long * np.array([math.sin(math.radians(yaw)), math.sin(math.radians(pitch))])
    start = (int(at[0]), int(at[1]))
    cv2.arrowedLine(picture, start, (int(tip[0]), int(tip[1])), colour, 2, cv2.LINE_AA, tipLength=0.2)


def _write(picture: Rgb, text: str, at: tuple[int, int], size: float) -> None:
    import cv2

    for colour, thick in ((_BLACK, 3), (_WHITE, 1)):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)
