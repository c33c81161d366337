"""The SQLite file of the server, its migrations, and one thread each for writing and reading it.

The functions of this package take a connection and block. The server runs them through `Database`, so that
the event loop never waits for the disk; the command line through `connect`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from cvi.errors import CviError
from cvi.paths import home
from cvi.threads import NativeThread

T = TypeVar("T")
BUSY_MS = 10_000
"""How long to wait for a writer of another process (`cvi keys`, `cvi webhooks`)."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
"""Between attempts to store what must be stored."""

log = logging.getLogger("cvi.server.store")


def database_path() -> Path:
    """Where the database lies in the data folder."""
    return home() / "cvi.sqlite3"


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, creating or migrating it as needed. Transactions are begun by hand.

    Raises `CviError` when the file cannot be used, or was written by a later version.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made by hand: SQLite's own follows the umask, and its WAL has the file's mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL loses nothing when a process dies, and the last moments at a power cut.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        # What is deleted is overwritten, not only unlinked.
        connection.execute("PRAGMA secure_delete=ON")
        _migrate(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise CviError(
            f"The database {path} cannot be used: {error}.",
            "Move it away, or set CVI_HOME to another folder.",
        ) from error
    return connection


def transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work(connection)` in one transaction, which is rolled back when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:  # raised again
        if connection.in_transaction:  # some faults, a full disk among them, have rolled it back already
            connection.execute("ROLLBACK")
        raise
    return result


def scrub(connection: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the database and empty it: it keeps what was deleted since.

    Outside of a transaction. False where a reader hinders it; then a later call may do it.
    """
    row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return row is not None and int(row[0]) == 0


def _migrations() -> list[tuple[int, str]]:
    folder = files("cvi.server.store") / "migrations"
    found = [
        (int(item.name[:4]), item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".sql")
    ]
    return sorted(found)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    migrations = _migrations()

    def version() -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    if version() > migrations[-1][0]:
        raise CviError(
            f"The database {path} was written by a later version of cvi.", "Update cvi, or set CVI_HOME."
        )
    if version() == migrations[-1][0]:
        return

    def bring_up(locked: sqlite3.Connection) -> None:
        done = version()  # asked again under the lock: another process may have been first
        for number, script in migrations:
            if number > done:
                for statement in _statements(script):
                    locked.execute(statement)
                locked.execute(f"PRAGMA user_version={number}")

    transact(connection, bring_up)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


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
        self.fault: str | None = None
        """Why it could not be written the last time; None when it could."""

    async def open(self) -> None:
        """Connect. Raises `CviError` as `connect` does."""
        self._writer = await self._writing.run(lambda: connect(self.path))
        self._reader = await self._reading.run(lambda: connect(self.path))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` on the writer's thread, in a transaction of its own."""
        writer = self._writer
        assert writer is not None, "open() comes first"
        try:
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
        """See `scrub`. What hinders it now is tried again, a few times."""
        writer = self._writer
        assert writer is not None, "open() comes first"
        for _ in range(5):
            try:
                if await self._writing.run(lambda: scrub(writer)):
                    return
            except sqlite3.OperationalError as error:
                log.warning("the write-ahead log cannot be emptied: %s", error)
            await asyncio.sleep(FIRST_PAUSE_S)

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
