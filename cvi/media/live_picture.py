"""A picture that goes on: what is newest now, for whoever looks at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cvi.media.frames import Frame
from cvi.media.readers import VideoReader

Rgb = npt.NDArray[np.uint8]
"""uint8 [height, width, 3]."""


@runtime_checkable
class LivePicture(Protocol):
    """A camera, a shared screen, or a film in its place. Read from any one thread."""

    @property
    def count(self) -> int:
        """How many frames have come; the same number again means that nothing new is there."""

    def rgb(self, most_side_px: int) -> Rgb | None:
        """The newest frame, upright, no side longer than `most_side_px`; None where there is none, or none
        any more. Blocks for the scaling."""


class FilmPicture:
    """A film in the place of a camera or a screen: its frame at the moment that `at_s` tells, seconds of the
    film, negative before it begins.

    The film is opened with the first look. Before its first frame and after its last one there is no picture.
    While `at_s` stands still, as it does where a recorded caller waits for an answer, the newest frames are
    shown to and fro: people who wait move a little, and a frozen picture would be that of a faulty camera.
    """

    _FPS = 25

    def __init__(
        self,
        path: Path,
        now_s: Callable[[], float],
        at_s: Callable[[], float] | None = None,
        most_side_px: int = 640,
        to_and_fro: int = 36,
    ) -> None:
        """`now_s` is the conversation's time, and the film's too where `at_s` is not given. No side of a
        frame will be longer than `most_side_px`. So many frames are kept to be shown `to_and_fro`."""
        self._path = path
        self._now_s = now_s
        self._at_s = at_s or now_s
        self._room = (most_side_px, most_side_px)
        self._reader: VideoReader | None = None
        self._recent: deque[Frame] = deque(maxlen=to_and_fro)
        self._shown_s = -1.0
        self._still = 0
        """How often the same moment was looked at in a row."""

    @property
    def count(self) -> int:
        """Counts at 25 frames a second of the conversation."""
        return int(self._now_s() * self._FPS) + 1

    def rgb(self, most_side_px: int) -> Rgb | None:
        """As `LivePicture.rgb`. Raises UsageError."""
        import cv2

        at_s = self._at_s()
        if at_s < 0:
            return None
        if self._reader is None:
            self._reader = VideoReader(self._path, self._room)
        frame = self._frame(self._reader, at_s)
        if frame is None or self._reader.over:
            return None
        rgb = np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420), np.uint8)
        scale = most_side_px / max(rgb.shape[:2])
        return rgb if scale >= 1 else np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale), np.uint8)

    def _frame(self, reader: VideoReader, at_s: float) -> Frame | None:
        recent = self._recent
        if at_s > self._shown_s:
            self._shown_s, self._still = at_s, 0
        else:
            self._still += 1
            if len(recent) == recent.maxlen:
                last = len(recent) - 1
                return recent[abs(last - self._still % (2 * last or 1))]
            at_s += self._still / self._FPS  # as yet there is too little to go back over
        frame = reader.at(at_s, patience_s=0.5)
        if frame is not None:
            recent.append(frame)
        return frame

    def close(self) -> None:
        """Let go of the film."""
        if self._reader is not None:
            self._reader.close()
