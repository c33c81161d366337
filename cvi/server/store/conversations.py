"""Conversations and their events, as the API answers them.

All functions run inside the caller's transaction; all times are Unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.stored_json import readable


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation. Times are Unix seconds; `request` is what it was created with, in our vocabulary."""

    id: str
    name: str
    status: str
    persona_id: str
    replica_id: str
    callback_url: str
    created_at: float
    updated_at: float
    shutdown_reason: str | None = None
    token_digest: bytes | None = field(default=None, repr=False)
    token_expires_at: float | None = None
    request: dict[str, Any] = field(default_factory=dict)
    owner: str = DEFAULT_OWNER


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a conversation: its type in the API's vocabulary, when it was stored, what it says."""

    event_type: str
    at: float
    properties: dict[str, Any]


_COLUMNS = (
    "id, name, status, persona_id, replica_id, callback_url, created_at, updated_at, shutdown_reason, "
    "token_digest, token_expires_at, request, owner"
)


def add_conversation(connection: sqlite3.Connection, row: ConversationRow) -> None:
    """Store a new conversation. Raises sqlite3.IntegrityError for an id that is taken."""
    connection.execute(
        f"INSERT INTO conversations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (our own names)
        (
            row.id,
            row.name,
            row.status,
            row.persona_id,
            row.replica_id,
            row.callback_url,
            row.created_at,
            row.updated_at,
            row.shutdown_reason,
            row.token_digest,
            row.token_expires_at,
            json.dumps(row.request),
            row.owner,
        ),
    )


def get_conversation(
    connection: sqlite3.Connection, conversation_id: str, owner: str | None = None, *, deleted: bool = False
) -> ConversationRow | None:
    """The conversation of this id, and of `owner` unless None; None when there is none, or it was deleted.

    With `deleted` also one that was deleted and not erased.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM conversations "  # noqa: S608 (our own names)
        "WHERE id = ? AND (? IS NULL OR owner = ?) AND deleted <= ?",
        (conversation_id, owner, owner, int(deleted)),
    ).fetchone()
    return None if row is None else _row(row)


def list_conversations(
    connection: sqlite3.Connection, status: str | None, limit: int, offset: int, owner: str | None = None
) -> tuple[list[ConversationRow], int]:
    """A page of conversations, newest first, and how many there are in all.

    Those of one status and of one owner, unless None. A `limit` of -1 is no limit.
    """
    where, values = "deleted = 0", list[Any]()
    for column, wanted in (("status", status), ("owner", owner)):
        if wanted is not None:
            where += f" AND {column} = ?"
            values.append(wanted)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM conversations WHERE {where} ORDER BY created_at DESC, id LIMIT ? OFFSET ?",  # noqa: S608 (our own names)
        (*values, limit, offset),
    )
    found = [_row(row) for row in rows]
    total = connection.execute(f"SELECT count(*) FROM conversations WHERE {where}", values)  # noqa: S608
    return found, int(total.fetchone()[0])


def end_conversation(connection: sqlite3.Connection, conversation_id: str, reason: str, now: float) -> bool:
    """Store that a conversation ended; returns False where it had ended before, which stands."""
    done = connection.execute(
        "UPDATE conversations SET status = 'ended', shutdown_reason = ?, updated_at = ? "
        "WHERE id = ? AND status = 'active'",
        (reason, now, conversation_id),
    )
    return done.rowcount > 0


def delete_conversation(connection: sqlite3.Connection, conversation_id: str, hard: bool) -> None:
    """Hide a conversation; with `hard` erase it, its events, and its webhooks and upload, done or not."""
    if hard:
        connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))
        connection.execute("DELETE FROM jobs WHERE key = ?", (conversation_id,))
    else:
        connection.execute("UPDATE conversations SET deleted = 1 WHERE id = ?", (conversation_id,))


def add_event(
    connection: sqlite3.Connection,
    conversation_id: str,
    event_type: str,
    at: float,
    properties: dict[str, Any],
) -> None:
    """Store an event that happened `at` some time."""
    connection.execute(
        "INSERT INTO events (conversation_id, event_type, at, properties) VALUES (?, ?, ?, ?)",
        (conversation_id, event_type, at, json.dumps(properties)),
    )


def list_events(connection: sqlite3.Connection, conversation_id: str) -> list[StoredEvent]:
    """A conversation's events in the order they were stored."""
    rows = connection.execute(
        "SELECT event_type, at, properties FROM events WHERE conversation_id = ? ORDER BY number",
        (conversation_id,),
    )
    return [
        StoredEvent(row["event_type"], row["at"], readable(row["properties"], conversation_id) or {})
        for row in rows
    ]


def _row(row: sqlite3.Row) -> ConversationRow:
    values = dict(row)
    return ConversationRow(**(values | {"request": readable(values["request"], values["id"]) or {}}))
