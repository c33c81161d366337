"""A small picture of each replica, drawn once by a process of its own and kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from cvi.paths import home
from cvi.server.replicas.shelf import ShelvedReplica

DRAW = (sys.executable, "-m", "cvi.server.replicas.portrait")
DRAWN_WITHIN_S = 60.0

log = logging.getLogger("cvi.server.replicas")


class Portraits:
    """One is drawn at a time, so that conversations keep the machine. Event loop only."""

    def __init__(self, draw: tuple[str, ...] = DRAW) -> None:
        self._draw = draw
        self._drawing = asyncio.Lock()
        self._process: Process | None = None

    @staticmethod
    def path(replica: ShelvedReplica) -> Path:
        return home() / "thumbnails" / f"{replica.name}-{replica.fingerprint}.jpg"

    async def get(self, replica: ShelvedReplica) -> Path | None:
        """The picture's file; None when it cannot be drawn."""
        path = self.path(replica)
        async with self._drawing:
            if not await asyncio.to_thread(path.is_file):
                await self._make(replica, path)
        return path if await asyncio.to_thread(path.is_file) else None

    async def _make(self, replica: ShelvedReplica, path: Path) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._draw, str(replica.folder), str(path), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
        try:
            async with asyncio.timeout(DRAWN_WITHIN_S):
                _, told = await self._process.communicate()
        except TimeoutError:
            told = b"it took too long"
        finally:
            await self.stop()
        if self._process.returncode != 0:
            log.warning("no thumbnail: %s", told.decode("utf-8", "replace").strip()[-300:])

    async def stop(self) -> None:
        """Break off what is being drawn."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
