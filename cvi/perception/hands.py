"""A hand at the face: found now and then near it, and where on the face it is. Appearance only.

Of MediaPipe's hands (palm detection and 21 points, Apache-2.0), which come with the face mesh. They take ears
and, seldom, a face for a hand: so a hand has a likely size, a wrist outside of the face, and is seen twice in
a row. Chosen on five real clips, one of them with hands at the face; figures for others in docs/measured.md.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from cvi.perception.face_detection import HandFinder, Points, Rgb

Place = Literal["forehead", "eyes", "nose", "mouth", "chin", "cheek", "side of the head", ""]

EVERY_S = 0.5
"""A look costs as much as half a look at the face, and hands stay for seconds."""
AROUND = 2.0
"""Widths of the face, from its middle to the edges of the part of the picture that is looked at."""
LEAST_SIZE, MOST_SIZE = 0.25, 1.2
"""From the wrist to the root of the middle finger, widths of the face: smaller ones are ears."""
NEAR = 0.1
"""Widths of the face around its outline that count as at it."""
LEAST_POINTS = 3
_WRIST, _MIDDLE_ROOT = 0, 9
_FINGER_ENDS = (3, 4, 7, 8, 11, 12, 15, 16, 19, 20)
_LEFT, _RIGHT, _FACE = 234, 454, 468
_PLACES: tuple[tuple[Place, tuple[tuple[int, ...], ...]], ...] = (
    ("forehead", ((10, 9), (109, 108), (338, 337))),
    ("eyes", ((159, 145), (386, 374))),
    ("nose", ((4, 197),)),
    ("mouth", ((13, 14),)),
    ("chin", ((152, 175), (148, 152), (377, 152))),
    ("cheek", ((50, 205), (280, 425))),
    ("side of the head", ((234,), (454,), (162,), (389,), (172,), (397,))),
)
"""Each place is the nearest one to the hand where a mean of its points is the nearest; the mesh's indices."""


def hand_at_face(hands: list[Points], face: Points) -> Place:
    """Where on the face, float32 [478, 3], one of the hands, float32 [21, 3] each, is; "" for nowhere.
    All in pixels of one picture."""
    import cv2

    width = float(np.linalg.norm(face[_RIGHT] - face[_LEFT]))
    outline = cv2.convexHull(np.ascontiguousarray(face[:_FACE, :2], np.float32))
    for hand in hands:
        size = float(np.linalg.norm(hand[_MIDDLE_ROOT, :2] - hand[_WRIST, :2])) / width
        inside = np.array([cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y, _ in hand])
        if not LEAST_SIZE <= size <= MOST_SIZE or inside[_WRIST] > 0:
            continue
        near = np.flatnonzero(inside > -NEAR * width)
        if len(near) >= LEAST_POINTS:
            touching = np.intersect1d(near, _FINGER_ENDS)
            return _nearest(hand[touching if len(touching) else near, :2].mean(0), face)
    return ""


def _nearest(at: npt.NDArray[np.float32], face: Points) -> Place:
    away = {
        place: min(float(np.linalg.norm(face[list(points), :2].mean(0) - at)) for points in spots)
        for place, spots in _PLACES
    }
    return min(away, key=lambda place: away[place])


class HandWatch:
    """Looks for a hand at the face every `EVERY_S`. Frames in order of time, on one thread."""

    def __init__(self, finder: HandFinder) -> None:
        self._finder = finder
        self._looked_s: float | None = None
        self._before: Place = ""
        self.place: Place = ""
        """Where the hand is, "" for none, as two looks in a row saw it; a coming hand's last one."""
        self.hands: list[Points] = []
        """Of the last look, pixels of its picture."""

    def look(self, rgb: Rgb, face: Points | None, t_s: float) -> Place:
        """`place` at `t_s`, seconds; `face` float32 [478, 3], None without one. Raises EngineError."""
        if face is None:
            self._before, self.place, self.hands = "", "", []
        elif self._looked_s is None or t_s - self._looked_s >= EVERY_S:
            self._looked_s = t_s
            self.hands = self._find(rgb, face)
            now = hand_at_face(self.hands, face)
            if now == self._before or (now and self._before and not self.place):
                self.place = now
            self._before = now
        return self.place

    def _find(self, rgb: Rgb, face: Points) -> list[Points]:
        middle = face[:_FACE, :2].mean(0)
        around = AROUND * float(np.linalg.norm(face[_RIGHT, :2] - face[_LEFT, :2]))
        left, top = np.maximum(middle - around, 0).astype(int)
        right, bottom = (middle + around).astype(int)
        part = np.ascontiguousarray(rgb[top:bottom, left:right])
        if not part.size:
            return []
        return [hand + np.array([left, top, 0], np.float32) for hand in self._finder.hands(part)]
