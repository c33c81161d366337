"""Footage looked at once: the track that training works on, and the grade that says what it is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.files import write_bytes
from cvi.training.footage import Footage
from cvi.training.grading.grader import judge
from cvi.training.grading.looks import look
from cvi.training.grading.page import as_data
from cvi.training.grading.spans import flagged
from cvi.training.grading.standards import Standards
from cvi.training.landmarks import FaceTracker, Track, load_track, save_track

TRACK, GRADE = "track.npz", "grade.json"
_LEAST_CLEAN = 0.5
"""Of the frames: with fewer clean ones, all are used; half a minute with faults teaches more than none."""

Grade = dict[str, Any]


def look_at(
    folder: Path,
    footage: Footage,
    tracker: Callable[[], FaceTracker],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Track, Grade]:
    """Track and grade, kept in `folder`; what is there already is read. Raises UsageError where no face is
    seen at all, EngineError from the tracker, CviError where the disk refuses."""
    kept = _kept(folder)
    if kept is not None:
        return kept
    sees = tracker()
    try:
        looks = look(footage, sees, footage.working_fps, progress)
    finally:
        sees.close()
    track = _at_size(looks.track, footage)
    if not track.present.any():
        raise UsageError(
            f"No face is seen in {footage.path}.", "Film one person, facing the camera, in good light."
        )
    grade = as_data(judge(footage, looks, Standards()))
    write_bytes(folder / GRADE, json.dumps(grade, indent=1).encode())
    # Last: with it both are there.
    save_track(track, folder / TRACK)
    return track, grade


def refuse_unusable(footage: Footage, grade: Grade) -> None:
    """Raise UsageError for footage nothing can be made of, with its gravest fault and what to do."""
    if grade["verdict"] != "unusable":
        return
    fault = next(fault for fault in grade["faults"] if fault["fatal"])
    raise UsageError(
        f"{footage.path} is unusable: {fault['said']}",
        f"{fault['remedy']} All faults: cvi replica check {footage.path} (--anyway trains all the same).",
    )


def clean_frames(track: Track, grade: Grade) -> npt.NDArray[np.bool_]:
    """Which frames (n,) have no fault of a moment: no hand, caption, blur, second face. All, where hardly any
    would be left."""
    clean = flagged([(float(a), float(b)) for a, b in grade["clean"]], len(track), track.fps)
    if clean.mean() < _LEAST_CLEAN:
        return np.ones(len(track), np.bool_)
    return clean


def _kept(folder: Path) -> tuple[Track, Grade] | None:
    if not (folder / TRACK).is_file():
        return None
    try:
        grade = json.loads((folder / GRADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return load_track(folder / TRACK), grade


def _at_size(track: Track, footage: Footage) -> Track:
    """The same in pixels of the frames that training decodes, which may be larger than those looked at."""
    width, height = footage.frame_size()
    if (width, height) == (track.width, track.height):
        return track
    scale = np.array([width / track.width, height / track.height, width / track.width], np.float32)
    return replace(track, landmarks=track.landmarks * scale, width=width, height=height)
