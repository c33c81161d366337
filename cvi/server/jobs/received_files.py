"""Files that clients upload or have fetched: checked by their first bytes before any library opens them.

Libraries that open media also read play lists, which name other files; so only files that begin like a film
or like sound are accepted. The films of a replica in training lie in a folder of its own, which is removed
when the replica is whole, cannot be made, or is deleted.
"""

from __future__ import annotations

import asyncio
import copy
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable
from contextlib import suppress
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.files import private, private_folder
from cvi.paths import home
from cvi.server.contract import HttpProblem
from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.owners import FileOwners

MIB = 1 << 20
MOST_FILM_BYTES = 2048 * MIB
"""Half an hour of a phone's 1080p; the training pipeline reads no more."""
MOST_UPLOADS = 8
"""How many may wait for an order at once."""
KEEP_UPLOADS_S = 24 * 3600.0
BROKEN_OFF_S = 3600.0
"""An upload that was not written to for so long was broken off."""
LEAST_FREE_BYTES = 2048 * MIB
UPLOAD_SCHEME = "upload:"
FILM_SUFFIXES = (".mp4", ".mkv", ".avi")
_UPLOAD_ID = re.compile(r"u[0-9a-f]{32}")
_HEAD_BYTES = 16
_MATROSKA = b"\x1aE\xdf\xa3"
_SOUND_HEADS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b"FORM", b"caff", _MATROSKA)


class FootageError(CviError):
    """The footage cannot be used."""


def footage_folder(replica_id: str) -> Path:
    """Where the films of a replica in training lie."""
    return home() / "footage" / replica_id


def make_footage_folder(replica_id: str) -> Path:
    """Create `footage_folder`, readable by this user alone, if it is missing; returns it."""
    folder = footage_folder(replica_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def film_suffix(head: bytes) -> str | None:
    """The suffix for a film whose file begins with `head`; None for what is no film that can be accepted."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return ".mp4"
    if head.startswith(_MATROSKA):
        return ".mkv"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return ".avi"
    return None


def is_media(path: Path) -> bool:
    """Whether a file begins like sound or film of a kind that names no other files."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_SOUND_HEADS) or head[4:8] == b"ftyp":
        return True
    # MPEG audio and AAC without a header of their own: twelve (eleven) set bits.
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def find_film(folder: Path, stem: str) -> Path | None:
    """The film of this name in a folder, whatever its kind."""
    return next((path for suffix in FILM_SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def keep_film(path: Path, folder: Path, stem: str) -> Path:
    """Move a fetched or uploaded film to `folder` as `stem` with its suffix; returns where it is.

    Raises `FootageError` for what is no film, after removing it.
    """
    with path.open("rb") as file:
        suffix = film_suffix(file.read(_HEAD_BYTES))
    if suffix is None:
        path.unlink()
        raise FootageError(f"The {stem} is no film.", "Give an mp4, mov, mkv, webm or avi film.")
    return path.rename(folder / f"{stem}{suffix}")


def need_free_space(bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises `CviError` where the disk has less space left than so much."""
    folder = home()
    private_folder(folder)
    if shutil.disk_usage(folder).free < bytes:
        raise CviError("The server's disk is nearly full.", "Ask who runs it to make room.")


class Uploads:
    """Films that were sent and wait for an order, each under an address such as `upload:u3f9c...`."""

    def __init__(self, owners: FileOwners) -> None:
        self._owners = owners
        self._owner: str | None = None
        self._arriving: dict[str, int] = {}

    def seen_by(self, owner: str) -> Uploads:
        """The uploads of one owner."""
        seen = copy.copy(self)
        seen._owner = owner
        return seen

    @staticmethod
    def folder() -> Path:
        """Where they lie."""
        return home() / "uploads"

    async def receive(
        self, pieces: AsyncIterable[bytes], most_bytes: int = MOST_FILM_BYTES
    ) -> tuple[str, int]:
        """Store a film, whole or not at all; returns its address and its size in bytes.

        Raises `HttpProblem` for what is no film or too large, and where too many wait; `CviError` for a full
        disk.
        """
        owner = self._owner or DEFAULT_OWNER
        # Counted before anything is awaited, so that many at once are not more than the limit.
        self._arriving[owner] = self._arriving.get(owner, 0) + 1
        try:
            return await self._receive(pieces, most_bytes, owner)
        finally:
            self._arriving[owner] -= 1

    async def _receive(self, pieces: AsyncIterable[bytes], most_bytes: int, owner: str) -> tuple[str, int]:
        await asyncio.to_thread(self._make_room, owner)
        name = f"u{secrets.token_hex(16)}"
        await asyncio.to_thread(self._owners.claim, "upload", name, owner)
        part = self.folder() / f"{name}.part"
        head, size = b"", 0
        try:
            with open(part, "xb", opener=private) as file:  # noqa: ASYNC230 (opened once, on a local disk)
                async for piece in pieces:
                    size += len(piece)
                    if size > most_bytes:
                        raise HttpProblem(413, f"The film is larger than {most_bytes} bytes.")
                    if len(head) < _HEAD_BYTES:
                        head += piece[:_HEAD_BYTES]
                        if len(head) >= _HEAD_BYTES and film_suffix(head) is None:
                            raise _no_film()
                    await asyncio.to_thread(file.write, piece)
            if film_suffix(head) is None:
                raise _no_film()
            part.rename(self.folder() / name)
        except OSError as error:
            raise CviError("The film cannot be kept: the server's disk refuses.", "") from error
        finally:
            part.unlink(missing_ok=True)
        return f"{UPLOAD_SCHEME}{name}", size

    def find(self, address: str) -> Path:
        """The file at an address. Raises `UsageError` for one that is not here (any more)."""
        name = address.removeprefix(UPLOAD_SCHEME)
        path = self.folder() / name
        mine = self._owner is None or self._owners.of("upload", name) == self._owner
        if not _UPLOAD_ID.fullmatch(name) or not mine or not path.is_file():
            raise UsageError("There is no such upload (any more).", "Send the film again: POST /v2/uploads.")
        return path

    def remove(self, address: str) -> None:
        """Delete an upload. Raises as `find` does."""
        self.find(address).unlink(missing_ok=True)

    @staticmethod
    def forget_old(before: float) -> list[str]:
        """Delete what was sent before Unix time `before` and what was broken off; returns the names left."""
        left = []
        for path in Uploads.folder().glob("u*"):
            oldest = before if path.suffix == "" else time.time() - BROKEN_OFF_S
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
                elif path.suffix == "":
                    left.append(path.name)
        return left

    def _make_room(self, owner: str) -> None:
        self.folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        waiting = self.forget_old(time.time() - KEEP_UPLOADS_S)
        whole = sum(self._owners.of("upload", name) == owner for name in waiting)
        if whole + self._arriving[owner] > MOST_UPLOADS:
            message = f"{MOST_UPLOADS} uploads wait for POST /v2/replicas already; use or delete one."
            raise HttpProblem(429, message, "message", {"retry-after": "60"})
        need_free_space()


def _no_film() -> HttpProblem:
    text = "This is no film. Send the bytes of an mp4, mov, mkv, webm or avi film as the body."
    return HttpProblem(400, text)
