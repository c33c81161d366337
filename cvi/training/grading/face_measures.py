"""Measures of a face over time: size, pose, the mouth's opening and width; closures, roundings, still
silences.

Indices are those of MediaPipe's face mesh. Functions of landmarks take [n, 478, 3] in pixels and return one
value for each frame, NaN where there is no face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.training.arrays import Bools, Doubles, Floats
from cvi.training.footage.spans import Span, flagged, runs
from cvi.training.footage.tracking import FaceTrack
from cvi.training.grading.faults import GradingLimits

LEFT, RIGHT, TOP, CHIN = 234, 454, 10, 152
EYE_LEFT, EYE_RIGHT = 33, 263
LIP_UPPER, LIP_LOWER, CORNER_LEFT, CORNER_RIGHT = 13, 14, 61, 291
NOSE_BASE = 2
STABLE = (33, 133, 362, 263, 168, 6, 197, 195)
"""Corners of the eyes and the bridge of the nose, which neither speech nor expressions move much."""
CAMERA_PITCH_DEGREES = 5.0
"""Pitch of the mesh's line from forehead to chin when a face looks straight ahead: measured on a stock face,
whose pose is known; three frontal real clips lie at 3.7 to 6.3."""
CLOSED = 0.012
"""Face widths between the inner lips of a closed mouth; MediaPipe measures 0 to 0.01 there."""
_OPENS = 0.02
"""How much further the mouth must open before and after a closure, face widths."""
_AROUND_S = 0.32
_ROUNDED = 0.9
"""A mouth narrower than this share of its median width while speaking is rounded."""
_STILL_OPENING, _STILL_MOUTH = 0.035, 0.008
"""Face widths: the most the lips may be apart, and the most that may vary (standard deviation)."""
_STILL_MOVE = 0.06
"""Face widths the eyes and nose may move from their median."""
_QUIET_GUARD_S = 0.2


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Degrees, 0 facing the camera: `yaw` to the viewer's right, `pitch` down, `roll` clockwise."""

    yaw: Doubles
    pitch: Doubles
    roll: Doubles

    @property
    def turn(self) -> Doubles:
        """The angle between the nose's direction and the camera's, degrees."""
        cosine = np.cos(np.deg2rad(self.yaw)) * np.cos(np.deg2rad(self.pitch))
        return np.asarray(np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))), np.float64)


def head_pose(landmarks: Floats) -> HeadPose:
    """Yaw, pitch and roll from the axes of the face's points, which have depth."""
    points = landmarks.astype(np.float64)
    across = points[:, RIGHT] - points[:, LEFT]
    down = points[:, CHIN] - points[:, TOP]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    down -= across * np.sum(across * down, axis=1, keepdims=True)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    forward = np.cross(across, down)  # into the picture
    yaw = -np.rad2deg(np.arctan2(forward[:, 0], forward[:, 2]))
    pitch = -np.rad2deg(np.arcsin(np.clip(forward[:, 1], -1, 1))) - CAMERA_PITCH_DEGREES
    roll = np.rad2deg(np.arctan2(across[:, 1], across[:, 0]))
    return HeadPose(yaw, pitch, roll)


def face_width(landmarks: Floats) -> Doubles:
    """Ear to ear in three dimensions, pixels: a turned head is as wide as a straight one."""
    return _length(landmarks[:, RIGHT] - landmarks[:, LEFT])


def mouth_opening(landmarks: Floats) -> Doubles:
    """Distance of the lips' inner edges, in face widths."""
    return _length(landmarks[:, LIP_LOWER, :2] - landmarks[:, LIP_UPPER, :2]) / face_width(landmarks)


def mouth_width(landmarks: Floats) -> Doubles:
    """Distance of the mouth's corners, in face widths."""
    return _length(landmarks[:, CORNER_RIGHT] - landmarks[:, CORNER_LEFT]) / face_width(landmarks)


def lips_height(landmarks: Floats) -> Doubles:
    """From the upper lip's upper edge to the lower lip's lower one, in face widths."""
    return _length(landmarks[:, 17, :2] - landmarks[:, 0, :2]) / face_width(landmarks)


def leaps(landmarks: Floats) -> Doubles:
    """How far the face's stable points moved since the frame before, in face widths; 0 in the first frame."""
    points = landmarks[:, STABLE, :2].astype(np.float64)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1) / face_width(landmarks)[1:]
    return np.concatenate([[0.0], moved])


def _length(vectors: Floats) -> Doubles:
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1), np.float64)


def closures(track: FaceTrack, speech: tuple[Span, ...]) -> int:
    """How often the lips close and open again in the `speech` spans: P, B and M."""
    opening = mouth_opening(track.landmarks)
    spoken = flagged(speech, len(track), track.fps)
    reach = max(round(_AROUND_S * track.fps), 1)
    count = 0
    for start, end in runs(np.nan_to_num(opening, nan=1.0) < CLOSED):
        if not spoken[start:end].any():
            continue
        before, after = opening[max(start - reach, 0) : start], opening[end : end + reach]
        if _opens(before) and _opens(after):
            count += 1
    return count


def _opens(opening: Doubles) -> bool:
    return bool(np.isfinite(opening).any() and np.nanmax(opening) > CLOSED + _OPENS)


def roundings(track: FaceTrack, speech: tuple[Span, ...]) -> int:
    """How often the mouth narrows in the `speech` spans: OO and W."""
    width = mouth_width(track.landmarks)
    spoken = flagged(speech, len(track), track.fps) & track.present
    if not spoken.any():
        return 0
    narrow = np.nan_to_num(width, nan=np.inf) < _ROUNDED * float(np.nanmedian(width[spoken]))
    return len(runs(narrow & spoken))


def stills(track: FaceTrack, speech: tuple[Span, ...], limits: GradingLimits) -> tuple[Span, ...]:
    """Stretches without speech of at least `still_s` in which the face hardly moves."""
    fps, count = track.fps, len(track)
    length = round(limits.still_s * fps)
    guarded = [(a - _QUIET_GUARD_S, b + _QUIET_GUARD_S) for a, b in speech]
    quiet: Bools = ~flagged(guarded, count, fps) & track.present
    opening = mouth_opening(track.landmarks)
    places = track.landmarks[:, STABLE, :2].astype(np.float64).mean(1) / face_width(track.landmarks)[:, None]
    found: list[Span] = []
    for start, end in runs(quiet):
        at = start
        while at + length <= end:
            stop = at + length
            if not _still(opening[at:stop], places[at:stop]):
                at += max(round(0.2 * fps), 1)
                continue
            while stop < end and _still(opening[at : stop + 1], places[at : stop + 1]):
                stop += 1
            found.append((at / fps, stop / fps))
            at = stop
    return tuple(found)


def _still(opening: Doubles, places: Doubles) -> bool:
    if np.median(opening) > _STILL_OPENING or np.std(opening) > _STILL_MOUTH:
        return False
    return bool(np.abs(places - np.median(places, axis=0)).max() <= _STILL_MOVE)
