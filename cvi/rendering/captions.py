"""Captions as WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvi.files import write_bytes
from cvi.rendering.recital import Recital, Said

ROW = 42
"""Characters of a row; a caption has at most two."""
LONGEST_S = 6.0
SHORTEST_S = 0.8


@dataclass(frozen=True, slots=True)
class Caption:
    """`text` of one or two rows, shown from `start_s` to `end_s`."""

    text: str
    start_s: float
    end_s: float


def captions(recital: Recital) -> list[Caption]:
    """What is read while it is said; captions do not overlap. Pieces of the same text are one line."""
    found: list[Caption] = []
    for piece in recital.pieces:
        for caption in _of_piece(piece):
            if found and found[-1].end_s > caption.start_s:
                before = found.pop()
                found.append(Caption(before.text, before.start_s, caption.start_s))
            found.append(caption)
    return found


def write_captions(path: Path, recital: Recital) -> None:
    """Write a .vtt whole or not at all."""
    rows = ["WEBVTT", ""]
    for caption in captions(recital):
        rows += [f"{_stamp(caption.start_s)} --> {_stamp(caption.end_s)}", _escaped(caption.text), ""]
    write_bytes(path, "\n".join(rows).encode())


def _of_piece(piece: Said) -> Iterator[Caption]:
    spans = [(word.text_start, word.text_end, word.start_s, word.end_s) for word in piece.words]
    if not spans and piece.text:
        # Without times of its words a line is shared out by its letters.
        share_s = (piece.end_s - piece.start_s) / len(piece.text)
        at = 0
        for word in piece.text.split():
            start = piece.text.index(word, at)
            at = start + len(word)
            spans.append((start, at, start * share_s, at * share_s))
    first = 0
    while first < len(spans):
        last = first
        while last + 1 < len(spans) and _fits(piece.text, spans, first, last + 1):
            last += 1
        begin_s = piece.start_s + spans[first][2]
        end_s = max(piece.start_s + spans[last][3], begin_s + SHORTEST_S)
        end = spans[last + 1][0] if last + 1 < len(spans) else len(piece.text)
        yield Caption(_rows(piece.text[spans[first][0] if first else 0 : end].strip()), begin_s, end_s)
        first = last + 1


def _fits(text: str, spans: list[tuple[int, int, float, float]], first: int, last: int) -> bool:
    long = spans[last][1] - spans[first][0] > 2 * ROW - 4
    return not long and spans[last][3] - spans[first][2] <= LONGEST_S


def _rows(text: str) -> str:
    """Two rows of about the same length where one is not enough."""
    if len(text) <= ROW:
        return text
    blanks = [at for at, character in enumerate(text) if character == " "]
    if not blanks:
        return text
    middle = min(blanks, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _stamp(seconds: float) -> str:
    whole = max(0, round(seconds * 1000))
    return f"{whole // 3600000:02d}:{whole // 60000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
