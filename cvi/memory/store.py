"""The SQLite file of memories: one store for each participant and persona of an owner, and what it holds.

Every change is one transaction, so whoever dies in the middle leaves the last good state. What is deleted is
overwritten, and the file is its owner's alone. What is older than a store keeps is erased whenever the file
is opened.

All functions block. A connection is used by one thread at a time.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cvi.database import open_database, scrub, writing
from cvi.embeddings.base import Vectors
from cvi.errors import UsageError
from cvi.paths import home

MemoryKind = Literal["profile", "episode", "semantic"]
"""A stable fact about the participant; something that happened at a time; something else they told."""
KINDS: tuple[MemoryKind, ...] = get_args(MemoryKind)
DEFAULT_OWNER = "default"
LONGEST_NAME, LONGEST_TEXT = 200, 1000
DAY_S = 86_400.0
_SCHEMA = """
CREATE TABLE stores (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, participant TEXT NOT NULL, persona TEXT NOT NULL,
  keep_days INTEGER, created_at REAL NOT NULL, UNIQUE (owner, participant, persona)
);
CREATE TABLE memories (
  id INTEGER PRIMARY KEY AUTOINCREMENT, store TEXT NOT NULL REFERENCES stores (id) ON DELETE CASCADE,
  kind TEXT NOT NULL, text TEXT NOT NULL, said TEXT NOT NULL, conversation TEXT NOT NULL,
  turn INTEGER NOT NULL, confidence REAL NOT NULL, created_at REAL NOT NULL, superseded_by INTEGER,
  pinned INTEGER NOT NULL DEFAULT 0, embedder TEXT NOT NULL DEFAULT '', vector BLOB NOT NULL DEFAULT x''
);
CREATE INDEX memories_of ON memories (store, id);
CREATE TABLE sources (
  store TEXT NOT NULL REFERENCES stores (id) ON DELETE CASCADE, conversation TEXT NOT NULL,
  journal TEXT NOT NULL, turn INTEGER NOT NULL DEFAULT 0, whole INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (store, conversation)
);
"""


@dataclass(frozen=True, slots=True)
class MemoryKey:
    """Whose memory: a participant's with one persona, "" for a store that any persona may share."""

    participant: str
    persona: str = ""
    owner: str = DEFAULT_OWNER


@dataclass(frozen=True, slots=True)
class StoredMemory:
    """One memory.

    `said` are the words of turn `turn` of the conversation that it comes from, "" where somebody wrote it by
    hand. `superseded_by` is the id of the newer one that contradicts it. A `pinned` one is always told and
    never expires.
    """

    id: int
    store: str
    kind: MemoryKind
    text: str
    said: str
    conversation: str
    turn: int
    confidence: float
    created_at: float
    superseded_by: int | None
    pinned: bool

    @property
    def day(self) -> str:
        """When it was told, as 2026-11-30."""
        return time.strftime("%Y-%m-%d", time.localtime(self.created_at))


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """A store. `keep_days` None keeps until it is forgotten; `memories` counts those that hold."""

    id: str
    owner: str
    participant: str
    persona: str
    keep_days: int | None
    created_at: float
    memories: int


def memory_path() -> Path:
    """Where memories lie in the data folder."""
    return home() / "memory.sqlite3"


def normalized_name(text: str) -> str:
    """A name without differences of writing that make no other participant: blanks around it, composition."""
    return unicodedata.normalize("NFC", text).strip()


def participant_name(text: str) -> str:
    """A participant's name as it is kept: one line without blanks around it. Raises UsageError."""
    name = normalized_name(text)
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"{text[:60]!r} can't be a participant's name.",
            f"Give 1 to {LONGEST_NAME} printable characters on one line.",
        )
    return name


def open_memory(path: Path | None = None, now: float | None = None) -> sqlite3.Connection:
    """Open the file of memories, making it as needed, and erase what has expired.

    Raises CviError when the file cannot be used.
    """
    remedy = "Move the file away to begin anew, or set CVI_HOME to another folder."
    path = path or memory_path()
    what, schema = "What is remembered in", [(1, _SCHEMA)]
    connection = open_database(path, schema, what=what, remedy=remedy, durable=True)
    erase_expired(connection, time.time() if now is None else now)
    return connection


