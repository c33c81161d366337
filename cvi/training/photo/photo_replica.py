"""One photo -> a replica: read, checked, with consent, stored. Takes a second or two; interrupted, it
leaves nothing. Also which files are a photo, how large it may be, and its pixels upright.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.errors import CviError, UsageError
from cvi.face.photo.rig import PHOTO, RIG, rig_bytes
from cvi.face.replica import free_folder
from cvi.files import sha256_of, write_bytes
from cvi.perception.face_detection import FaceTracker
from cvi.perception.face_mesh import build_tracker
from cvi.training.footage.reader import Rgb
from cvi.training.package.consent import consent_file, give_consent, save_consent
from cvi.training.package.export import ReplicaDescription, write_card
from cvi.training.photo.photo_face import find_face, read_face

LIMITS = (
    "It talks, blinks, smiles a little, looks aside and turns its head by a few degrees, and no further; "
    "teeth and tongue are painted, not the person's; hair, glasses and hands do not move of their own."
)
"""The limits of a replica of one photo, for the user."""


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """`consent` is the wording, or the path of a text or film of it, given by `consent_by` where it does not
    say who; `voices` by engine suit the person; `glasses`: the person wears them."""

    photo: Path
    name: str
    consent: str
    consent_by: str | None = None
    voices: dict[str, str] | None = None
    glasses: bool = False


@dataclass(frozen=True, slots=True)
class PhotoReplica:
    """The replica's folder, and notes on what the photo's quality will show."""

    folder: Path
    notes: tuple[str, ...]


def make_photo_replica(
    request: PhotoRequest, tracker: Callable[[], FaceTracker] = build_tracker
) -> PhotoReplica:
    """Make and store the replica. Raises UsageError for an unsuitable photo, a name that is taken, or a
    missing consent; MissingError without the face tracker; CviError where the disk refuses."""
    import cv2

    folder = free_folder(request.name)
    picture = read_photo(request.photo)
    source = sha256_of(request.photo)
    consent = give_consent(request.consent, source, who=request.consent_by)
    face_tracker = tracker()
    try:
        face = find_face(picture, face_tracker)
    finally:
        face_tracker.close()
    rig = read_face(picture, face.landmarks, request.glasses)
    # Encoding it again drops the camera's metadata, such as place and time.
    written, png = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not written:
        raise CviError("The photo cannot be stored.", "Give it as an 8-bit JPEG.")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        write_bytes(part / PHOTO, png.tobytes())
        write_bytes(part / RIG, rig_bytes(rig))
        film = consent_file(request.consent) if consent.kind == "film" else None
        names = [PHOTO, RIG, *save_consent(consent, part, film)]
        photo = {"file": request.photo.name, "sha256": source, "path": str(request.photo.absolute())}
        description = ReplicaDescription(
            name=request.name,
            kind="photo",
            renderer="photo",
            source=f"made of {request.photo.name}",
            text="Made of one photo.",
            voices=request.voices or {},
            facts={"photo": photo, "limits": LIMITS, "notes": list(face.notes)},
        )
        write_card(part, description, names)
        part.rename(folder)
    except OSError as error:
        raise CviError(
            f"The replica cannot be stored in {folder}: {error.strerror or error}.", "Free some space."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return PhotoReplica(folder, face.notes)


def refuse_training_options(given: dict[str, object]) -> None:
    """Raises UsageError where one of `given` (option -> value) is set that only footage uses."""
    used = [name for name, value in given.items() if value]
    if used:
        raise UsageError(
            f"{' and '.join(used)}: only training from footage uses it, and this is a photo.",
            "Leave it out, or give a film.",
        )


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
