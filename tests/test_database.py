"""The SQLite files of the data folder: private, brought up once, and nothing left of what was erased."""

from __future__ import annotations

import random
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cvi.database import open_database, scrub, transaction, writing
from cvi.errors import CviError
from cvi.knowledge.passages import Passage
from cvi.knowledge.store import (
    PassageVectors,
    add_document,
    make_current,
    open_store,
    remove_document,
    stage_passages,
)
from cvi.memory.store import open_memory
from cvi.server.store.database import connect

TABLE = [(1, "CREATE TABLE t (id TEXT PRIMARY KEY, owner TEXT, body TEXT);\nCREATE INDEX by_owner ON t (owner, id);\n")]


def opened(path: Path, migrations: list[tuple[int, str]] = TABLE) -> sqlite3.Connection:
    return open_database(path, migrations, what="The file", remedy="Move it away.")


@pytest.mark.parametrize("open_it", [connect, open_store, open_memory, opened])
def test_every_file_is_private_and_overwrites_what_is_deleted(tmp_path: Path, open_it: object) -> None:
    path = tmp_path / "new" / "data.sqlite3"
    connection = open_it(path)
    with transaction(connection):
        connection.execute("CREATE TABLE more (a)")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (path.parent, *path.parent.iterdir())}
    assert not [name for name, mode in modes.items() if mode & 0o077], modes
    values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("secure_delete", "journal_mode")}
    assert values == {"secure_delete": 1, "journal_mode": "wal"}


@pytest.mark.parametrize("open_it", [connect, open_store, open_memory, opened])
def test_another_process_leaves_the_log_to_the_connections_that_are_open(tmp_path: Path, open_it: object) -> None:
    """A server has two connections; `cvi keys` opens and closes the file beside them."""
    path = tmp_path / "data.sqlite3"
    first, second = open_it(path), open_it(path)
    first.execute("CREATE TABLE more (a)")

    def beside(statement: str) -> str:
        program = f"import sqlite3; c = sqlite3.connect({str(path)!r}); print(c.execute({statement!r}).fetchall()); c.commit(); c.close()"
        return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()

    assert beside("SELECT a FROM more") == "[]"
    assert Path(f"{path}-wal").is_file()
    first.execute("INSERT INTO more VALUES (1)")
    assert beside("SELECT a FROM more") == "[(1,)]"
    beside("INSERT INTO more VALUES (2)")
    assert [row[0] for row in second.execute("SELECT a FROM more ORDER BY a")] == [1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_what_was_erased_leaves_no_byte_in_file_and_log(tmp_path: Path, seed: int) -> None:
    """Rows of all sizes, changed and moved between pages before they are deleted."""
    chance, connection = random.Random(seed), opened(tmp_path / "data.sqlite3")
    for number in range(1500):
        word = "SECRET" if chance.random() < 0.3 else "plain"
        body = f"{word} " * (1 + int(chance.lognormvariate(3.5, 1.5)))
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", (f"{word}{chance.getrandbits(40):x}", "ab"[number % 2], body))
        if number % 3 == 0:
            connection.execute("UPDATE t SET body = body || ? WHERE rowid = ?", ("x" * chance.randrange(3000), chance.randrange(1, number + 2)))
    connection.execute("DELETE FROM t WHERE id LIKE 'SECRET%'")
    assert scrub(connection)
    left = [path.name for path in tmp_path.iterdir() if b"SECRET" in path.read_bytes()]
    assert left == [] and connection.execute("SELECT count(*) FROM t").fetchone()[0] > 500


def test_a_document_that_is_removed_leaves_no_word_in_text_and_index(tmp_path: Path) -> None:
    connection = open_store(tmp_path / "knowledge.sqlite3")
    for name in ("kept", "gone"):
        document = add_document(connection, f"/{name}.txt", name)
        texts = [f"{name}word{number} stands here" for number in range(200)]
        passages = [Passage(text=text, heading="", page=None, url="") for text in texts]
        digests = [text.encode()[:16] for text in texts]
        stage_passages(connection, document.id, 1, 0, passages, digests, [PassageVectors(b"1234", b"1234")] * 200)
        make_current(connection, document.id, 1)
    assert remove_document(connection, document.id)
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"gone" not in data and b"word199" in data


def test_a_later_version_and_a_file_that_is_locked_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.database.BUSY_MS", 50)
    path = tmp_path / "data.sqlite3"
    first = opened(path, [*TABLE, (2, "CREATE TABLE u (a);\n")])
    with pytest.raises(CviError, match="later version"):
        opened(path)
    second = opened(path, [*TABLE, (2, "")])
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(CviError, match="The file cannot be written: database is locked"), writing(second, "The file"):
        pass
    assert not scrub(second)


def test_two_that_open_a_new_file_at_once_bring_it_up_once(tmp_path: Path) -> None:
    made: list[sqlite3.Connection] = []
    threads = [threading.Thread(target=lambda: made.append(opened(tmp_path / "data.sqlite3"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
