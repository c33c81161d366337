"""Which promises of the server are at risk now: told by `/readyz`, and by one line in the log each time.

What is kept for a time only is forgotten here too.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable

from cvi.errors import CviError
from cvi.memory.store import memory_path, open_memory
from cvi.paths import home
from cvi.server.retention import erase_old_recordings
from cvi.server.store import audit
from cvi.server.store.database import Database

WATCH_EVERY_S = 5.0
LEAST_FREE_BYTES = 64 << 20
"""With less, journals and recordings of running conversations may be cut short."""
SWEEP_EVERY_S = 3600.0

log = logging.getLogger("cvi.server.health")


class Health:
    """Looks every few seconds whether the database can be written and the disk has room. Event loop only."""

    def __init__(self, database: Database, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall
        self._swept_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.low_disk: str | None = None

    @property
    def risks(self) -> list[str]:
        """What is at risk, one sentence each; empty where all is well."""
        fault = self._database.fault
        storing = (
            "The database cannot be written: ends of conversations and webhooks are kept and stored later."
        )
        return [text for text in (fault and storing, self.low_disk) if text]

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Look now."""
        now = self._wall()

        def beat(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO heartbeat (only, at) VALUES (1, ?)", (now,))
            audit.forget(connection, now - audit.KEEP_S)

        try:
            await self._database.write(beat)
            await self._sweep(now)
        except sqlite3.OperationalError:
            pass  # the database has noted it
        free = await asyncio.to_thread(lambda: shutil.disk_usage(home()).free)
        low = f"The disk has {free >> 20} MiB left." if free < LEAST_FREE_BYTES else None
        if low is not None and self.low_disk is None:
            log.error("%s Journals and recordings may be cut short.", low)
        elif low is None and self.low_disk is not None:
            log.warning("the disk has room again")
        self.low_disk = low

    async def _sweep(self, now: float) -> None:
        if now - self._swept_at <= SWEEP_EVERY_S:
            return
        try:
            await erase_old_recordings(self._database, now)
            await asyncio.to_thread(_sweep_memories)
        except (CviError, OSError) as error:
            log.error("what is kept no longer cannot be erased: %s", error)
        self._swept_at = now

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except OSError as error:
                log.error("the disk cannot be looked at: %s", error)
            await asyncio.sleep(WATCH_EVERY_S)


def _sweep_memories() -> None:
    """Opening the file erases what its stores keep no longer. Raises CviError where it cannot be used."""
    if memory_path().exists():
        try:
            open_memory().close()
        except sqlite3.Error as error:
            raise CviError(f"{memory_path()} cannot be used: {error}.", "") from error
