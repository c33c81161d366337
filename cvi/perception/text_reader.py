"""Text in a picture, by RapidOCR (PaddleOCR's models on ONNX Runtime, Apache-2.0), where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cvi.errors import EngineError, MissingError
from cvi.media.live_picture import Rgb

INSTALL = "pip install --no-deps rapidocr-onnxruntime==1.4.4 pyclipper shapely six"
"""Without its dependencies: it asks for an OpenCV that wants a display and would replace the one here."""
LEAST_SURE = 0.6
FOUND_AT = 0.5
"""Lines are looked for in a picture of this share of the size, and read in the whole one."""
FIRST_LINES = 6
"""Told before the rest is read: about as much as the language model is told of a screen."""
_SHRUNK = 4
_CHANGED = 10.0
"""Difference of a pixel of the screen at a quarter of its size, 0..255, from which on it shows something
else."""
_AROUND_PX = 12
"""Read above and below what has changed."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text and the rows of the picture, pixels, in which it stands."""

    text: str
    top: int
    bottom: int


class TextReader(Protocol):
    """Reads what is written in a picture. Used by one thread."""

    def read(self, rgb: Rgb) -> Iterator[list[TextLine]]:
        """The lines from top to bottom, in groups as they are read. Blocks, half a second for a group of
        1080p. Raises EngineError."""


class RapidOcrReader:
    """The constructor reads the models, a second. Raises MissingError, which says how to install it."""

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise MissingError(
                "Text on a shared screen is not read: RapidOCR is not installed.", INSTALL
            ) from error
        self._ocr: Any = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, det_limit_type="max")

    def read(self, rgb: Rgb) -> Iterator[list[TextLine]]:
        """As `TextReader.read`: the first `FIRST_LINES`, then all others."""
        try:
            yield from self._read(np.ascontiguousarray(rgb[:, :, ::-1]))
        except Exception as error:
            raise EngineError(f"The text reader failed: {error}.", f"Reinstall it: {INSTALL}") from error

    def _read(self, bgr: Rgb) -> Iterator[list[TextLine]]:
        import cv2

        small = cv2.resize(bgr, None, fx=FOUND_AT, fy=FOUND_AT, interpolation=cv2.INTER_AREA)
        boxes, _ = self._ocr.auto_text_det(small)
        found = np.asarray([] if boxes is None else boxes, np.float32) / FOUND_AT
        for group in (found[:FIRST_LINES], found[FIRST_LINES:]):
            if len(group):
                texts, _ = self._ocr.text_rec(self._ocr.get_crop_img_list(bgr, group), False)
                yield [
                    TextLine(str(text), int(box[:, 1].min()), int(box[:, 1].max()) + 1)
                    for box, (text, sure) in zip(group, texts, strict=True)
                    if float(sure) >= LEAST_SURE
                ]


class ScreenText:
    """The text of a screen that is looked at again and again: only the rows that have changed are read."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._small: npt.NDArray[np.float32] | None = None
        self._lines: list[TextLine] = []

    def read(self, rgb: Rgb) -> Iterator[list[str]]:
        """The lines from top to bottom, as far as they are read, the last time all of them; nothing where
        nothing has changed. Raises EngineError."""
        small = _shrunk(rgb)
        band = self._changed(small, rgb.shape[0])
        if band is None:
            return
        top, bottom = band
        above = [line for line in self._lines if line.bottom <= top]
        below = [line for line in self._lines if line.top >= bottom]
        read: list[TextLine] = []
        for found in chain(self._reader.read(np.ascontiguousarray(rgb[top:bottom])), ([],)):
            read += [replace(line, top=line.top + top, bottom=line.bottom + top) for line in found]
            self._lines = [*above, *read, *below]
            if found or not read:
                yield [line.text for line in self._lines]
        self._small = small

    def _changed(self, small: npt.NDArray[np.float32], height: int) -> tuple[int, int] | None:
        """The rows that have changed, with all lines that reach into them."""
        if self._small is None or self._small.shape != small.shape:
            self._lines = []
            return 0, height
        rows = np.flatnonzero((np.abs(small - self._small) > _CHANGED).any(axis=1))
        if not len(rows):
            return None
        top = max(int(rows[0]) * _SHRUNK - _AROUND_PX, 0)
        bottom = min((int(rows[-1]) + 1) * _SHRUNK + _AROUND_PX, height)
        return _with_whole_lines(self._lines, top, bottom)


def _with_whole_lines(lines: Sequence[TextLine], top: int, bottom: int) -> tuple[int, int]:
    for line in lines:
        if line.top < bottom and line.bottom > top and (line.top < top or line.bottom > bottom):
            return _with_whole_lines(lines, min(top, line.top), max(bottom, line.bottom))
    return top, bottom


def _shrunk(rgb: Rgb) -> npt.NDArray[np.float32]:
    import cv2

    size = (max(rgb.shape[1] // _SHRUNK, 1), max(rgb.shape[0] // _SHRUNK, 1))
    grey = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.float32)
