"""One look at a picture: is it good, is there a face, what does it do? Faces on their side are found too."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from cvi.perception.face_detection import FaceDetection, FaceTracker, HandFinder, Points, Rgb
from cvi.perception.face_measures import measure
from cvi.perception.face_mesh import MeshTracker, find_packages
from cvi.perception.hands import HandWatch
from cvi.perception.picture import PictureState, PictureWatch
from cvi.perception.seeing import Seeing
from cvi.perception.sight import Sight

MOST_SIDE_PX = 640
"""A face is sampled at 192 pixels whatever the picture's size."""
TURN_AFTER_S, TURN_EVERY_S = 2.0, 1.0
_NICENESS = 5
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Looker:
    """Looks at frames in order of time, on one thread. `face` and `rgb` are of the last look, the latter
    turned upright where the picture lies on its side."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker = tracker
        self._picture = PictureWatch()
        self._seeing = Seeing()
        self._hand_watch = HandWatch(tracker) if isinstance(tracker, HandFinder) else None
        self._turns = 0
        """Quarter turns that make the picture upright."""
        self._found_s: float | None = None
        self._tried_s = 0.0
        self.face: FaceDetection = FaceDetection(None, 0)
        self.rgb: Rgb | None = None

    @property
    def pid(self) -> int | None:
        """The tracker's process, where it has one."""
        return getattr(self._tracker, "pid", None)

    @property
    def hands(self) -> list[Points]:
        """The hands that were found near the face last, pixels of `rgb`."""
        return self._hand_watch.hands if self._hand_watch is not None else []

    @property
    def last(self) -> Sight:
        """What was seen last."""
        return self._seeing.last

    def look(self, rgb: Rgb | None, t_s: float) -> Sight:
        """The sight at `t_s`, seconds; `rgb` is None where no new frame has come. Raises EngineError."""
        state = self._picture.look(rgb, t_s)
        if rgb is None:
            if state == "good":  # the camera is slower than we look
                return self.last
            return self._seeing.see(None, 0, t_s, state)
        luma = self._picture.luma
        if state in ("black", "covered"):
            self.face, self.rgb = FaceDetection(None, 0), rgb
            return self._seeing.see(None, 0, t_s, state, luma)
        self.face = self._find(rgb, t_s)
        if self._turns and self.face.faces and state == "good":
            state = "sideways"
        landmarks = self.face.landmarks
        assert self.rgb is not None
        hand = self._hand_watch.look(self.rgb, landmarks, t_s) if self._hand_watch is not None else ""
        if landmarks is None:
            return self._seeing.see(None, 0, t_s, state, luma)
        height, width = self.rgb.shape[:2]
        return self._seeing.see(
            measure(landmarks, width, height),
            self.face.faces,
            t_s,
            state,
            luma,
            _face_luma(self.rgb, landmarks),
            hand,
        )

    def _find(self, rgb: Rgb, t_s: float) -> FaceDetection:
        self.rgb = _turned(rgb, self._turns)
        found = self._tracker.see(self.rgb)
        if found.faces or self._found_s is None:
            self._found_s = t_s
        elif t_s - self._found_s > TURN_AFTER_S and t_s - self._tried_s > TURN_EVERY_S:
            self._tried_s = t_s
            for turns in (1, 3, 2, 0):
                upright = _turned(rgb, turns)
                if turns != self._turns and (there := self._tracker.see(upright)).faces:
                    self._turns, self._found_s, self.rgb = turns, t_s, upright
                    return there
        return found

    def close(self) -> None:
        """End the tracker."""
        self._tracker.close()


def build_looker() -> Looker:
    """A looker with MediaPipe's face mesh. Raises MissingError, which says how to install it."""
    most_bytes = MOST_SIDE_PX * MOST_SIDE_PX * 3
    return Looker(MeshTracker(find_packages(), most_bytes=most_bytes, niceness=_NICENESS))


class CpuMeter:
    """Processor time of a tracker's process and the calling thread since this was made, seconds."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._began = self._now()

    def used_s(self) -> float:
        """Of both; without /proc (not Linux) of the thread alone."""
        return self._now() - self._began

    def _now(self) -> float:
        used = time.thread_time()
        if self._pid is not None:
            try:
                fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) / _TICKS
            except (OSError, ValueError, IndexError):
                pass
        return used


def _turned(rgb: Rgb, turns: int) -> Rgb:
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _face_luma(rgb: Rgb, landmarks: np.ndarray) -> float:
    (left, top), (right, bottom) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    height, width = rgb.shape[:2]
    part = rgb[
        max(int(top), 0) : min(int(bottom), height) : 4, max(int(left), 0) : min(int(right), width) : 4
    ]
    return float(part.mean()) if part.size else 128.0


__all__ = ["MOST_SIDE_PX", "CpuMeter", "Looker", "PictureState", "build_looker"]
