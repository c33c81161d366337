"""API keys and other secrets of the server.

A key is shown once, when it is made; only its digest is stored, and it is revoked by its id. All functions
run inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass

from cvi.errors import UsageError

PREFIX = "cvi_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be listed. `hint` is its beginning; times are Unix seconds."""

    id: str
    name: str
    hint: str
    created_at: float
    revoked_at: float | None


def create_key(connection: sqlite3.Connection, name: str, now: float) -> tuple[ApiKey, str]:
    """Make a key; returns it and its text, which is not stored."""
    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(f"k{secrets.token_hex(4)}", name, text[:8], now, None)
    connection.execute(
        "INSERT INTO api_keys (id, name, hint, digest, created_at) VALUES (?, ?, ?, ?, ?)",
        (key.id, name, key.hint, digest(text), now),
    )
    return key, text


def list_keys(connection: sqlite3.Connection) -> list[ApiKey]:
    """All keys, oldest first, revoked ones too."""
    rows = connection.execute(
        "SELECT id, name, hint, created_at, revoked_at FROM api_keys ORDER BY created_at, id"
    )
    return [ApiKey(*row) for row in rows]


def revoke_key(connection: sqlite3.Connection, key_id: str, now: float) -> None:
    """Refuse requests with this key from now on. Raises `UsageError` for an unknown id."""
    done = connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (now, key_id)
    )
    if done.rowcount == 0:
        raise UsageError(f"There is no key '{key_id}'.", "See them with: cvi keys list")


def find_key(connection: sqlite3.Connection, text: str) -> str | None:
    """The id of the valid key with this text, else None.

    The text is looked up by its digest: as it holds 256 random bits, the time of the lookup reveals nothing
    about a key, and no slow password hash is needed.
    """
    row = connection.execute(
        "SELECT id FROM api_keys WHERE digest = ? AND revoked_at IS NULL", (digest(text),)
    ).fetchone()
    return None if row is None else str(row["id"])


def digest(text: str) -> bytes:
    """The SHA-256 of a secret, under which it is stored; 32 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def server_secret(connection: sqlite3.Connection, name: str) -> str:
    """The secret of this server called `name`: 32 random bytes in base64, made when first asked for."""
    import base64

    fresh = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    connection.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, fresh))
    return str(connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0])
