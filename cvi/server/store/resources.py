"""Resources that are stored as JSON documents, by kind and id, each of an owner.

All functions run inside the caller's transaction; `now` is Unix time. Another owner's resource is as one that
does not exist, and a row that cannot be read is left out of lists: it can still be deleted.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.stored_json import readable


@dataclass(frozen=True, slots=True)
class Resource:
    """A stored document. Times are Unix seconds."""

    kind: str
    id: str
    name: str
    created_at: float
    updated_at: float
    document: dict[str, Any]


def new_id(prefix: str) -> str:
    """An id such as `o3f9c…`: the contract's letter and 12 hex digits."""
    return f"{prefix}{secrets.token_hex(6)}"


def add(
    connection: sqlite3.Connection,
    kind: str,
    id: str,
    name: str,
    document: dict[str, Any],
    now: float,
    owner: str = DEFAULT_OWNER,
) -> Resource:
    """Store a new document. Raises sqlite3.IntegrityError where its kind has the id already."""
    connection.execute(
        "INSERT INTO resources (kind, id, name, created_at, updated_at, document, owner) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (kind, id, name, now, now, json.dumps(document), owner),
    )
    return Resource(kind, id, name, now, now, document)


def get(connection: sqlite3.Connection, kind: str, id: str, owner: str = DEFAULT_OWNER) -> Resource | None:
    """The document of this kind, id and owner; None when there is none, or none that can be read."""
    row = connection.execute(
        "SELECT * FROM resources WHERE kind = ? AND id = ? AND owner = ?", (kind, id, owner)
    ).fetchone()
    return None if row is None else _resource(row)


def get_many(
    connection: sqlite3.Connection, kind: str, ids: Sequence[str], owner: str = DEFAULT_OWNER
) -> list[Resource]:
    """Those of the ids that exist, in the order given."""
    found = (get(connection, kind, id, owner) for id in ids)
    return [resource for resource in found if resource is not None]


def every(connection: sqlite3.Connection, kind: str, owner: str = DEFAULT_OWNER) -> list[Resource]:
    """All documents of a kind and owner, newest first."""
    rows = connection.execute(
        "SELECT * FROM resources WHERE kind = ? AND owner = ? ORDER BY created_at DESC, id", (kind, owner)
    )
    return [resource for resource in map(_resource, rows) if resource is not None]


def replace(
    connection: sqlite3.Connection, kind: str, id: str, name: str, document: dict[str, Any], now: float
) -> None:
    """Replace a document and its name; nothing happens when there is none."""
    connection.execute(
        "UPDATE resources SET name = ?, document = ?, updated_at = ? WHERE kind = ? AND id = ?",
        (name, json.dumps(document), now, kind, id),
    )


def remove(connection: sqlite3.Connection, kind: str, id: str, owner: str = DEFAULT_OWNER) -> bool:
    """Delete a document; returns whether there was one."""
    done = connection.execute(
        "DELETE FROM resources WHERE kind = ? AND id = ? AND owner = ?", (kind, id, owner)
    )
    return done.rowcount > 0


def _resource(row: sqlite3.Row) -> Resource | None:
    document = readable(row["document"], f"resource {row['id']}")
    if document is None:
        return None
    return Resource(row["kind"], row["id"], row["name"], row["created_at"], row["updated_at"], document)
