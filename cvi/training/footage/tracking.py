"""Where the face is in every frame: the form in which the other stages see a face.

A `FaceTracker` (`cvi.perception.face_detection`) finds the points in one frame after the other; a `FaceTrack`
holds them for a whole film, and is stored as plain arrays.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.files import replacing
from cvi.perception.face_detection import POINTS, FaceDetection, FaceTracker
from cvi.training.arrays import Bools, Doubles, Floats, Ints
from cvi.training.footage.reader import FootageFrame

FORMAT = 1
"""Of the file."""


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """The faces of n frames.

    `times_s` float64 [n], seconds of the footage; `landmarks` float32 [n, 478, 3] in pixels as in
    `FaceDetection`, NaN where `present` (bool [n]) is False; `faces` int32 [n] how many faces were seen;
    `width`, `height` of the frames, pixels; `fps` of the track; `tracker` by which it was made.
    """

    times_s: Doubles
    landmarks: Floats
    present: Bools
    faces: Ints
    width: int
    height: int
    fps: float
    tracker: str

    def __post_init__(self) -> None:
        count = len(self.times_s)
        assert self.landmarks.shape == (count, POINTS, 3), self.landmarks.shape
        assert self.present.shape == self.faces.shape == (count,)

    def __len__(self) -> int:
        return len(self.times_s)


class TrackCollector:
    """Builds a track frame by frame, for callers that use the frames as well."""

    def __init__(self, tracker: FaceTracker, fps: float) -> None:
        self._tracker = tracker
        self._fps = fps
        self._size = (0, 0)
        self._times: list[float] = []
        self._detections: list[FaceDetection] = []

    def __len__(self) -> int:
        return len(self._times)

    def add(self, frame: FootageFrame) -> FaceDetection:
        """Track one more frame, the next in time."""
        self._size = frame.rgb.shape[1], frame.rgb.shape[0]
        detection = self._tracker.see(frame.rgb)
        self._times.append(frame.time_s)
        self._detections.append(detection)
        return detection

    def track(self) -> FaceTrack:
        """The track of all frames added so far. Raises UsageError when there are none."""
        if not self._detections:
            raise UsageError("The film has no frame that can be decoded.", "Give one that plays elsewhere.")
        missing = np.full((POINTS, 3), np.nan, np.float32)
        return FaceTrack(
            times_s=np.asarray(self._times, np.float64),
            landmarks=np.stack(
                [missing if found.landmarks is None else found.landmarks for found in self._detections]
            ).astype(np.float32, copy=False),
            present=np.asarray([found.landmarks is not None for found in self._detections], np.bool_),
            faces=np.asarray([found.faces for found in self._detections], np.int32),
            width=self._size[0],
            height=self._size[1],
            fps=self._fps,
            tracker=self._tracker.name,
        )


def save_track(track: FaceTrack, path: Path) -> None:
    """Store a track as .npz, whole or not at all. Raises CviError where the disk does not allow it."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "format": np.asarray(FORMAT),
        "times_s": track.times_s,
        "landmarks": track.landmarks,
        "present": track.present,
        "faces": track.faces,
        "size": np.asarray([track.width, track.height], np.int32),
        "fps": np.asarray(track.fps, np.float64),
        "tracker": np.asarray(track.tracker),
    }
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_track(path: Path) -> FaceTrack:
    """Read what `save_track` wrote, without unpickling. Raises UsageError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise UsageError(f"{path} is a track of another version.", "Make it anew from the footage.")
            width, height = (int(side) for side in arrays["size"])
            return FaceTrack(
                times_s=arrays["times_s"].astype(np.float64, copy=False),
                landmarks=arrays["landmarks"].astype(np.float32, copy=False),
                present=arrays["present"].astype(np.bool_, copy=False),
                faces=arrays["faces"].astype(np.int32, copy=False),
                width=width,
                height=height,
                fps=float(arrays["fps"]),
                tracker=str(arrays["tracker"]),
            )
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}.", "Make the track from the footage.") from error
    except (OSError, ValueError, KeyError, EOFError, AssertionError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is no track that can be read.", "Make it anew from the footage.") from error
