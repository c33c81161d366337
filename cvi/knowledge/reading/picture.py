"""Text in pictures, by PP-OCR through rapidocr-onnxruntime (Apache-2.0), where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import Block, DocumentError, one_line

SURE = 0.5
"""Lines recognized with less confidence are left out."""
MOST_PIXELS = 50_000_000
# The package asks for opencv-python, which would lie over the headless build that cvi uses.
INSTALL = "pip install pyclipper shapely six && pip install --no-deps rapidocr-onnxruntime==1.4.4"


def read_picture(path: Path) -> Iterator[Block]:
    """The lines of a picture, from top to bottom."""
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DocumentError("document_processing_failed", "The picture is damaged.", "Save it again.")
    yield from picture_blocks(image, None)


def picture_blocks(image: Any, page: int | None) -> Iterator[Block]:
    """The text in a picture, (height, width, 3) uint8 BGR, as one block. Raises DocumentError."""
    if image.shape[0] * image.shape[1] > MOST_PIXELS:
        raise DocumentError("file_size_too_large", "The picture has too many pixels.", "Make it smaller.")
    found, _ = _engine()(image)
    lines = [one_line(text) for _, text, sure in found or () if float(sure) >= SURE]
    if lines:
        yield Block(" ".join(lines), page)


@lru_cache(maxsize=1)
def _engine() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise DocumentError(
            "file_format_unsupported",
            "It is a picture, and no text recognition is installed.",
            f"Install it with: {INSTALL}",
        ) from error
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
