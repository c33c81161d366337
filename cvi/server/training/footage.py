"""Films that replicas are made from: uploaded, or fetched from URLs; looked at before they are opened.

They are opened by libraries that also read play lists, which name other files; so only files that begin like
a film are let through. A film lies in a folder of its order's, which goes when the replica is whole, cannot
be, or is deleted.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.paths import home
from cvi.server.answers import HttpProblem

MIB = 1 << 20
MOST_BYTES = 2048 * MIB
"""Half an hour of a phone's 1080p; the pipeline reads no more."""
MOST_UPLOADS = 8
"""That wait for an order at once."""
KEEP_UPLOADS_S = 24 * 3600.0
LEAST_FREE_BYTES = 2048 * MIB
SCHEME = "upload:"
SUFFIXES = (".mp4", ".mkv", ".avi")
_ID = re.compile(r"u[0-9a-f]{32}")
_HEAD_BYTES = 16


class FootageError(CviError):
    """The footage cannot be used."""


def folder_of(replica_id: str) -> Path:
    """Where the films of a replica in the making lie."""
    return home() / "footage" / replica_id


def make_folder(replica_id: str) -> Path:
    """The same, there, and for this user's eyes alone."""
    folder = folder_of(replica_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def film_suffix(head: bytes) -> str | None:
    """The suffix for a file that begins so; None for what is no film, or of a kind that names other files."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return ".mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return ".mkv"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return ".avi"
    return None


def find_film(folder: Path, stem: str) -> Path | None:
    """The film called so in a folder, whatever its kind."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def keep_film(path: Path, folder: Path, stem: str) -> Path:
    """Give what was fetched or uploaded its place; what is no film is removed. Raises `FootageError`."""
    with path.open("rb") as file:
        suffix = film_suffix(file.read(_HEAD_BYTES))
    if suffix is None:
        path.unlink()
        raise FootageError(f"The {stem} is no film.", "Give an mp4, mov, mkv, webm or avi film.")
    return path.rename(folder / f"{stem}{suffix}")


def need_room(bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises `CviError` where the disk has less than so much left."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < bytes:
        raise CviError("The server's disk is nearly full.", "Ask who runs it to make room.")


class Uploads:
    """Films that were sent and wait for an order. `wall` is the time of day in Unix seconds."""

    @staticmethod
    def folder() -> Path:
        return home() / "uploads"

    async def receive(self, pieces: AsyncIterable[bytes], most_bytes: int = MOST_BYTES) -> tuple[str, int]:
        """Keep what comes, whole or not at all; its address (`upload:...`) and how many bytes it has.

        Raises `HttpProblem` for what is no film or too large, and where too many wait; `CviError` for a full
        disk.
        """
        await asyncio.to_thread(self._make_way)
        name = f"u{secrets.token_hex(16)}"
        part = self.folder() / f"{name}.part"
        head, taken = b"", 0
        try:
            with part.open("xb") as file:
                async for piece in pieces:
                    taken += len(piece)
                    if taken > most_bytes:
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
        return f"{SCHEME}{name}", taken

    def find(self, address: str) -> Path:
        """Raises `UsageError` for one that is not here (any more)."""
        name = address.removeprefix(SCHEME)
        path = self.folder() / name
        if not _ID.fullmatch(name) or not path.is_file():
            raise UsageError("There is no such upload (any more).", "Send the film again: POST /v2/uploads.")
        return path

    def remove(self, address: str) -> None:
        """Raises as `find` does."""
        self.find(address).unlink(missing_ok=True)

    def forget_old(self, before: float) -> int:
        """Remove what was sent before a moment, and what was broken off; how many are left."""
        left = 0
        for path in self.folder().glob("u*"):
            # One that was broken off is written to no more; one that comes in is.
            if path.stat().st_mtime < (before if path.suffix == "" else time.time() - 3600.0):
                path.unlink(missing_ok=True)
            else:
                left += 1
        return left

    def _make_way(self) -> None:
        self.folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.forget_old(time.time() - KEEP_UPLOADS_S) >= MOST_UPLOADS:
            told = f"{MOST_UPLOADS} uploads wait for POST /v2/replicas already; use or delete one."
            raise HttpProblem(429, told, "message", {"retry-after": "60"})
        need_room()


def _no_film() -> HttpProblem:
    return HttpProblem(
        400, "This is no film. Send the bytes of an mp4, mov, mkv, webm or avi film as the body."
    )
