"""What happened and must be stored, in order, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from cvi.server.store.database import Database

Work = Callable[[sqlite3.Connection], Any]

log = logging.getLogger("cvi.server.store")


class WriteQueue:
    """Stores one piece of work after the other, each in a transaction of its own. Event loop only.

    While the database cannot be written the first piece is tried again and the others wait, so that nothing
    is lost and nothing overtakes. A piece that fails for another reason is dropped; the log has its trace.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: asyncio.Queue[tuple[Work, asyncio.Future[None]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def put(self, work: Work) -> asyncio.Future[None]:
        """Store `work` after all that was put before; the future is done once it is stored or dropped."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((work, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store())
        return done

    async def flush(self, within_s: float) -> bool:
        """Wait until all is stored; False where that takes longer than `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await self._waiting.join()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Give up what still waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _store(self) -> None:
        while True:
            work, done = await self._waiting.get()
            try:
                await self._database.write_surely(work)
            except sqlite3.Error:
                log.exception("an event could not be stored")
            finally:
                self._waiting.task_done()
                if not done.done():
                    done.set_result(None)
