"""Whose personas, replicas and uploads they are: files, so that their owners stand in a table beside.

A file that nobody claimed belongs to the default owner, as everything does that the command line makes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Literal

from cvi.server.store.database import connect, database_path, transact
from cvi.server.store.keys import DEFAULT_OWNER

Kind = Literal["persona", "replica", "upload"]


class FileOwners:
    """The table and what is known of it; one a server, which is the only one on its data folder.

    `claim` and `disclaim` block: call them on a thread. A file is claimed before it is written.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def load(self) -> None:
        """Read the table; blocks. Raises `CviError` where the database cannot be used."""
        connection = connect(database_path())
        try:
            rows = connection.execute("SELECT kind, name, owner FROM owners").fetchall()
        finally:
            connection.close()
        self._known = {(row["kind"], row["name"]): row["owner"] for row in rows}

    def of(self, kind: Kind, name: str) -> str:
        """Whose a file is."""
        return self._known.get((kind, name), DEFAULT_OWNER)

    def claim(self, kind: Kind, name: str, owner: str, connection: sqlite3.Connection | None = None) -> None:
        """Store whose a file is, in the transaction of `connection` or in one of its own."""

        def store(there: sqlite3.Connection) -> None:
            there.execute(
                "INSERT OR REPLACE INTO owners (kind, name, owner) VALUES (?, ?, ?)", (kind, name, owner)
            )

        self._change(store, connection)
        self._known[kind, name] = owner

    def disclaim(self, kind: Kind, name: str, connection: sqlite3.Connection | None = None) -> None:
        """Forget whose a file was, once it is gone."""
        if (kind, name) not in self._known:
            return

        def forget(there: sqlite3.Connection) -> None:
            there.execute("DELETE FROM owners WHERE kind = ? AND name = ?", (kind, name))

        self._change(forget, connection)
        del self._known[kind, name]

    @staticmethod
    def _change(work: Callable[[sqlite3.Connection], None], connection: sqlite3.Connection | None) -> None:
        if connection is not None:
            work(connection)
            return
        own = connect(database_path())
        try:
            transact(own, work)
        finally:
            own.close()
