"""What a file is, from its bytes first and its name second, and which reader takes it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from cvi.knowledge.reading.blocks import Block, DocumentError

Reader = Callable[[Path], Iterator[Block]]

SUFFIXES = (
    ".pdf .docx .pptx .xlsx .csv .tsv .txt .md .markdown .html .htm .json .jsonl "
    ".png .jpg .jpeg .webp .tiff .bmp"
).split()
"""What a folder is searched for."""
MOST_UNPACKED_BYTES = 400 << 20
MOST_RATIO = 200
"""An Office file that unpacks to more, or by more than this, is a zip bomb; real ones reach about 20."""
_OFFICE = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_READERS = {
    "pdf": "cvi.knowledge.reading.pdf:read_pdf",
    "docx": "cvi.knowledge.reading.office:read_docx",
    "pptx": "cvi.knowledge.reading.office:read_pptx",
    "xlsx": "cvi.knowledge.reading.office:read_xlsx",
    "html": "cvi.knowledge.reading.markup:read_html",
    "md": "cvi.knowledge.reading.markup:read_markdown",
    "csv": "cvi.knowledge.reading.plain:read_csv",
    "json": "cvi.knowledge.reading.plain:read_json",
    "txt": "cvi.knowledge.reading.plain:read_text",
    "picture": "cvi.knowledge.reading.picture:read_picture",
}
_BY_SUFFIX = {
    ".html": "html", ".htm": "html", ".xhtml": "html", ".md": "md", ".markdown": "md", ".csv": "csv",
    ".tsv": "csv", ".json": "json", ".jsonl": "json",
}  # fmt: skip


def kind_of(path: Path) -> str:
    """The format of a file: a key of the readers. Raises DocumentError for what has none."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    if not head.strip():
        raise DocumentError("file_empty", "It is empty.", "Give a file with text in it.")
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _office_kind(path)
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise DocumentError(
            "file_format_unsupported",
            "It is an old or a password-protected Office file.",
            "Save it as .docx, .pptx or .xlsx without a password.",
        )
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if not wide and (b"\0" in head or control > len(head) // 20):
        raise DocumentError(
            "file_format_unsupported",
            f"It is no text and no known format, whatever '{path.suffix or path.name}' says.",
            "Give PDF, Word, PowerPoint, Excel, CSV, text, Markdown, HTML, JSON or a picture.",
        )
    kind = _BY_SUFFIX.get(path.suffix.lower())
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind is None and start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return kind or "txt"


def read(path: Path) -> Iterator[Block]:
    """The blocks of a file, in reading order. Raises DocumentError; a reader's own errors are not caught."""
    module, _, name = _READERS[kind_of(path)].partition(":")
    reader: Reader = getattr(import_module(module), name)
    return reader(path)


def _office_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DocumentError(
            "document_processing_failed", "It is damaged: its archive cannot be opened.", "Save it again."
        ) from error
    unpacked, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if unpacked > MOST_UNPACKED_BYTES or (unpacked > 20 << 20 and unpacked > MOST_RATIO * max(packed, 1)):
        raise DocumentError(
            "file_size_too_large",
            f"It unpacks to {unpacked >> 20} MB from {packed >> 10} kB.",
            "Give a file that is no archive bomb.",
        )
    names = {member.filename for member in members}
    for name, kind in _OFFICE.items():
        if name in names:
            return kind
    raise DocumentError(
        "file_format_unsupported", "It is an archive, and no Office file.", "Unpack it and add the folder."
    )
