"""Where the parts of a face lie in each picture of a film, and how far they move from frame to frame.

Read by MediaPipe's face mesh, the one that replicas are made with (`cvi replica setup` fetches it once). A
bound on jumps says little without what the same reader finds in people: `cvi bench lips --film` measures any
film.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.measurement import proportion
from cvi.bench.run import Figure, Variant
from cvi.training.footage.reader import Footage, open_footage

Points = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
PerFrame = npt.NDArray[np.float64]

UPPER_LIP, LOWER_LIP = 13, 14  # the inner edges, in the middle
LEFT_CORNER, RIGHT_CORNER = 61, 291
LEFT_CHEEK, RIGHT_CHEEK = 234, 454  # the face's width
LEFT_EYE, RIGHT_EYE = 33, 263  # outer corners
# Places that no speech and no blink moves: bridge and tip of the nose, forehead, corners of the eyes.
STEADY = (168, 6, 197, 195, 5, 4, 10, 151, 33, 133, 263, 362)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))  # of each eye the lids' middles and its corners
MESH = 468
SETTLE = 3
"""Looks at a first picture before what is found counts: the mesh starts each look where it found the face
in the last, and first from a coarse guess, up to 6 % of the face's width beside it."""
JUMP_PERCENT = 2.0
CUT_PERCENT = 10.0
"""Of the face's width: no head moves so far in a frame, all of it at once; the film was cut there."""
BLINK = 0.7
"""Of the usual height of an eye: lower, and it blinks."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """`points` (n, MESH, 2) pixels, NaN where no face was found; `found` (n,) bool."""

    points: Points
    found: Bools

    @property
    def face_width(self) -> float:
        """Median distance of the cheeks, pixels."""
        across = self.points[:, RIGHT_CHEEK] - self.points[:, LEFT_CHEEK]
        return float(np.nanmedian(np.hypot(across[:, 0], across[:, 1])))

    @property
    def gap_px(self) -> PerFrame:
        """Distance of the inner lips, (n,)."""
        gap = np.linalg.norm(self.points[:, LOWER_LIP] - self.points[:, UPPER_LIP], axis=-1)
        return np.asarray(gap, np.float64)

    @property
    def opening(self) -> PerFrame:
        """Distance of the inner lips over that of the eyes, (n,)."""
        eyes = np.linalg.norm(self.points[:, RIGHT_EYE] - self.points[:, LEFT_EYE], axis=-1)
        return np.asarray(self.gap_px / eyes, np.float64)


def find_landmarks(pictures: Iterable[Rgb]) -> Landmarks:
    """Find the face in each picture (RGB, all of one size).

    Raises MissingError without the mesh, EngineError when it fails.
    """
    from cvi.perception.face_mesh import build_tracker

    tracker = build_tracker()
    rows: list[Points] = []
    try:
        for picture in pictures:
            for _ in range(SETTLE if not rows else 0):
                tracker.see(picture)
            face = tracker.see(picture).landmarks
            rows.append(np.full((MESH, 2), np.nan, np.float32) if face is None else face[:MESH, :2])
    finally:
        tracker.close()
    points = np.array(rows, np.float32).reshape(-1, MESH, 2)
    return Landmarks(points, ~np.isnan(points[:, 0, 0]))


def without_head_motion(landmarks: Landmarks) -> Points:
    """The points without the head's own movement (shift, turn in the plane, size), measured by `STEADY`."""
    reference = np.nanmedian(landmarks.points[:, STEADY], axis=0)
    centre = reference.mean(0)
    goal = (reference - centre) @ np.array([1, 1j])
    out = np.full_like(landmarks.points, np.nan)
    for index in np.flatnonzero(landmarks.found):
        points = landmarks.points[index]
        here = points[list(STEADY)]
        middle = here.mean(0)
        spots = (here - middle) @ np.array([1, 1j])
        turn = np.vdot(spots, goal) / np.vdot(spots, spots)
        moved = ((points - middle) @ np.array([1, 1j])) * turn
        out[index] = np.stack([moved.real, moved.imag], -1) + centre
    return out


