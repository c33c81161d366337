"""PDF through pdfplumber: lines in the order of the page's own text, headings by their size, tables by rules.

The order in which a PDF writes its text follows its columns, so it is kept. A page without text is a scan: it
is drawn and read as a picture where text recognition is installed.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import Block, DocumentError, one_line, rows_as_blocks

MOST_PAGES = 5000
SCAN_DPI = 150
HEADING_SIZE = 1.12
"""A short line of letters so much larger than the document's usual ones is a heading."""
_LONGEST_HEADING = 120
_PARAGRAPH_GAP = 0.75
"""A gap between two lines of more than this part of a line's height begins a paragraph."""


@dataclass(slots=True)
class _Line:
    text: str
    top: float
    bottom: float
    left: float
    size: float
    bold: bool


def read_pdf(path: Path) -> Iterator[Block]:
    """The blocks of each page. Raises DocumentError for one that is encrypted, damaged or too long."""
    import pdfplumber
    from pdfminer.pdfdocument import PDFEncryptionError, PDFPasswordIncorrect
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        document = pdfplumber.open(path)
        pages = document.pages
    except (PdfminerException, PDFPasswordIncorrect, PDFEncryptionError, ValueError, KeyError) as error:
        cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
        if isinstance(cause, PDFPasswordIncorrect | PDFEncryptionError):
            raise DocumentError(
                "document_processing_failed", "It is protected by a password.", "Save it without one."
            ) from error
        raise DocumentError("document_processing_failed", "The PDF is damaged.", "Save it again.") from error
    with document:
        if not pages:
            raise DocumentError(
                "document_processing_failed", "The PDF is damaged: it has no pages.", "Save it again."
            )
        if len(pages) > MOST_PAGES:
            raise DocumentError(
                "file_size_too_large", f"It has {len(pages)} pages; {MOST_PAGES} are read.", "Split it."
            )
        usual = _usual_size(pages)
        for number, page in enumerate(pages, 1):
            yield from _page_blocks(page, number, usual)
            page.close()


def _usual_size(pages: Any) -> float:
    sizes: Counter[float] = Counter()
    for page in pages[:5]:
        sizes.update(round(float(char["size"]), 1) for char in page.chars)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _page_blocks(page: Any, number: int, usual: float) -> Iterator[Block]:
    words = page.extract_words(use_text_flow=True, keep_blank_chars=False, extra_attrs=["size", "fontname"])
    if not words:
        if page.images:
            yield from _scan(page, number)
        return
    tables = page.find_tables() if len(page.rects) + len(page.lines) > 3 else []
    boxes = [table.bbox for table in tables if len(table.rows) > 1]
    outside = [word for word in words if not any(_inside(word, box) for box in boxes)]
    yield from _paragraphs(_lines(outside), number, usual)
    for table in tables:
        if len(table.rows) > 1:
            rows = [[cell or "" for cell in row] for row in table.extract()]
            yield from rows_as_blocks(rows, number)


def _inside(word: Any, box: tuple[float, float, float, float]) -> bool:
    x, y = (word["x0"] + word["x1"]) / 2, (word["top"] + word["bottom"]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def _lines(words: list[Any]) -> list[_Line]:
    lines: list[_Line] = []
    for word in words:
        last = lines[-1] if lines else None
        same = (
            last is not None
            and abs(word["bottom"] - last.bottom) < 0.5 * last.size
            and word["x0"] > last.left
        )
        if last is not None and same:
            last.text += f" {word['text']}"
            last.size = max(last.size, float(word["size"]))
            continue
        bold = "bold" in str(word["fontname"]).lower()
        size = float(word["size"])
        lines.append(_Line(word["text"], word["top"], word["bottom"], word["x0"], size, bold))
    return lines


def _paragraphs(lines: list[_Line], number: int, usual: float) -> Iterator[Block]:
    gathered: list[_Line] = []

    def flush() -> Iterator[Block]:
        if not gathered:
            return
        text = _joined(gathered)
        size = statistics.median(line.size for line in gathered)
        large = size >= HEADING_SIZE * usual or (all(line.bold for line in gathered) and size >= usual)
        heading = large and len(text) <= _LONGEST_HEADING and text[-1:] not in ".;,"
        level = (1 if size >= 1.6 * usual else 2 if size >= 1.3 * usual else 3) if heading else 0
        gathered.clear()
        if text:
            yield Block(text, number, heading=level)

    for line in lines:
        if gathered:
            last = gathered[-1]
            gap = line.top - last.bottom
            other_style = abs(line.size - last.size) > 0.5 or line.bold != last.bold
            if other_style or gap > _PARAGRAPH_GAP * last.size or gap < -2 * last.size:
                yield from flush()
        gathered.append(line)
    yield from flush()


def _joined(lines: list[_Line]) -> str:
    text = ""
    for line in lines:
        if text.endswith("-") and line.text[:1].islower():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    return one_line(text)


def _scan(page: Any, number: int) -> Iterator[Block]:
    import numpy as np

    from cvi.knowledge.reading.picture import picture_blocks

    drawn = np.asarray(page.to_image(resolution=SCAN_DPI).original.convert("RGB"))
    yield from picture_blocks(np.ascontiguousarray(drawn[:, :, ::-1]), number)
