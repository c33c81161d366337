"""The SQLite file of the server, its migrations, and one thread each for writing and reading it.

The functions of this package take a connection and block. The server runs them through `Database`, so that
the event loop never waits for the disk; the command line through `connect`.
"""

from __future__ import annotations

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


def database_path() -> Path:
    """Where the database lies in the data folder."""
    return home() / "cvi.sqlite3"


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, creating or migrating it as needed. Transactions are begun by hand.

    Raises `CviError` when the file cannot be used, or was written by a later version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL loses nothing when a process dies, and the last moments at a power cut.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        _migrate(connection, path)
        path.chmod(0o600)
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
    except BaseException:  # raised again
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


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

    async def open(self) -> None:
        """Connect. Raises `CviError` as `connect` does."""
        self._writer = await self._writing.run(lambda: connect(self.path))
        self._reader = await self._reading.run(lambda: connect(self.path))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` on the writer's thread, in a transaction of its own."""
        writer = self._writer
        assert writer is not None, "open() comes first"
        return await self._writing.run(lambda: transact(writer, work))

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
