"""Whether a photo will do: one face, near, straight, with shut lips and open eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.errors import UsageError
from cvi.training.footage import Rgb
from cvi.training.grading.geometry import face_width, head_pose, mouth_opening
from cvi.training.landmarks import POINTS, FaceTracker, Floats, Seen

LEAST_WIDTH_PX = 120.0
SOFT_WIDTH_PX = 220.0
"""A narrower face is enlarged a good deal in a picture of 720 lines, and looks soft there."""
MOST_TURN_DEGREES = 14.0
MOST_ROLL_DEGREES = 20.0
MOST_PARTED = 0.028
"""Of the inner lips, in face widths: what looks shut lies under 0.02, teeth are seen from 0.04."""
LEAST_EYE = 0.16
"""Distance of the lids to half the eye's length; open eyes lie above 0.4, shut ones under 0.12."""
_LOOKS = 4
"""The tracker refines what it found on the same picture."""
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))


@dataclass(frozen=True, slots=True)
class Face:
    """`landmarks` (478, 3) pixels of the photo; `notes`: what will be seen of it, in words."""

    landmarks: Floats
    notes: tuple[str, ...] = ()


def find_face(photo: Rgb, tracker: FaceTracker) -> Face:
    """The one face of a photo, uint8 RGB (h, w, 3). Raises UsageError, in words, where it will not do."""
    seen = Seen(None, 0)
    for _ in range(_LOOKS):
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
    return Face(points, _checked(points, photo))


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
    """Hair and chin must be in the picture: a face that is cut off cannot turn."""
    height, width = photo.shape[:2]
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    if low.min() < 0 or high[0] > width - 1 or high[1] > height - 1:
        raise UsageError("The face is cut off by the photo's border.", "Give one with the whole head.")


def _eye_opening(points: Floats, eye: tuple[int, int, int, int]) -> float:
    upper, lower, start, end = points[list(eye), :2]
    return float(np.linalg.norm(lower - upper) / (np.linalg.norm(end - start) / 2))
