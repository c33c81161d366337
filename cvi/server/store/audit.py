"""The audit log: who did what, when, from where, and with what result. It holds no content.

All functions run inside the caller's transaction; times are Unix seconds.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

KEEP_S = 90 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. `key_id` is "" for one of this machine without a key; `action` is its method and route,
    `target` the ids in its path but no participant's name, `address` the network address it came from."""

    at: float
    key_id: str
    owner: str
    action: str
    target: str
    status: int
    address: str


_COLUMNS = "at, key_id, owner, action, target, status, address"


def note(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Add an entry."""
    connection.execute(
        f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (our own names)
        (entry.at, entry.key_id, entry.owner, entry.action, entry.target, entry.status, entry.address),
    )


def list_entries(
    connection: sqlite3.Connection, limit: int, owner: str | None = None, key_id: str | None = None
) -> list[AuditEntry]:
    """The newest entries, newest first; of one owner and of one key unless None."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit "  # noqa: S608 (our own names)
        "WHERE (? IS NULL OR owner = ?) AND (? IS NULL OR key_id = ?) ORDER BY number DESC LIMIT ?",
        (owner, owner, key_id, key_id, limit),
    )
    return [AuditEntry(*row) for row in rows]


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Delete the entries from before a moment."""
    connection.execute("DELETE FROM audit WHERE at < ?", (before,))
