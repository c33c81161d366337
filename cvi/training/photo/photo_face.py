"""The face in a photo: whether it is suitable (one face, near, straight, lips closed, eyes open), and what
the photo shows of the mouth: where the lips meet, and the colours of its light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.photo.rig import IRISES, LIDS, MOUTH_CORNERS, PhotoRig
from cvi.perception.face_detection import POINTS, FaceDetection, FaceTracker
from cvi.training.arrays import Floats
from cvi.training.footage.reader import Rgb
from cvi.training.grading.face_measures import face_width, head_pose, mouth_opening

LEAST_WIDTH_PX = 120.0
SOFT_WIDTH_PX = 220.0
"""A narrower face is enlarged in a picture of 720 lines, and looks soft."""
MOST_TURN_DEGREES = 14.0
MOST_ROLL_DEGREES = 20.0
MOST_PARTED = 0.028
"""Face widths between the inner lips: closed lips lie under 0.02, teeth are visible from 0.04."""
LEAST_EYE = 0.16
"""Distance of the lids over half the eye's length; open eyes lie above 0.4, closed ones under 0.12."""
_PASSES = 4
"""The tracker refines its result on the same picture."""
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))


@dataclass(frozen=True, slots=True)
class CheckedFace:
    """`landmarks` (478, 3) pixels of the photo; `notes` on what its quality will show."""

    landmarks: Floats
    notes: tuple[str, ...] = ()


def find_face(photo: Rgb, tracker: FaceTracker) -> CheckedFace:
    """The one face of a photo, uint8 RGB (h, w, 3). Raises UsageError where it is not suitable."""
    seen = FaceDetection(None, 0)
    for _ in range(_PASSES):
        seen = tracker.see(photo)
    if seen.landmarks is None:
        raise UsageError(
            "No face is found in the photo.",
            "Give one in which a single face looks at the camera, upright, and fills a quarter of the width.",
        )
    if seen.faces > 1:
        raise UsageError(
            "There is more than one face in the photo.", "Cut the others off, or give another photo."
        )
    points = np.asarray(seen.landmarks, np.float32)
    assert points.shape == (POINTS, 3)
    return CheckedFace(points, _checked(points, photo))


def _checked(points: Floats, photo: Rgb) -> tuple[str, ...]:
    width = float(face_width(points[None])[0])
    if width < LEAST_WIDTH_PX:
        raise UsageError(
            f"The face in the photo is {width:.0f} pixels wide, too small to be shown.",
            f"Ear to ear it needs {LEAST_WIDTH_PX:.0f} pixels, {SOFT_WIDTH_PX:.0f} to look sharp.",
        )
    _check_inside(points, photo)
    pose = head_pose(points[None])
    if (turn := float(pose.turn[0])) > MOST_TURN_DEGREES:
        raise UsageError(
            f"The face in the photo is turned away by {turn:.0f} degrees.",
            f"Give one that looks at the camera, by {MOST_TURN_DEGREES:.0f} degrees at most.",
        )
    if (roll := abs(float(pose.roll[0]))) > MOST_ROLL_DEGREES:
        raise UsageError(
            f"The head in the photo leans by {roll:.0f} degrees.", "Turn the photo upright, or give another."
        )
    if float(mouth_opening(points[None])[0]) > MOST_PARTED:
        raise UsageError(
            "The mouth in the photo is open.",
            "Give one with shut lips, smiling or not: lips that have to part must be seen whole.",
        )
    if min(_eye_opening(points, eye) for eye in _EYES) < LEAST_EYE:
        raise UsageError("An eye in the photo is shut.", "Give one with both eyes open.")
    notes = []
    if width < SOFT_WIDTH_PX:
        notes.append(
            f"the face is {width:.0f} pixels wide and will look soft; {SOFT_WIDTH_PX:.0f} or more are sharp"
        )
    if turn > MOST_TURN_DEGREES / 2:
        notes.append(
            f"the face is turned by {turn:.0f} degrees; the mouth will be less exact on the far side"
        )
    return tuple(notes)


def _check_inside(points: Floats, photo: Rgb) -> None:
    """The whole face must be in the picture, since one that is cut off cannot turn."""
    height, width = photo.shape[:2]
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    if low.min() < 0 or high[0] > width - 1 or high[1] > height - 1:
        raise UsageError("The face is cut off by the photo's border.", "Give one with the whole head.")


def _eye_opening(points: Floats, eye: tuple[int, int, int, int]) -> float:
    upper, lower, start, end = points[list(eye), :2]
    return float(np.linalg.norm(lower - upper) / (np.linalg.norm(end - start) / 2))


UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_CHEEKS = (50, 280, 205, 425)
_LINE_POINTS = 41
_SEARCH = 0.055
"""Mouth widths around the mesh's line in which the lips' line is searched."""
_OFFSETS = 23
_BEND = 1.2
"""Cost of a step between neighbouring columns, in shares of the line's contrast."""
_TOOTH = np.array([1.0, 0.97, 0.91])
"""Enamel relative to the white of the eye."""


def read_face(photo: Rgb, landmarks: Floats, glasses: bool = False) -> PhotoRig:
    """The rig of a photo, uint8 RGB (h, w, 3), with `landmarks` (478, 3) in its pixels; `glasses` are
    worn."""
    skin = _mean_at(photo, landmarks, _CHEEKS)
    teeth = _teeth(_white_of_eyes(photo, landmarks), skin)
    return PhotoRig(
        landmarks=landmarks,
        lip_line=lip_line(photo, landmarks),
        teeth=teeth,
        cavity=np.asarray(skin * np.array([0.25, 0.11, 0.10]), np.float32),
        tongue=np.asarray(np.clip(skin * np.array([0.80, 0.46, 0.46]), 0, 255), np.float32),
        lash=_lashes(photo, landmarks),
        glasses=np.array([float(glasses)], np.float32),
    )


