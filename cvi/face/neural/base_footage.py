"""The base film of a trained replica: frames in any order, fitted to the output size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.planes import Bytes, Planes, check_size

_FORWARD = 12
"""A frame at most so far ahead is reached by decoding, not by seeking: about half a key frame interval."""


class BaseFilm:
    """Random access to the frames of a film; access in order is cheap. One thread at a time.

    The film must have a constant frame rate and no reordered frames, as training writes it.
    """

    def __init__(self, path: Path) -> None:
        """Open the film. Raises UsageError for a file that cannot be played."""
        import av

        try:
            film: Any = av.open(str(path), format="mp4")
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
        self._last: Bytes | None = None

    def frame(self, index: int) -> Bytes:
        """A copy of frame `index`, I420 (height * 3 // 2, width). Raises UsageError where there is none."""
        if self._last is None or index != self._at:
            if self._last is None or not self._at < index <= self._at + _FORWARD:
                self._file.seek(round(index * self._ticks), stream=self._stream)
                self._frames = self._file.decode(self._stream)
            self._last = self._forward_to(index)
            self._at = index
        return self._last.copy()

    def close(self) -> None:
        """Close the file."""
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


_MOST_CUT = 1.34
"""Ratio of aspect ratios up to which the output is filled and the overhang cut; beyond it the sides are
blurred."""
_SIDES_BLUR = 0.03
_SIDES_LEVEL = 0.62


class Framing:
    """Fits frames of the footage's size to the output size; frames of the same size pass through
    unchanged."""

    def __init__(self, native: tuple[int, int], width: int, height: int, focus: tuple[float, float]) -> None:
        """`native`: width and height of the footage; `focus`: the middle of the face in it, pixels.

        Raises UsageError for a frame size that no engine draws.
        """
        check_size(width, height)
        self.width, self.height = width, height
        self.same = native == (width, height)
        across, down = width / native[0], height / native[1]
        fills = max(across, down) / min(across, down) <= _MOST_CUT
        scale = max(across, down) if fills else min(across, down)
        self._from = _window(native, (width / scale, height / scale), focus)
        cut_width, cut_height = self._from[2:]
        size = _even(min(cut_width * scale, width)), _even(min(cut_height * scale, height))
        self._to = (_even((width - size[0]) / 2), _even((height - size[1]) / 2), *size)
        self._how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        self._sides: Bytes | None = None

    def fit(self, frame: Bytes) -> Bytes:
        """An I420 frame in output size; the frame itself where the sizes agree."""
        if self.same:
            return frame
        if self._to[2:] == (self.width, self.height):
            shown = np.empty((self.height * 3 // 2, self.width), np.uint8)
        else:
            if self._sides is None:
                self._sides = self._soft_sides(frame)
            shown = self._sides.copy()
        x, y, width, height = self._from
        left, top, wide, high = self._to
        for index, (target, source) in enumerate(zip(Planes.of(shown), Planes.of(frame), strict=True)):
            step = 1 if index == 0 else 2
            part = source[y // step : (y + height) // step, x // step : (x + width) // step]
            place = target[top // step : (top + high) // step, left // step : (left + wide) // step]
            fitted = cv2.resize(part, (wide // step, high // step), interpolation=self._how)
            # Cubic interpolation overshoots at sharp edges.
            np.clip(fitted, 16, 235 if step == 1 else 240, out=place)
        return shown

    def _soft_sides(self, frame: Bytes) -> Bytes:
        """The first frame, enlarged, dim and out of focus; used behind all frames."""
        sides = np.empty((self.height * 3 // 2, self.width), np.uint8)
        for index, (target, source) in enumerate(zip(Planes.of(sides), Planes.of(frame), strict=True)):
            step = 1 if index == 0 else 2
            grown = max(target.shape[1] / source.shape[1], target.shape[0] / source.shape[0])
            size = (
                max(round(source.shape[1] * grown), target.shape[1]),
                max(round(source.shape[0] * grown), target.shape[0]),
            )
            large = cv2.resize(source, size, interpolation=cv2.INTER_LINEAR)
            left, top = (size[0] - target.shape[1]) // 2, (size[1] - target.shape[0]) // 2
            cut = large[top : top + target.shape[0], left : left + target.shape[1]]
            soft = cv2.GaussianBlur(cut, (0, 0), _SIDES_BLUR * self.height / step)
            if index == 0:
                soft = np.clip(16 + (soft.astype(np.float32) - 16) * _SIDES_LEVEL, 16, 235).astype(np.uint8)
            target[:] = soft
        return sides


def _window(
    native: tuple[int, int], wanted: tuple[float, float], focus: tuple[float, float]
) -> tuple[int, int, int, int]:
    """left, top, width, height of the part that is shown: even, inside the footage, around the focus."""
    width, height = (_even(min(want, side)) for want, side in zip(wanted, native, strict=True))
    left = _even(min(max(focus[0] - width / 2, 0), native[0] - width))
    # A face sits above the middle of a good picture.
    top = _even(min(max(focus[1] - 0.45 * height, 0), native[1] - height))
    return left, top, width, height


def _even(value: float) -> int:
    return int(value // 2 * 2)