def _writing(connection: sqlite3.Connection) -> AbstractContextManager[None]:
    return writing(connection, "What is remembered")


# -- stores ---------------------------------------------------------------------------------------

_STORE = (
    "SELECT s.*, (SELECT count(*) FROM memories m WHERE m.store = s.id AND m.superseded_by IS NULL) "
    "AS memories FROM stores s "
)


def make_store(connection: sqlite3.Connection, key: MemoryKey, keep_days: int | None = None) -> MemoryStore:
    """The store of that key, made where there is none; it keeps as long as asked for now."""
    key = MemoryKey(participant_name(key.participant), key.persona, key.owner)
    with _writing(connection):
        connection.execute(
            "INSERT INTO stores VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (owner, participant, persona) DO UPDATE SET keep_days = excluded.keep_days",
            (f"s{secrets.token_hex(6)}", key.owner, key.participant, key.persona, keep_days, time.time()),
        )
    erase_expired(connection, time.time())
    return find_stores(connection, participant=key.participant, persona=key.persona, owner=key.owner)[0]


def find_stores(
    connection: sqlite3.Connection,
    *,
    id: str | None = None,
    participant: str | None = None,
    persona: str | None = None,
    owner: str | None = None,
) -> list[MemoryStore]:
    """The stores that fit all that is given, newest first."""
    wanted = {"id": id, "participant": participant, "persona": persona, "owner": owner}
    given = {name: value for name, value in wanted.items() if value is not None}
    where = " AND ".join(f"s.{name} = :{name}" for name in given) or "1"
    rows = connection.execute(f"{_STORE} WHERE {where} ORDER BY s.created_at DESC, s.id", given)
    return [MemoryStore(**dict(row)) for row in rows]


def drop_store(connection: sqlite3.Connection, id: str) -> bool:
    """Erase a store and all it holds; whether there was one."""
    with _writing(connection):
        return connection.execute("DELETE FROM stores WHERE id = ?", (id,)).rowcount > 0


# -- memories -------------------------------------------------------------------------------------

_MEMORY = (
    "SELECT id, store, kind, text, said, conversation, turn, confidence, created_at, superseded_by, pinned "
    "FROM memories "
)


def add_memory(
    connection: sqlite3.Connection,
    store: str,
    text: str,
    *,
    kind: MemoryKind = "semantic",
    said: str = "",
    conversation: str = "",
    turn: int = 0,
    confidence: float = 1.0,
    pinned: bool = False,
    supersedes: Sequence[int] = (),
    embedder: str = "",
    vector: Vectors | None = None,
) -> StoredMemory | None:
    """Keep a memory, and mark those that it contradicts; None where the store was erased meanwhile."""
    values = (
        store,
        kind,
        memory_text(text),
        said,
        conversation,
        turn,
        confidence,
        time.time(),
        pinned,
        embedder,
    )
    blob = b"" if vector is None else vector.astype(np.float16).tobytes()
    with _writing(connection):
        if connection.execute("SELECT 1 FROM stores WHERE id = ?", (store,)).fetchone() is None:
            return None
        id = connection.execute(
            "INSERT INTO memories (store, kind, text, said, conversation, turn, confidence, created_at, "
            "pinned, embedder, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, blob),
        ).lastrowid
        connection.executemany(
            "UPDATE memories SET superseded_by = ? WHERE id = ? AND store = ?",
            [(id, old, store) for old in supersedes],
        )
    assert id is not None
    return get_memory(connection, id)


def memory_text(text: str) -> str:
    """The text as it is kept: on one line. Raises UsageError for none, or for too much."""
    line = " ".join(text.split())
    if not line or len(line) > LONGEST_TEXT:
        raise UsageError("A memory needs words.", f"Give 1 to {LONGEST_TEXT} characters.")
    return line


