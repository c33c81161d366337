"""Text in a picture, by RapidOCR (PaddleOCR's models on ONNX Runtime, Apache-2.0), where it is installed."""

from __future__ import annotations

from typing import Any, Protocol

from cvi.errors import EngineError, MissingError
from cvi.media.live_picture import Rgb

INSTALL = "pip install --no-deps rapidocr-onnxruntime==1.4.4 pyclipper shapely six"
"""Without its dependencies: it asks for an OpenCV that wants a display and would replace the one here."""
LEAST_SURE = 0.6


class TextReader(Protocol):
    """Reads what is written in a picture. Used by one thread."""

    def read(self, rgb: Rgb) -> list[str]:
        """The lines from top to bottom. Blocks, a second for 1080p. Raises EngineError."""


class RapidOcrReader:
    """The constructor reads the models, a second. Raises MissingError, which says how to install it."""

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise MissingError(
                "Text on a shared screen is not read: RapidOCR is not installed.", INSTALL
            ) from error
        self._ocr: Any = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def read(self, rgb: Rgb) -> list[str]:
        """As `TextReader.read`."""
        try:
            found, _ = self._ocr(rgb[:, :, ::-1], use_cls=False)
        except Exception as error:
            raise EngineError(f"The text reader failed: {error}.", f"Reinstall it: {INSTALL}") from error
        return [str(text) for _, text, sure in found or () if float(sure) >= LEAST_SURE]