def measure_film(path: Path, seconds: float) -> Variant:
    """The moves of the face in the first `seconds` of a film. Blocks, for about half as long as it plays.

    Raises UsageError for what is no film, MissingError without the face mesh.
    """
    footage = open_footage(path)
    fps = footage.working_fps
    landmarks = find_landmarks(_distinct_frames(footage, fps, seconds))
    figures = (
        proportion("face_found", "frames in which the face is found", landmarks.found, lower_is_better=False),
        *move_figures(landmarks, counted_steps(landmarks, ~blinking(landmarks))),
        Figure("fps", "frames a second", "", (fps,), False),
    )
    about = f"{footage.width}x{footage.height}, {len(landmarks.found)} frames"
    return Variant(path.stem, about, {}, figures=figures)


def move_figures(landmarks: Landmarks, steps: Bools) -> Iterator[Figure]:
    """Moves over the steps from frame to frame that count, `steps` (n - 1,)."""
    steady, lips = steady_moves(landmarks)[steps], lip_moves(landmarks)[steps]
    opening = opening_steps(landmarks)[steps]
    face = "% of face"
    yield Figure("jump_percent", "largest move a frame, but lips and lids", face, tuple(steady.tolist()))
    yield proportion("jumps", "such moves above 2 %", steady > JUMP_PERCENT)
    yield Figure("lip_jump_percent", "largest move a frame of the lips", face, tuple(lips.tolist()))
    yield proportion("lip_jumps", "such moves above 2 %", lips > JUMP_PERCENT)
    yield Figure("opening_step_percent", "lips part or close in a frame by", face, tuple(opening.tolist()))


def steady_moves(landmarks: Landmarks) -> PerFrame:
    """The largest move of a place that neither speech nor blinks move, (n - 1,), percent of the face's
    width."""
    return _largest_moves(landmarks.points, STEADY, landmarks.face_width)


def lip_moves(landmarks: Landmarks) -> PerFrame:
    """The largest move of the lips without the head's own, (n - 1,), percent of the face's width."""
    return _largest_moves(without_head_motion(landmarks), LIPS, landmarks.face_width)


def opening_steps(landmarks: Landmarks) -> PerFrame:
    """How much the distance of the inner lips changes in a frame, (n - 1,), percent of the face's width."""
    return np.asarray(100 * np.abs(np.diff(landmarks.gap_px)) / landmarks.face_width, np.float64)


def counted_steps(landmarks: Landmarks, calm: Bools) -> Bools:
    """Which steps from frame to frame count, (n - 1,): the face is found and `calm` (n,) on both sides, and
    the film is not cut between them."""
    good = landmarks.found & calm
    shift = np.linalg.norm(np.diff(np.median(landmarks.points, axis=1), axis=0), axis=-1)
    uncut = 100 * shift / landmarks.face_width < CUT_PERCENT
    return np.asarray(good[1:] & good[:-1] & uncut, np.bool_)


def blinking(landmarks: Landmarks) -> Bools:
    """In which frames an eye is lower than `BLINK` of its usual height, (n,)."""
    points = landmarks.points

    def height(upper: int, lower: int, left: int, right: int) -> Points:
        tall = np.linalg.norm(points[:, upper] - points[:, lower], axis=-1)
        return np.asarray(tall / np.linalg.norm(points[:, left] - points[:, right], axis=-1), np.float32)

    lower_eye = np.minimum(*(height(*eye) for eye in _LIDS))
    return np.asarray(lower_eye < BLINK * np.nanmedian(lower_eye), np.bool_)


def _largest_moves(points: Points, places: Sequence[int], width: float) -> PerFrame:
    moved = np.linalg.norm(np.diff(points[:, list(places)], axis=0), axis=-1)
    return np.asarray(100 * moved.max(1) / width, np.float64)


def _distinct_frames(footage: Footage, fps: float, seconds: float) -> Iterator[Rgb]:
    """Where a film stalls the same frame comes twice, and nothing in it moves: the second is left out."""
    shown_s = -1.0
    for frame in footage.frames(fps, end_s=seconds):
        if frame.source_s > shown_s:
            yield frame.rgb
        shown_s = frame.source_s