def get_memory(connection: sqlite3.Connection, id: int) -> StoredMemory:
    """A memory by its number. Raises UsageError."""
    row = connection.execute(_MEMORY + "WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise UsageError(f"There is no memory {id}.", "See what there is with: cvi memory list")
    return _memory(row)


def memories_of(connection: sqlite3.Connection, store: str, *, history: bool = False) -> list[StoredMemory]:
    """What a store holds, oldest first; with `history` also what newer memories contradict."""
    held = "" if history else "AND superseded_by IS NULL "
    rows = connection.execute(f"{_MEMORY} WHERE store = ? {held}ORDER BY id", (store,))
    return [_memory(row) for row in rows]


def memory_vectors(connection: sqlite3.Connection, store: str, embedder: str) -> dict[int, Vectors]:
    """The vectors of a store's memories that this embedder made, by their ids."""
    rows = connection.execute(
        "SELECT id, vector FROM memories WHERE store = ? AND embedder = ? AND length(vector) > 0",
        (store, embedder),
    )
    return {row["id"]: np.frombuffer(row["vector"], np.float16).astype(np.float32) for row in rows}


def set_vector(connection: sqlite3.Connection, id: int, embedder: str, vector: Vectors) -> None:
    """Keep the vector of a memory that had none of this embedder."""
    with _writing(connection):
        connection.execute(
            "UPDATE memories SET embedder = ?, vector = ? WHERE id = ?",
            (embedder, vector.astype(np.float16).tobytes(), id),
        )


def change_memory(
    connection: sqlite3.Connection,
    id: int,
    *,
    text: str | None = None,
    kind: MemoryKind | None = None,
    pinned: bool | None = None,
) -> StoredMemory:
    """Change what is given. Another text drops the words it came from. Raises UsageError."""
    old = get_memory(connection, id)
    with _writing(connection):
        if text is not None and memory_text(text) != old.text:
            connection.execute(
                "UPDATE memories SET text = ?, said = '', confidence = 1.0, embedder = '', vector = x'' "
                "WHERE id = ?",
                (memory_text(text), id),
            )
        connection.execute(
            "UPDATE memories SET kind = ?, pinned = ? WHERE id = ?",
            (kind or old.kind, old.pinned if pinned is None else pinned, id),
        )
    return get_memory(connection, id)


def drop_memory(connection: sqlite3.Connection, id: int) -> bool:
    """Erase a memory; whether there was one. What it contradicted stays history."""
    with _writing(connection):
        return connection.execute("DELETE FROM memories WHERE id = ?", (id,)).rowcount > 0


def drop_learned(connection: sqlite3.Connection, conversation: str) -> int:
    """Erase every memory that comes from a conversation; how many."""
    with _writing(connection):
        connection.execute("DELETE FROM sources WHERE conversation = ?", (conversation,))
        return connection.execute("DELETE FROM memories WHERE conversation = ?", (conversation,)).rowcount


def erase_expired(connection: sqlite3.Connection, now: float) -> int:
    """Erase what is older than its store keeps; how many."""
    old = [
        (row["id"],)
        for row in connection.execute(
            "SELECT m.id FROM memories m JOIN stores s ON s.id = m.store "
            "WHERE m.pinned = 0 AND m.created_at < ? - s.keep_days * ?",
            (now, DAY_S),
        )
    ]
    if not old:
        return 0
    with _writing(connection):
        gone = connection.executemany("DELETE FROM memories WHERE id = ?", old).rowcount
    scrub(connection)
    return gone


def _memory(row: sqlite3.Row) -> StoredMemory:
    return StoredMemory(**{**dict(row), "pinned": bool(row["pinned"])})


# -- which turns were read ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConversationSource:
    """A conversation that a store learns from: its journal, the last turn read, whether it was read whole."""

    store: str
    conversation: str
    journal: str
    turn: int
    whole: bool


def note_source(
    connection: sqlite3.Connection,
    store: str,
    conversation: str,
    journal: str,
    turn: int,
    whole: bool = False,
) -> None:
    """Write down how far a conversation was read; nothing where the store was erased meanwhile."""
    with _writing(connection):
        if connection.execute("SELECT 1 FROM stores WHERE id = ?", (store,)).fetchone() is not None:
            connection.execute(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?)",
                (store, conversation, journal, turn, whole),
            )


def unread_sources(connection: sqlite3.Connection, store: str) -> list[ConversationSource]:
    """The conversations that a store did not read to their end."""
    rows = connection.execute("SELECT * FROM sources WHERE store = ? AND whole = 0", (store,))
    return [ConversationSource(**{**dict(row), "whole": False}) for row in rows]
