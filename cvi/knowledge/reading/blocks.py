"""What reading a document gives, and how it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cvi.errors import CviError


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, list item, heading or row of a table.

    `heading` is its level, 1 to 6, and 0 for anything else. `page` counts from 1: page, slide or sheet; None
    in formats without pages. `url` is the web page it stands on, "" for files. `keep` marks a row, which is
    cut in two only where it is very long.
    """

    text: str
    page: int | None = None
    heading: int = 0
    keep: bool = False
    url: str = ""


class DocumentError(CviError):
    """A document cannot be used. `code` is what the wire contract calls the reason."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


def one_line(text: str) -> str:
    """The text without control characters, every run of blanks a single space."""
    return re.sub(r"[\s\x00-\x1f\x7f\u200b\ufeff]+", " ", text).strip()


def rows_as_blocks(rows: Sequence[Sequence[str]], page: int | None, title: str = "") -> Iterator[Block]:
    """A table, its first row the names of its columns: each row says "column: value; column: value"."""
    table = [[one_line(cell) for cell in row] for row in rows]
    table = [row for row in table if any(row)]
    if title:
        yield Block(title, page, heading=3)
    if len(table) < 2 or len(table[0]) < 2:
        yield from (Block("; ".join(filter(None, row)), page, keep=True) for row in table)
        return
    names, *body = table
    for row in body:
        cells = [
            f"{name}: {cell}" if name and name != cell else cell
            for name, cell in zip([*names, *[""] * len(row)], row, strict=False)
            if cell
        ]
        yield Block("; ".join(cells), page, keep=True)
