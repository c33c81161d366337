"""Recorded speech that a film is ordered with: fetched from a client's URL, looked at before it is opened.

What is fetched is opened by libraries that also read play lists, which name other files; so only files that
begin like sound or film are let through.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cvi.endpoints.outbound import OutboundClient
from cvi.errors import CviError

SPEECH_NAME = "speech"
MOST_BYTES = 200 << 20
_HEAD_BYTES = 16
_BEGINNINGS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b"FORM", b"caff", b"\x1aE\xdf\xa3")


class SpeechError(CviError):
    """The recorded speech cannot be used."""


async def fetch_speech(caller: OutboundClient, url: str, folder: Path) -> Path:
    """The file that `url` holds, kept in `folder`; fetched once. Raises `CviError`."""
    path = folder / SPEECH_NAME
    if not await asyncio.to_thread(path.is_file):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        await caller.fetch(url, path, MOST_BYTES)
    await asyncio.to_thread(_check, path)
    return path


def _check(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not is_media(head):
        path.unlink()
        raise SpeechError("audio_url leads to no sound.", "Give wav, mp3, flac, ogg, m4a, mp4 or webm.")


def is_media(head: bytes) -> bool:
    """Whether a file that begins so is sound or film of a kind that names no other files."""
    if head.startswith(_BEGINNINGS) or head[4:8] == b"ftyp":
        return True
    # MPEG audio and AAC without a header of their own: twelve (eleven) set bits.
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
