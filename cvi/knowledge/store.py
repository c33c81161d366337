"""The knowledge base's SQLite file: documents, their passages, words and vectors.

A document is replaced in one transaction: until then the passages of its new version lie beside those of the
current one and are not found, and whoever dies before leaves the current one as it was. Vectors are kept by
the hash of what was embedded, so that what did not change is not embedded again.

All functions block. A connection is used by one thread at a time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cvi import database
from cvi.database import open_database, scrub
from cvi.embeddings.base import Vectors
from cvi.errors import UsageError
from cvi.knowledge.passages import Passage
from cvi.knowledge.terms import terms
from cvi.paths import home

DocumentState = Literal["started", "processing", "ready", "error", "recrawling"]
_WHAT = "The knowledge base"
_SCHEMA = """
CREATE TABLE documents (
  id TEXT PRIMARY KEY, source TEXT NOT NULL UNIQUE, name TEXT NOT NULL, tags TEXT NOT NULL DEFAULT '[]',
  state TEXT NOT NULL, code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  version INTEGER NOT NULL DEFAULT 0, sha256 TEXT NOT NULL DEFAULT '', pages INTEGER NOT NULL DEFAULT 0,
  passages INTEGER NOT NULL DEFAULT 0, crawl TEXT, urls TEXT NOT NULL DEFAULT '[]',
  crawls INTEGER NOT NULL DEFAULT 0, crawled_at REAL, created_at REAL NOT NULL, updated_at REAL NOT NULL
);
CREATE TABLE passages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, version INTEGER NOT NULL,
  position INTEGER NOT NULL, page INTEGER, heading TEXT NOT NULL, url TEXT NOT NULL, text TEXT NOT NULL,
  digest BLOB NOT NULL
);
CREATE INDEX passages_of ON passages (document, version, position);
CREATE INDEX passages_digest ON passages (digest);
CREATE TABLE vectors (
  id INTEGER PRIMARY KEY, document TEXT NOT NULL, version INTEGER NOT NULL, vector BLOB NOT NULL,
  sentences BLOB NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "unicode61 remove_diacritics 0");
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One document. `source` is a file's absolute path or a page's address; times are Unix seconds.

    `message` says what is wrong in state `error`, and what is odd about one that is `ready`. `crawl` is
    (depth, most pages) of a website, `urls` its pages.
    """

    id: str
    source: str
    name: str
    tags: tuple[str, ...]
    state: DocumentState
    code: str
    message: str
    version: int
    sha256: str
    pages: int
    passages: int
    crawl: tuple[int, int] | None
    urls: tuple[str, ...]
    crawls: int
    crawled_at: float | None
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage of the current version of a document."""

    id: int
    document_id: str
    document: str
    source: str
    position: int
    page: int | None
    heading: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """A passage's vector, and those of its sentences in a row, as they are stored: half precision."""

    whole: bytes
    sentences: bytes


def knowledge_path() -> Path:
    """Where the knowledge base lies in the data folder."""
    return home() / "knowledge.sqlite3"


def open_store(path: Path) -> sqlite3.Connection:
    """Open the knowledge base, making it as needed. Raises CviError when the file cannot be used."""
    remedy = "Move it away and add the documents again, or set CVI_HOME to another folder."
    return open_database(path, [(1, _SCHEMA)], what=_WHAT, remedy=remedy)


def writing(connection: sqlite3.Connection) -> AbstractContextManager[None]:
    """One transaction, rolled back when the block raises. A full disk becomes a CviError."""
    return database.writing(connection, _WHAT)


# -- documents ------------------------------------------------------------------------------------


def add_document(
    connection: sqlite3.Connection,
    source: str,
    name: str,
    *,
    id: str | None = None,
    tags: Sequence[str] = (),
    crawl: tuple[int, int] | None = None,
) -> StoredDocument:
    """The document of that source: the one that is there, with more tags, or a new one in state `started`."""
    now = time.time()
    with writing(connection):
        connection.execute(
            "INSERT INTO documents (id, source, name, tags, state, crawl, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, 'started', ?, ?, ?) ON CONFLICT (source) DO NOTHING",
            (id or f"d{secrets.token_hex(6)}", source, name, "[]", json.dumps(crawl), now, now),
        )
        row = connection.execute("SELECT id, tags FROM documents WHERE source = ?", (source,)).fetchone()
        joined = list(dict.fromkeys([*json.loads(row["tags"]), *tags]))
        change_document(connection, row["id"], tags=json.dumps(joined))
        if crawl is not None:
            change_document(connection, row["id"], crawl=json.dumps(crawl))
    return get_document(connection, row["id"])


