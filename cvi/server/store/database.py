"""The SQLite file of the server, its migrations, a thread each for writing and reading, and a write queue.

The functions of this package take a connection and block. The server runs them through `Database`, so that
the event loop never waits for the disk; the command line through `connect`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from cvi.database import open_database, scrub, transaction
from cvi.paths import home
from cvi.threads import NativeThread

T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
"""Between attempts to store what must be stored."""

log = logging.getLogger("cvi.server.store")


def database_path() -> Path:
    """Where the database lies in the data folder."""
    return home() / "cvi.sqlite3"


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, creating or migrating it as needed. Raises `CviError` as `open_database` does."""
    remedy = "Move it away, or set CVI_HOME to another folder."
    return open_database(path, _migrations(), what="The database", remedy=remedy)


def transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work(connection)` in one transaction, which is rolled back when it raises."""
    with transaction(connection):
        return work(connection)


def _migrations() -> list[tuple[int, str]]:
    folder = files("cvi.server.store") / "migrations"
    found = [
        (int(item.name[:4]), item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".sql")
    ]
    return sorted(found)


class Database:
    """The server's two connections, one on a thread that writes, one on a thread that reads.

    Called from the event loop; `open` it first, `close` it last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = NativeThread("store-write")
        self._reading = NativeThread("store-read")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._scrubbing = asyncio.Lock()
        self._scrub_asked = self._scrub_done = 0
        self.fault: str | None = None
        """Why it could not be written the last time; None when it could."""

    async def open(self) -> None:
        """Connect. Raises `CviError` as `connect` does."""
        self._writer = await self._writing.run(lambda: connect(self.path))
        self._reader = await self._reading.run(lambda: connect(self.path))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` on the writer's thread, in a transaction of its own.

        Raises sqlite3.OperationalError where the database cannot be written now, a damaged file included.
        """
        writer = self._writer
        assert writer is not None, "open() comes first"
        try:
            with _damage_is_operational():
                result = await self._writing.run(lambda: transact(writer, work))
        except sqlite3.OperationalError as error:
            self._noted(str(error))
            raise
        self._noted(None)
        return result

    async def write_surely(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `write`, again and again with growing pauses while the database cannot be written.

        For what has happened already and must be accounted for. Raises what `work` itself raises.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self.write(work)
            except sqlite3.OperationalError:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def scrub(self) -> None:
        """See `scrub`. Calls that wait share one; what hinders it now is tried again, a few times."""
        writer = self._writer
        assert writer is not None, "open() comes first"
        self._scrub_asked = mine = self._scrub_asked + 1
        async with self._scrubbing:
            if self._scrub_done >= mine:
                return
            asked = self._scrub_asked
            for _ in range(5):
                if await self._writing.run(lambda: scrub(writer)):
                    self._scrub_done = asked
                    return
                await asyncio.sleep(FIRST_PAUSE_S)
        log.warning("what was deleted may still lie in the database's file: it could not be rewritten")

    def _noted(self, fault: str | None) -> None:
        if fault != self.fault:
            if fault is not None:
                log.error("the database cannot be written: %s; what happened is kept and stored later", fault)
            else:
                log.warning("the database can be written again")
            self.fault = fault

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` on the reader's thread; it sees everything committed before the call."""
        reader = self._reader
        assert reader is not None, "open() comes first"
        with _damage_is_operational():
            return await self._reading.run(lambda: work(reader))

    async def close(self) -> None:
        """Wait for what is being written, then close both connections."""
        if self._writer is not None:
            await self._writing.run(self._writer.close)
        if self._reader is not None:
            await self._reading.run(self._reader.close)
        self._writer = self._reader = None
        self._writing.close()
        self._reading.close()


@contextmanager
def _damage_is_operational() -> Iterator[None]:
    """SQLite's plain DatabaseError says that the file is damaged, or no database any more; its children, but
    for OperationalError, that a statement is at fault."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:
            raise sqlite3.OperationalError(str(error)) from error
        raise


Work = Callable[[sqlite3.Connection], Any]


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
