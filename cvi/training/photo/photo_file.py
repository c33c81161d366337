"""Reading a photo: which files are one, how large it may be, and its pixels upright."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from cvi.errors import UsageError
from cvi.training.footage.reader import Rgb

MOST_BYTES = 64 << 20
MOST_PIXELS = 100_000_000
LARGEST_SIDE_PX = 2560
"""Larger photos are scaled down: this is 1.3 times the width of a 1080p frame."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff")
_HEAD = 32
_NO_JPEG = "Save it as JPEG or PNG and give that."


def is_photo(path: Path) -> bool:
    """Whether a file is a picture by its content or its name."""
    if not path.is_file():
        return path.suffix.lower() in _SUFFIXES
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        head = b""  # reading it raises the reason
    return _kind(head) is not None or path.suffix.lower() in _SUFFIXES


def read_photo(path: Path) -> Rgb:
    """The photo upright, uint8 RGB (h, w, 3), its longer side at most `LARGEST_SIDE_PX`.

    Transparent parts become grey. Raises UsageError for a file that is no JPEG, PNG or WebP, is damaged, or
    is too large.
    """
    import cv2

    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path.")
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES >> 20} MB.", _NO_JPEG)
    data = path.read_bytes()
    kind = _kind(data[:_HEAD])
    if kind in ("heic", "gif", "bmp", "tiff"):
        raise UsageError(f"{path} is a {kind.upper()} picture, which cannot be read.", _NO_JPEG)
    size = None if kind is None else picture_size(data)
    if size is None:
        raise UsageError(f"{path} is not a picture that can be read.", "Give a JPEG, PNG or WebP file.")
    if size[0] * size[1] > MOST_PIXELS:
        raise UsageError(
            f"{path} has {size[0]} x {size[1]} pixels.", f"At most {MOST_PIXELS // 1_000_000} million."
        )
    try:
        # Applies the EXIF orientation.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if kind != "jpeg" else None
    except cv2.error as error:
        raise UsageError(f"{path} cannot be decoded ({error.err}).", "Save it anew as JPEG.") from error
    if picture is None:
        raise UsageError(f"{path} is damaged.", "Fetch or save it again.")
    if whole is not None and whole.ndim == 3 and whole.shape[2] == 4 and whole.shape[:2] == picture.shape[:2]:
        top = np.float32(np.iinfo(whole.dtype).max)
        seen = whole[..., 3:].astype(np.float32) / top
        picture = np.asarray(picture * seen + 128 * (1 - seen), np.uint8)
    longest = max(picture.shape[:2])
    if longest > LARGEST_SIDE_PX:
        scale = LARGEST_SIDE_PX / longest
        small = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header of a JPEG, PNG or WebP, without decoding; None for other data."""
    try:
        return {"png": _png, "jpeg": _jpeg, "webp": _webp}[_kind(data[:_HEAD]) or ""](data)
    except (KeyError, struct.error, IndexError):
        return None


def _kind(head: bytes) -> str | None:
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"heim"):
        return "heic"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"BM"):
        return "bmp"
    return "tiff" if head.startswith((b"II*\x00", b"MM\x00*")) else None


def _png(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack(">II", data[16:24])
    return (width, height) if width and height else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """From the frame header (ITU-T T.81, B.2.2), segment by segment."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return (width, height) if width and height else None
        if marker in (0x01, *range(0xD0, 0xDA)):
            return None
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """From the three kinds of chunk a file can begin with (RFC 9649)."""
    if len(data) < 30:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        return width, 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
