"""API keys and other secrets of the server.

A key is shown once, when it is made; only its digest is stored, and it is revoked by its id. It belongs to an
owner, whose things alone it reaches, and has scopes, which say what it may do with them. All functions run
inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from cvi.errors import UsageError

PREFIX = "cvi_"
SCOPES = ("read", "converse", "admin")
"""What a key may do: read; hold conversations and see them; change and delete, which includes the others."""
DEFAULT_OWNER = "default"
"""Who runs the server: owns what was there before there were owners, and what the command line makes."""
USED_WITHIN_S = 60.0
"""How exactly the last use of a key is kept."""
_OWNER = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be listed. `hint` is its beginning; times are Unix seconds."""

    id: str
    name: str
    hint: str
    created_at: float
    revoked_at: float | None
    owner: str = DEFAULT_OWNER
    scopes: tuple[str, ...] = SCOPES
    last_used_at: float | None = None

    def may(self, scope: str) -> bool:
        """Whether it has a scope; admin includes the others."""
        return scope in self.scopes or "admin" in self.scopes


_COLUMNS = "id, name, hint, created_at, revoked_at, owner, scopes, last_used_at"


def create_key(
    connection: sqlite3.Connection,
    name: str,
    now: float,
    *,
    owner: str = DEFAULT_OWNER,
    scopes: Iterable[str] = SCOPES,
) -> tuple[ApiKey, str]:
    """Make a key; returns it and its text, which is not stored. Raises `UsageError`."""
    wanted = set(scopes)
    if not wanted or not wanted <= set(SCOPES):
        raise UsageError("A key has one scope at least.", f"Scopes are {', '.join(SCOPES)}.")
    if not _OWNER.fullmatch(owner):
        raise UsageError(
            f"'{owner[:80]}' is no name of an owner.", "Use up to 63 small letters, digits and . _ @ -"
        )
    text = PREFIX + secrets.token_urlsafe(32)
    kept = tuple(scope for scope in SCOPES if scope in wanted)
    key = ApiKey(f"k{secrets.token_hex(4)}", name, text[:8], now, None, owner, kept)
    connection.execute(
        "INSERT INTO api_keys (id, name, hint, digest, created_at, owner, scopes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.id, name, key.hint, digest(text), now, owner, " ".join(kept)),
    )
    return key, text


def list_keys(connection: sqlite3.Connection) -> list[ApiKey]:
    """All keys, oldest first, revoked ones too."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, id")  # noqa: S608 (our own)
    return [_key(row) for row in rows]


def revoke_key(connection: sqlite3.Connection, key_id: str, now: float) -> None:
    """Refuse requests with this key from now on. Raises `UsageError` for an unknown id."""
    done = connection.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (now, key_id)
    )
    if done.rowcount == 0:
        raise UsageError(f"There is no key '{key_id}'.", "See them with: cvi keys list")


def find_key(connection: sqlite3.Connection, text: str) -> ApiKey | None:
    """The valid key with this text, else None.

    The text is looked up by its digest: as it holds 256 random bits, the time of the lookup reveals nothing
    about a key, and no slow password hash is needed.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM api_keys WHERE digest = ? AND revoked_at IS NULL",  # noqa: S608 (our own)
        (digest(text),),
    ).fetchone()
    return None if row is None else _key(row)


def note_use(connection: sqlite3.Connection, key_id: str, now: float) -> None:
    """Store when a key was last used, to `USED_WITHIN_S`."""
    connection.execute(
        "UPDATE api_keys SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, 0) < ?",
        (now, key_id, now - USED_WITHIN_S),
    )


def _key(row: sqlite3.Row) -> ApiKey:
    values = dict(row)
    return ApiKey(**(values | {"scopes": tuple(values["scopes"].split())}))


def digest(text: str) -> bytes:
    """The SHA-256 of a secret, under which it is stored; 32 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def server_secret(connection: sqlite3.Connection, name: str) -> str:
    """The secret of this server called `name`: 32 random bytes in base64, made when first asked for."""
    import base64

    fresh = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    connection.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, fresh))
    return str(connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0])
