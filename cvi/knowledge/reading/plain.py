"""Plain text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import Block, DocumentError, one_line, rows_as_blocks

_TITLE_CHARACTERS = 80


def decoded(path: Path) -> str:
    """A file's text, whatever its encoding. Raises DocumentError where it has none."""
    data = path.read_bytes()
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(data[:200_000]).best()
    if best is None:
        raise DocumentError("file_format_unsupported", "Its text cannot be decoded.", "Save it as UTF-8.")
    return data.decode(best.encoding, errors="replace")


def read_text(path: Path) -> Iterator[Block]:
    """Paragraphs are parted by blank lines; a short line alone without a final stop is a heading."""
    for part in re.split(r"\n\s*\n", decoded(path).replace("\r\n", "\n").replace("\r", "\n")):
        text = one_line(part)
        if not text:
            continue
        lines = part.strip().splitlines()
        title = len(lines) == 1 and len(text) <= _TITLE_CHARACTERS and text[-1] not in ".!?…:;,。！？"
        yield Block(text, heading=2 if title else 0)


def read_csv(path: Path) -> Iterator[Block]:
    """A table whose first row names its columns."""
    text = decoded(path)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(1 << 20)
    try:
        rows = list(csv.reader(io.StringIO(text), dialect))
    except csv.Error as error:
        raise DocumentError(
            "document_processing_failed", f"It is no table: {error}.", "Save it again."
        ) from error
    yield from rows_as_blocks(rows, None)


def read_json(path: Path) -> Iterator[Block]:
    """One object after the other as "name: value" pairs; outer names become headings."""
    text = decoded(path)
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise DocumentError(
                "document_processing_failed", f"It is no JSON: {error}.", "Correct it, or save it as text."
            ) from error
    yield from _json_blocks(value, 1)


def _json_blocks(value: Any, level: int) -> Iterator[Block]:
    if isinstance(value, dict):
        plain = {name: each for name, each in value.items() if not isinstance(each, dict | list)}
        lists = {
            name: each
            for name, each in value.items()
            if isinstance(each, list) and not any(isinstance(item, dict | list) for item in each)
        }
        pairs = [f"{name}: {_shown(each)}" for name, each in plain.items() if each not in (None, "")]
        pairs += [f"{name}: {', '.join(map(_shown, each))}" for name, each in lists.items() if each]
        if pairs:
            yield Block(one_line("; ".join(pairs)), keep=True)
        for name, each in value.items():
            if name not in plain and name not in lists and each:
                yield Block(one_line(str(name)).replace("_", " "), heading=min(level, 6))
                yield from _json_blocks(each, level + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _json_blocks(each, level)
    elif value not in (None, ""):
        yield Block(one_line(_shown(value)))


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
