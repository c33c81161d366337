"""A picture that goes on: what is newest now, for whoever looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

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
    """A film in a camera's place: its frame at the moment that `at_s` tells, seconds of the film.

    The film is opened with the first look. After its last frame there is no picture.
    """

    _FPS = 25
    _ROOM = (640, 640)

    def __init__(self, path: Path, at_s: Callable[[], float]) -> None:
        self._path = path
        self._at_s = at_s
        self._reader: VideoReader | None = None

    @property
    def count(self) -> int:
        """Counts at 25 frames a second of the film."""
        return int(self._at_s() * self._FPS) + 1

    def rgb(self, most_side_px: int) -> Rgb | None:
        """As `LivePicture.rgb`; no side is longer than 640 pixels. Raises UsageError."""
        import cv2

        if self._reader is None:
            self._reader = VideoReader(self._path, self._ROOM)
        frame = self._reader.at(self._at_s(), patience_s=0.5)
        if frame is None or self._reader.over:
            return None
        rgb = np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420), np.uint8)
        scale = most_side_px / max(rgb.shape[:2])
        return rgb if scale >= 1 else np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale), np.uint8)

    def close(self) -> None:
        """Let go of the film."""
        if self._reader is not None:
            self._reader.close()
