"""The person's own footage, played in any order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cvi.errors import UsageError
from cvi.face.neural.colour import Bytes

_FORWARD = 12
"""Frames that are decoded through rather than sought: about half of what lies between two key frames."""


class BaseFilm:
    """Frames of a film by number, I420; those in order are cheap. One thread at a time.

    The film has constant frame rate and no reordered frames (`cvi.training.package.export` writes it so).
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError for what is no such film."""
        import av

        try:
            film: Any = av.open(str(path))
            stream: Any = film.streams.video[0]
        except (av.FFmpegError, OSError, IndexError) as error:
            raise UsageError(f"{path} cannot be played.", "Train or fetch the replica again.") from error
        self._path = path
        self._file, self._stream = film, stream
        self._stream.codec_context.thread_count = 1
        rate = self._stream.average_rate
        self._ticks = float(1 / (rate * self._stream.time_base))
        self._frames: Iterator[Any] = iter(())
        self._at = -1
        self._shown: Bytes | None = None

    def frame(self, index: int) -> Bytes:
        """A copy of frame `index`, uint8 (height * 3 // 2, width). Raises UsageError where there is none."""
        if self._shown is None or index != self._at:
            if self._shown is None or not self._at < index <= self._at + _FORWARD:
                self._file.seek(round(index * self._ticks), stream=self._stream)
                self._frames = self._file.decode(self._stream)
            self._shown = self._forward_to(index)
            self._at = index
        return self._shown.copy()

    def close(self) -> None:
        self._file.close()

    def _forward_to(self, index: int) -> Bytes:
        import av

        try:
            for picture in self._frames:
                if round(picture.pts / self._ticks) >= index:
                    return np.asarray(picture.to_ndarray(format="yuv420p"), np.uint8)
        except av.FFmpegError as error:
            raise UsageError(f"{self._path} is damaged.", "Train or fetch the replica again.") from error
        raise UsageError(f"{self._path} has no frame {index}.", "Train or fetch the replica again.")
