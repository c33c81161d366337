"""A drawn face with known landmarks, and trackers that see it or something else."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.photo.rig import BROWS, BROWS_UNDER, CHEEK_LEFT, CHEEK_RIGHT, CHIN, CROWN, IRISES, LIDS
from cvi.perception.face_detection import FaceDetection
from cvi.training.photo.photo_face import LOWER_INNER, UPPER_INNER

WIDTH, HEIGHT, FACE = 640, 480, 200.0
SKIN, LIPS, DARK, WHITE, BACK = (214, 172, 148), (186, 96, 96), (126, 60, 60), (236, 232, 228), (70, 104, 140)
MIDDLE = np.array([320.0, 235.0])
Points = npt.NDArray[np.float32]


def landmarks(opening: float = 0.0, lids: float = 0.10, face: float = FACE) -> Points:
    """(478, 3): a frontal face `face` pixels wide, its inner lips `opening` and its lids `lids` face widths
    apart."""
    rng = np.random.default_rng(5)
    points = np.zeros((478, 3))
    angle, radius = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.uniform(0, 1, 478))
    points[:, 0], points[:, 1] = 0.48 * radius * np.cos(angle), 0.62 * radius * np.sin(angle)
    points[[CHEEK_LEFT, CHEEK_RIGHT], :2] = [[-0.5, 0], [0.5, 0]]
    points[[CROWN, CHIN], :2] = [[0, -0.65], [0, 0.65]]
    for side, x in enumerate((-0.2, 0.2)):
        for edge, sign in ((LIDS[side][0], -0.5), (LIDS[side][1], 0.5)):
            for k, point in enumerate(edge):
                t = k / 4 - 1
                points[point, :2] = x + 0.09 * t, -0.15 + sign * lids * (1 - t * t)
        points[IRISES[side][0], :2] = x, -0.15
        for k, point in enumerate(IRISES[side][1:]):
            points[point, :2] = x + 0.035 * np.cos(k * np.pi / 2), -0.15 + 0.035 * np.sin(k * np.pi / 2)
        for edge, y in ((BROWS[side], -0.33), (BROWS_UNDER[side], -0.30)):
            for k, point in enumerate(edge):
                points[point, :2] = x + 0.05 * (k - 2), y
    for ring, sign in ((UPPER_INNER, -0.5), (LOWER_INNER, 0.5)):
        for k, point in enumerate(ring):
            t = k / 5 - 1
            points[point, :2] = 0.17 * t, 0.32 + sign * opening * (1 - t * t)
    points[[61, 291], :2] = [[-0.19, 0.32], [0.19, 0.32]]
    # Round towards the viewer; the crown leans back as the mesh of a straight face does.
    points[:, 2] = 1.1 * points[:, 0] ** 2 - 0.25
    points[[CHEEK_LEFT, CHEEK_RIGHT], 2] = 0.05
    points[CROWN, 2], points[CHIN, 2] = -0.05, 0.06
    return (points * face + [*MIDDLE, 0]).astype(np.float32)


def turned(points: Points, degrees: float) -> Points:
    """About the vertical through the middle of the face."""
    turn = np.deg2rad(degrees)
    away = points - [*MIDDLE, 0]
    x = away[:, 0] * np.cos(turn) + away[:, 2] * np.sin(turn)
    z = -away[:, 0] * np.sin(turn) + away[:, 2] * np.cos(turn)
    return np.stack([x + MIDDLE[0], points[:, 1], z], 1).astype(np.float32)


def leaning(points: Points, degrees: float) -> Points:
    """About the middle of the face, clockwise."""
    lean = np.deg2rad(degrees)
    x, y = (points[:, :2] - MIDDLE).T
    flat = np.stack([x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)], 1) + MIDDLE
    return np.hstack([flat, points[:, 2:]]).astype(np.float32)


def picture() -> npt.NDArray[np.uint8]:
    """The face with shut lips and open eyes, uint8 RGB (HEIGHT, WIDTH, 3)."""
    points = landmarks()
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = BACK
    image[::16] = (90, 120, 150)
    centre = (int(MIDDLE[0]), int(MIDDLE[1]))
    cv2.ellipse(image, centre, (int(0.5 * FACE), int(0.65 * FACE)), 0, 0, 360, SKIN, -1, cv2.LINE_AA)
    # Of a nose only its tip: where it is, is where the head looks.
    cv2.circle(image, (centre[0], centre[1] + 10), 5, (120, 60, 40), -1, cv2.LINE_AA)
    for side in (0, 1):
        upper, lower = LIDS[side]
        outline = np.round(points[[*upper, *lower[-2:0:-1]], :2]).astype(np.int32)
        cv2.fillPoly(image, [outline], WHITE, cv2.LINE_AA)
        iris = np.round(points[IRISES[side][0], :2]).astype(int)
        cv2.circle(image, (int(iris[0]), int(iris[1])), 7, (40, 50, 60), -1, cv2.LINE_AA)
        cv2.polylines(image, [np.round(points[list(upper), :2]).astype(np.int32)], False, (60, 40, 30), 2)
    mouth = (centre[0], round(float(points[13, 1])))
    cv2.ellipse(image, mouth, (int(0.18 * FACE), 12), 0, 0, 360, LIPS, -1, cv2.LINE_AA)
    line = np.round(points[list(UPPER_INNER), :2]).astype(np.int32)
    cv2.polylines(image, [line], False, DARK, 2, cv2.LINE_AA)
    return image


class PaperTracker:
    """Sees the points it was given, whatever it is shown."""

    name = "paper"

    def __init__(self, points: Points | None, faces: int = 1) -> None:
        self._seen = FaceDetection(points, 0 if points is None else faces)
        self.closed = False

    def see(self, rgb: npt.NDArray[np.uint8]) -> FaceDetection:
        return self._seen

    def close(self) -> None:
        self.closed = True