def change_document(connection: sqlite3.Connection, id: str, **values: Any) -> None:
    """Set columns of a document."""
    names = ", ".join(f"{name} = ?" for name in values)
    connection.execute(
        f"UPDATE documents SET {names}, updated_at = ? WHERE id = ?",  # noqa: S608 (our own names)
        (*values.values(), time.time(), id),
    )


def get_document(connection: sqlite3.Connection, id: str) -> StoredDocument:
    """A document by its id. Raises UsageError."""
    row = connection.execute("SELECT * FROM documents WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise UsageError(f"There is no document '{id}'.", "See what there is with: cvi knowledge list")
    return _document(row)


def every_document(connection: sqlite3.Connection) -> list[StoredDocument]:
    """All documents, newest first."""
    rows = connection.execute("SELECT * FROM documents ORDER BY created_at DESC, id")
    return [_document(row) for row in rows]


def remove_document(connection: sqlite3.Connection, id: str) -> bool:
    """Erase a document and everything made of it from the file; whether there was one."""
    with writing(connection):
        _drop_passages(connection, id, keep_version=None)
        found = connection.execute("DELETE FROM documents WHERE id = ?", (id,)).rowcount > 0
        # The index marks words as deleted and drops them when its parts are merged.
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    scrub(connection)
    return found


def _document(row: sqlite3.Row) -> StoredDocument:
    values = dict(row)
    crawl = json.loads(values["crawl"]) if values["crawl"] else None
    values |= {"tags": tuple(json.loads(values["tags"])), "urls": tuple(json.loads(values["urls"]))}
    return StoredDocument(**{**values, "crawl": None if crawl is None else (crawl[0], crawl[1])})


# -- passages -------------------------------------------------------------------------------------


def digest_of(embedded: str, model: str) -> bytes:
    """The key of a vector: what was embedded and by which model."""
    return hashlib.blake2b(f"{model}\0{embedded}".encode(), digest_size=16).digest()


def known_vectors(connection: sqlite3.Connection, digests: Sequence[bytes]) -> dict[bytes, PassageVectors]:
    """The vectors that are stored already, of any document and version."""
    found: dict[bytes, PassageVectors] = {}
    for digest in digests:
        row = connection.execute(
            "SELECT vector, sentences FROM passages JOIN vectors USING (id) WHERE digest = ? LIMIT 1",
            (digest,),
        ).fetchone()
        if row is not None:
            found[digest] = PassageVectors(*row)
    return found


def begin_version(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """The number of a document's next version. What an attempt that died left stays until it is replaced."""
    with writing(connection):
        row = connection.execute(
            "SELECT max(version) FROM passages WHERE document = ?", (document.id,)
        ).fetchone()
        return max(document.version, row[0] or 0) + 1


def stage_passages(
    connection: sqlite3.Connection,
    document_id: str,
    version: int,
    first: int,
    passages: Sequence[Passage],
    digests: Sequence[bytes],
    vectors: Sequence[PassageVectors],
) -> None:
    """Store passages of a version that is not current yet; `first` is the position of the first one."""
    with writing(connection):
        for number, (passage, digest, vector) in enumerate(
            zip(passages, digests, vectors, strict=True), first
        ):
            id = connection.execute(
                "INSERT INTO passages (document, version, position, page, heading, url, text, digest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document_id,
                    version,
                    number,
                    passage.page,
                    passage.heading,
                    passage.url,
                    passage.text,
                    digest,
                ),
            ).lastrowid
            connection.execute(
                "INSERT INTO vectors VALUES (?, ?, ?, ?, ?)",
                (id, document_id, version, vector.whole, vector.sentences),
            )


def make_current(connection: sqlite3.Connection, document_id: str, version: int, **values: Any) -> None:
    """Put a whole version in the place of the current one, and set columns of the document."""
    with writing(connection):
        name = get_document(connection, document_id).name
        rows = connection.execute(
            "SELECT id, heading, text FROM passages WHERE document = ? AND version = ?",
            (document_id, version),
        ).fetchall()
        _drop_passages(connection, document_id, keep_version=version)
        connection.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            [(row["id"], indexed_words(name, row["heading"], row["text"])) for row in rows],
        )
        pages = connection.execute(
            "SELECT count(DISTINCT coalesce(page, url)) FROM passages WHERE document = ?", (document_id,)
        ).fetchone()[0]
        counted = {"version": version, "state": "ready", "passages": len(rows), "pages": pages}
        change_document(connection, document_id, **counted, **values)


