"""Where the face is in every frame: the one form in which the rest of the room sees a face.

A `FaceTracker` finds the 478 points of MediaPipe's face mesh (468 of the face, then five of each iris) in
one frame after the other; a `FaceTrack` holds them for a whole film, and is kept as plain arrays.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cvi.errors import CviError, UsageError
from cvi.training.footage.reader import FootageFrame, Rgb

POINTS = 478
FORMAT = 1
"""Of the file; another number is another layout."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """One frame's faces. `landmarks` float32 [478, 3] of the face that is followed, pixels of the frame
    (x right, y down, z away from the viewer on x's scale); None where there is no face. `faces` counts all.
    `blendshapes` float32 [52] 0..1, where the tracker has them."""

    landmarks: Floats | None
    faces: int
    blendshapes: Floats | None = None


class FaceTracker(Protocol):
    name: str
    """Says the method and its version: tracks of different trackers are not to be mixed."""

    def see(self, rgb: Rgb) -> FaceDetection:
        """The faces of the film's next frame, uint8 [height, width, 3] RGB. Frames come in order of time,
        at one size; the tracker follows one face from frame to frame. Blocks. Raises EngineError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """The faces of n frames.

    `times_s` float64 [n], seconds of the footage; `landmarks` float32 [n, 478, 3] in pixels as in
    `FaceDetection`, NaN where `present` (bool [n]) is False; `faces` int32 [n] how many faces were seen;
    `width`, `height` of the frames, pixels; `fps` of the track; `tracker` by which it was made; `blendshapes`
    float32 [n, 52] or None.
    """

    times_s: npt.NDArray[np.float64]
    landmarks: Floats
    present: npt.NDArray[np.bool_]
    faces: npt.NDArray[np.int32]
    width: int
    height: int
    fps: float
    tracker: str
    blendshapes: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.times_s)
        assert self.landmarks.shape == (count, POINTS, 3), self.landmarks.shape
        assert self.present.shape == self.faces.shape == (count,)

    def __len__(self) -> int:
        return len(self.times_s)


def track_frames(
    frames: Iterable[FootageFrame],
    tracker: FaceTracker,
    fps: float,
    progress: Callable[[int], None] = lambda done: None,
) -> FaceTrack:
    """Follow the face through a film. `progress` is told the number of frames done.

    Raises what decoding raises (UsageError), EngineError from the tracker, and UsageError for no frames.
    """
    collector = TrackCollector(tracker, fps)
    for frame in frames:
        collector.add(frame)
        progress(len(collector))
    return collector.track()


class TrackCollector:
    """A track in the making, for those who look at the frames themselves as well."""

    def __init__(self, tracker: FaceTracker, fps: float) -> None:
        self._tracker = tracker
        self._fps = fps
        self._size = (0, 0)
        self._times: list[float] = []
        self._seen: list[FaceDetection] = []

    def __len__(self) -> int:
        return len(self._times)

    def add(self, frame: FootageFrame) -> FaceDetection:
        """See one more frame, the next in time."""
        self._size = frame.rgb.shape[1], frame.rgb.shape[0]
        seen = self._tracker.see(frame.rgb)
        self._times.append(frame.time_s)
        self._seen.append(seen)
        return seen

    def track(self) -> FaceTrack:
        """Everything added so far. Raises UsageError when there is nothing."""
        if not self._seen:
            raise UsageError("The film has no frame that can be decoded.", "Give one that plays elsewhere.")
        nowhere = np.full((POINTS, 3), np.nan, np.float32)
        shapes = [seen.blendshapes for seen in self._seen]
        known = next((shape for shape in shapes if shape is not None), None)
        blendshapes = None
        if known is not None:
            none = np.full_like(known, np.nan)
            blendshapes = np.stack([none if shape is None else shape for shape in shapes])
        return FaceTrack(
            times_s=np.asarray(self._times, np.float64),
            landmarks=np.stack(
                [nowhere if seen.landmarks is None else seen.landmarks for seen in self._seen]
            ).astype(np.float32, copy=False),
            present=np.asarray([seen.landmarks is not None for seen in self._seen], np.bool_),
            faces=np.asarray([seen.faces for seen in self._seen], np.int32),
            width=self._size[0],
            height=self._size[1],
            fps=self._fps,
            tracker=self._tracker.name,
            blendshapes=blendshapes,
        )


def save_track(track: FaceTrack, path: Path) -> None:
    """Keep a track as .npz, whole or not at all. Raises CviError when disk or folder do not allow it."""
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
    if track.blendshapes is not None:
        arrays["blendshapes"] = track.blendshapes
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Free some space, or choose another folder.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def load_track(path: Path) -> FaceTrack:
    """Read what `save_track` wrote; nothing in it is executed. Raises UsageError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if int(kept["format"]) != FORMAT:
                raise UsageError(f"{path} is a track of another version.", "Make it anew from the footage.")
            width, height = (int(side) for side in kept["size"])
            return FaceTrack(
                times_s=kept["times_s"].astype(np.float64, copy=False),
                landmarks=kept["landmarks"].astype(np.float32, copy=False),
                present=kept["present"].astype(np.bool_, copy=False),
                faces=kept["faces"].astype(np.int32, copy=False),
                width=width,
                height=height,
                fps=float(kept["fps"]),
                tracker=str(kept["tracker"]),
                blendshapes=kept["blendshapes"].astype(np.float32) if "blendshapes" in kept else None,
            )
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}.", "Make the track from the footage.") from error
    except (OSError, ValueError, KeyError, EOFError, AssertionError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is no track that can be read.", "Make it anew from the footage.") from error