def lip_line(photo: Rgb, landmarks: Floats) -> Floats:
    """Where closed lips meet, (n, 2) pixels, from the viewer's left corner to the right one: the darkest
    smooth path near the mesh's line, which is exact to a few pixels only."""
    middle = (landmarks[list(UPPER_INNER), :2] + landmarks[list(LOWER_INNER), :2]) / 2
    across = middle[-1] - middle[0]
    right = across / np.linalg.norm(across)
    down = np.array([-right[1], right[0]], np.float32)
    width = float(np.linalg.norm(np.diff(landmarks[list(MOUTH_CORNERS), :2], axis=0)))
    along = (middle - middle[0]) @ right
    place = np.linspace(0, along[-1], _LINE_POINTS)
    rough = np.interp(place, along, (middle - middle[0]) @ down)
    offsets = np.linspace(-_SEARCH, _SEARCH, _OFFSETS) * width
    # Brightness around the rough line, (offsets, columns).
    heights = rough[None] + offsets[:, None]
    x = middle[0, 0] + place[None] * right[0] + heights * down[0]
    y = middle[0, 1] + place[None] * right[1] + heights * down[1]
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), max(width / 120, 0.5))
    seen = cv2.remap(grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).astype(np.float64)
    contrast = max(float(np.percentile(seen, 90) - np.percentile(seen, 5)), 1.0)
    cost = (seen - seen.min()) / contrast + 0.5 * np.square(offsets / offsets[-1])[:, None]
    path = _path(cost)
    found = offsets[path]
    # At the corners the mesh is right; between them the path has steps of one offset.
    sure = np.clip(np.minimum(place, along[-1] - place) / (0.10 * width), 0, 1)
    smooth = np.convolve(np.pad(found, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], mode="valid")
    heights = rough + smooth * sure
    return np.asarray(middle[0] + place[:, None] * right + heights[:, None] * down, np.float32)


def _path(cost: Floats) -> np.ndarray:
    """The cheapest row at each column, by dynamic programming; neighbours pay for their difference."""
    rows, columns = cost.shape
    index = np.arange(rows)
    step = _BEND * np.square(index[:, None] - index[None]) / rows
    total = cost[:, 0]
    came: list[np.ndarray] = []
    for column in range(1, columns):
        ways = total[None] + step
        came.append(ways.argmin(1))
        total = ways.min(1) + cost[:, column]
    path = [int(total.argmin())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])


def _mean_at(photo: Rgb, landmarks: Floats, points: tuple[int, ...]) -> Floats:
    """The mean colour around some landmarks."""
    reach = max(round(0.02 * float(np.ptp(landmarks[:, 0]))), 1)
    parts = []
    for point in points:
        x, y = (round(float(value)) for value in landmarks[point, :2])
        part = photo[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        parts.append(part.reshape(-1, 3).mean(0) if part.size else np.full(3, 128.0))
    return np.asarray(np.mean(parts, 0), np.float32)


def _white_of_eyes(photo: Rgb, landmarks: Floats) -> Floats | None:
    """The colour of what lies between the lids beside the iris; None where too little of it is seen."""
    inside = np.zeros(photo.shape[:2], np.uint8)
    for (upper, lower), iris in zip(LIDS, IRISES, strict=True):
        outline = landmarks[[*upper, *lower[-2:0:-1]], :2]
        cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 255)
        radius = float(np.linalg.norm(landmarks[list(iris[1:]), :2] - landmarks[iris[0], :2], axis=1).mean())
        centre = (round(float(landmarks[iris[0], 0])), round(float(landmarks[iris[0], 1])))
        cv2.circle(inside, centre, round(radius * 1.15) + 1, 0, -1)
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8))
    pixels = photo[inside > 0].astype(np.float32)
    if len(pixels) < 24:
        return None
    grey = pixels.mean(1)
    lit = pixels[(grey >= np.percentile(grey, 55)) & (grey <= np.percentile(grey, 92))]
    return np.asarray(lit.mean(0), np.float32)


def _teeth(white: Floats | None, skin: Floats) -> Floats:
    """As bright as the white of the eye, and never brighter than lit skin by much: a mouth lies in shade."""
    level = float(skin.mean())
    if white is None:
        white = np.full(3, 1.15 * level, np.float32)
    # The eye's own tint is light's and a few veins': half of it is kept.
    tint = 0.5 * white / max(float(white.mean()), 1.0) + 0.5
    bright = float(np.clip(white.mean(), 1.05 * level, 1.35 * level))
    return np.asarray(np.clip(1.12 * bright * tint * _TOOTH, 0, 238), np.float32)


def _lashes(photo: Rgb, landmarks: Floats) -> Floats:
    """The dark colour at the upper lids' edges."""
    reach = max(round(0.008 * float(np.ptp(landmarks[:, 0]))), 1)
    pixels = []
    for (upper, _), _iris in zip(LIDS, IRISES, strict=True):
        for point in upper[1:-1]:
            x, y = (round(float(value)) for value in landmarks[point, :2])
            pixels.append(photo[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1])
    flat = np.concatenate([part.reshape(-1, 3) for part in pixels]).astype(np.float32)
    grey = flat.mean(1)
    return np.asarray(flat[grey <= np.percentile(grey, 15)].mean(0), np.float32)
