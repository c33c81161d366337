"""Word, PowerPoint and Excel files, through python-docx, python-pptx and openpyxl."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import Block, one_line, rows_as_blocks


def read_docx(path: Path) -> Iterator[Block]:
    """Paragraphs, headings and tables in their order. Word files know no pages until they are printed."""
    import docx
    from docx.table import Table

    for item in docx.Document(str(path)).iter_inner_content():
        if isinstance(item, Table):
            yield from rows_as_blocks([[cell.text for cell in row.cells] for row in item.rows], None)
            continue
        text = one_line(item.text)
        if text:
            style = (item.style.name or "") if item.style is not None else ""
            yield Block(text, heading=_level(style))


def _level(style: str) -> int:
    if style == "Title":
        return 1
    found = re.match(r"Heading (\d)", style)
    return min(int(found[1]), 6) if found else 0


def read_pptx(path: Path) -> Iterator[Block]:
    """Titles, texts and tables of each slide, then its notes; the page is the slide's number."""
    import pptx

    for number, slide in enumerate(pptx.Presentation(str(path)).slides, 1):
        title = slide.shapes.title
        if title is not None and one_line(title.text_frame.text):
            yield Block(one_line(title.text_frame.text), number, heading=1)
        for shape in _shapes(slide.shapes):
            if title is not None and shape.shape_id == title.shape_id:
                continue
            if getattr(shape, "has_table", False):
                rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
                yield from rows_as_blocks(rows, number)
            elif shape.has_text_frame:
                texts = (one_line(paragraph.text) for paragraph in shape.text_frame.paragraphs)
                yield from (Block(text, number) for text in texts if text)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = one_line(slide.notes_slide.notes_text_frame.text)
            if notes:
                yield Block(notes, number)


def _shapes(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def read_xlsx(path: Path) -> Iterator[Block]:
    """Each sheet as a table whose first row names its columns; the page is the sheet's number."""
    import openpyxl

    book = openpyxl.load_workbook(str(path), read_only=True, data_only=True)
    try:
        for number, sheet in enumerate(book.worksheets, 1):
            rows = [[_shown(value) for value in row] for row in sheet.iter_rows(values_only=True)]
            yield from rows_as_blocks(rows, number, one_line(sheet.title))
    finally:
        book.close()


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)