def indexed_words(name: str, heading: str, text: str) -> str:
    """What of a passage the full-text index holds: its own words, and those of heading and document."""
    return " ".join(terms(f"{name} {heading} {text}"))


def _drop_passages(connection: sqlite3.Connection, document_id: str, keep_version: int | None) -> None:
    ids = [
        (row[0],)
        for row in connection.execute(
            "SELECT id FROM passages WHERE document = ? AND version IS NOT ?", (document_id, keep_version)
        )
    ]
    connection.executemany("DELETE FROM words WHERE rowid = ?", ids)
    connection.executemany("DELETE FROM vectors WHERE id = ?", ids)
    connection.executemany("DELETE FROM passages WHERE id = ?", ids)


_SELECT = (
    "SELECT p.id, p.document, d.name, d.source, p.position, p.page, p.heading, p.url, p.text "
    "FROM passages p JOIN documents d ON d.id = p.document AND d.version = p.version "
)


def get_passages(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, StoredPassage]:
    """The passages of these ids that belong to current versions."""
    query = _SELECT + "WHERE p.id IN (SELECT value FROM json_each(?))"  # noqa: S608 (no value in it)
    rows = connection.execute(query, (json.dumps(list(ids)),))
    return {row["id"]: StoredPassage(*row) for row in rows}


def passages_of(
    connection: sqlite3.Connection, document_id: str, first: int = 0, limit: int = -1
) -> list[StoredPassage]:
    """A document's passages in their order, from position `first`."""
    query = _SELECT + "WHERE p.document = ? AND p.position >= ? ORDER BY p.position LIMIT ?"
    rows = connection.execute(query, (document_id, first, limit))
    return [StoredPassage(*row) for row in rows]


def vectors_after(
    connection: sqlite3.Connection, last_id: int, rows_at_once: int = 20_000
) -> Iterator[tuple[Any, Any, Vectors]]:
    """Ids, document ids and vectors (float32) of all current passages with a higher id, in order."""
    cursor = connection.execute(
        "SELECT v.id, v.document, v.vector FROM vectors v "
        "JOIN documents d ON d.id = v.document AND d.version = v.version WHERE v.id > ? ORDER BY v.id",
        (last_id,),
    )
    while rows := cursor.fetchmany(rows_at_once):
        joined = np.frombuffer(b"".join(row[2] for row in rows), np.float16)
        yield (
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows]),
            joined.reshape(len(rows), -1).astype(np.float32),
        )


def vectors_of(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Vectors]:
    """The vectors of these passages."""
    rows = connection.execute(
        "SELECT id, vector FROM vectors WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {row[0]: np.frombuffer(row[1], np.float16).astype(np.float32) for row in rows}


def sentences_of(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Vectors]:
    """The vectors of these passages' sentences, one a row."""
    rows = connection.execute(
        "SELECT id, sentences, length(vector) FROM vectors WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {
        row[0]: np.frombuffer(row[1], np.float16).astype(np.float32).reshape(-1, row[2] // 2) for row in rows
    }


def facts(connection: sqlite3.Connection) -> Mapping[str, str]:
    """What is noted about the whole base, such as the model of its vectors."""
    return {row[0]: row[1] for row in connection.execute("SELECT name, value FROM facts")}


def note_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Note something about the whole base."""
    with writing(connection):
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
