"""The SQLite files of the data folder: opened, brought up, written and erased from in one way.

They are in WAL mode and for their owner alone. All functions block; a connection is used by one thread at a
time, and transactions are begun by hand.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cvi.errors import CviError
from cvi.files import private_folder

BUSY_MS = 30_000
"""How long to wait for a writer of another process."""
_MAKING = threading.Lock()
"""So that no other thread has connected to a file before the one that made it has closed it."""


def open_database(
    path: Path, migrations: Sequence[tuple[int, str]], *, what: str, remedy: str, durable: bool = False
) -> sqlite3.Connection:
    """Open a file, made or brought up by `migrations`: numbers that grow, each with its SQL statements.

    In WAL mode nothing is lost when a process dies; with `durable` nothing at a power cut either. Raises
    `CviError` ("`what` PATH cannot be used", `remedy`) for a file that cannot be used, or is of a later
    version.
    """
    try:
        private_folder(path.parent)
        _make(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _bring_up(connection, path, migrations)
    except (sqlite3.Error, OSError) as error:
        raise CviError(f"{what} {path} cannot be used: {error}.", remedy) from error
    return connection


def _make(path: Path) -> None:
    """Make an empty file by hand: SQLite's own follows the umask, and its WAL has the file's mode.

    One that exists is never opened here. Closing it would drop the locks of all this process's connections
    to it (POSIX), and the next other process to close it would remove the write-ahead log under them.
    """
    with _MAKING, suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, rolled back when the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # raised again
        if connection.in_transaction:  # some faults, a full disk among them, have rolled it back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def writing(connection: sqlite3.Connection, what: str) -> Iterator[None]:
    """A `transaction`; where `what` is locked or the disk full, that is a `CviError`."""
    try:
        with transaction(connection):
            yield
    except sqlite3.OperationalError as error:
        raise CviError(
            f"{what} cannot be written: {error}.", "Free some space, or set CVI_HOME to another disk."
        ) from error


def scrub(connection: sqlite3.Connection) -> bool:
    """Rewrite the file and empty its write-ahead log, so that no byte of what was deleted is left.

    `secure_delete` alone overwrites what is deleted, and not its copies in pages that were rearranged before.
    Outside of a transaction; takes time and room on the disk as the whole file does. False where another
    connection or a full disk hinders it; then a later call may do it.
    """
    try:
        connection.execute("VACUUM")
        row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    return row is not None and int(row[0]) == 0


def _bring_up(connection: sqlite3.Connection, path: Path, migrations: Sequence[tuple[int, str]]) -> None:
    newest = migrations[-1][0]
    if _version(connection) == newest:
        return
    with transaction(connection):
        done = _version(connection)  # asked under the lock: another process may have been first
        if done > newest:
            raise CviError(f"{path} was written by a later version of cvi.", "Update cvi, or set CVI_HOME.")
        for number, script in migrations:
            if number > done:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={number}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
