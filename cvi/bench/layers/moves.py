"""How far a face moves from frame to frame, read by the mesh: in films of ours, and in anybody's.

A bound on leaps says little without what the same reader finds in people: `cvi bench lips --film` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.keeping import shares
from cvi.bench.layers.landmarks import LIPS, STEADY, Landmarks, Rgb, steadied, track
from cvi.bench.run import Figure, Variant
from cvi.training.footage.reader import Footage, open_footage

JUMP_PERCENT = 2.0
CUT_PERCENT = 10.0
"""Of the face's width: no head moves so far in a frame, all of it at once; it is another picture."""
SHUT = 0.7
"""Of the usual height of an eye: lower, and it blinks."""
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))  # of each eye the lids' middles and its corners

Bools = npt.NDArray[np.bool_]


def measure_film(path: Path, seconds: float) -> Variant:
    """The moves of the face in the first `seconds` of a film. Blocks, for about half as long as it plays.

    Raises UsageError for what is no film, MissingError without the face mesh.
    """
    footage = open_footage(path)
    fps = footage.working_fps
    landmarks = track(_pictures(footage, fps, seconds))
    steps = counted(landmarks, ~blinking(landmarks))
    figures = (
        shares("face_found", "frames in which the face is found", landmarks.found, lower=False),
        *move_figures(landmarks, steps),
        Figure("fps", "frames a second", "", (fps,), False),
    )
    about = f"{footage.width}x{footage.height}, {len(landmarks.found)} frames"
    return Variant(path.stem, about, {}, figures=figures)


def move_figures(landmarks: Landmarks, steps: Bools) -> Iterator[Figure]:
    """Moves over the steps from frame to frame that count, `steps` (n - 1,)."""
    steady, lips = steady_moves(landmarks)[steps], lip_moves(landmarks)[steps]
    opening = opened(landmarks)[steps]
    face = "% of face"
    yield Figure("jump_percent", "largest move a frame, but lips and lids", face, tuple(steady.tolist()))
    yield shares("jumps", "such moves above 2 %", steady > JUMP_PERCENT)
    yield Figure("lip_jump_percent", "largest move a frame of the lips", face, tuple(lips.tolist()))
    yield shares("lip_jumps", "such moves above 2 %", lips > JUMP_PERCENT)
    yield Figure("opening_step_percent", "lips part or close in a frame by", face, tuple(opening.tolist()))


def steady_moves(landmarks: Landmarks) -> npt.NDArray[np.float64]:
    """The largest move of a place that neither speech nor blinks move, (n - 1,), percent of the face."""
    return _most(landmarks.points, STEADY, landmarks.face_width)


def lip_moves(landmarks: Landmarks) -> npt.NDArray[np.float64]:
    """The largest move of the lips, the head's own taken out, (n - 1,), percent of the face."""
    return _most(steadied(landmarks), LIPS, landmarks.face_width)


def opened(landmarks: Landmarks) -> npt.NDArray[np.float64]:
    """How much further apart, or nearer, the inner lips are than a frame before, (n - 1,), percent."""
    return np.asarray(100 * np.abs(np.diff(landmarks.gap_px)) / landmarks.face_width, np.float64)


def counted(landmarks: Landmarks, calm: Bools) -> Bools:
    """Which steps from frame to frame count, (n - 1,): the face is found and `calm` (n,) on both sides, and
    the film is not cut between them."""
    good = landmarks.found & calm
    shift = np.linalg.norm(np.diff(np.median(landmarks.points, axis=1), axis=0), axis=-1)
    whole = 100 * shift / landmarks.face_width < CUT_PERCENT
    return np.asarray(good[1:] & good[:-1] & whole, np.bool_)


def blinking(landmarks: Landmarks) -> Bools:
    """In which frames an eye is lower than `SHUT` of its usual height, (n,)."""
    points = landmarks.points

    def height(upper: int, lower: int, left: int, right: int) -> npt.NDArray[np.float32]:
        tall = np.linalg.norm(points[:, upper] - points[:, lower], axis=-1)
        return np.asarray(tall / np.linalg.norm(points[:, left] - points[:, right], axis=-1), np.float32)

    lower_eye = np.minimum(*(height(*eye) for eye in _LIDS))
    return np.asarray(lower_eye < SHUT * np.nanmedian(lower_eye), np.bool_)


def _most(points: npt.NDArray[np.float32], places: Sequence[int], width: float) -> npt.NDArray[np.float64]:
    moved = np.linalg.norm(np.diff(points[:, list(places)], axis=0), axis=-1)
    return np.asarray(100 * moved.max(1) / width, np.float64)


def _pictures(footage: Footage, fps: float, seconds: float) -> Iterator[Rgb]:
    shown_s = -1.0
    for frame in footage.frames(fps, end_s=seconds):
        # Where a film stalls the same frame comes twice, and nothing in it moves.
        if frame.source_s > shown_s:
            yield frame.rgb
        shown_s = frame.source_s
