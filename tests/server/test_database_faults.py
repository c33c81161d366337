"""A database that cannot be written: rooms are freed, what happened is stored later, nothing is done twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from receiver import Receiver
from running import create, serving, until

from cvi.server.jobs.webhook_delivery import webhook_secret
from cvi.server.store import database as database_module
from cvi.server.store.database import Database, WriteQueue, connect, database_path, transact


@contextmanager
def refusing(client: httpx.AsyncClient, why: str) -> Iterator[None]:
    """The running server's database answers every write with `why`, as SQLite does."""
    database: Database = client.app.state.services.database  # type: ignore[attr-defined]
    run = database._writing.run

    error = sqlite3.DatabaseError if "malformed" in why else sqlite3.OperationalError

    async def refuse(call: Callable[[], Any]) -> Any:
        raise error(why)

    database._writing.run = refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        database._writing.run = run  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(database_module, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("cvi.server.rooms.rooms.ACCOUNT_WITHIN_S", 0.3)


@pytest.mark.parametrize(
    "why",
    [
        "database or disk is full",
        "database is locked",
        "attempt to write a readonly database",
        "disk I/O error",
        "database disk image is malformed",
    ],
)
async def test_a_room_is_freed_and_its_end_stored_once_the_database_can_be_written(
    home: Path, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    async with serving(urls_to=("127.0.0.1",), max_conversations=1) as client:
        made = await create(client, callback_url=receiver.url)
        at = f"/v2/conversations/{made['conversation_id']}"
        await until(lambda: receiver.kinds(made["conversation_id"]))
        with refusing(client, why):
            for path, body in (
                ("/v2/tools", {"name": "a_tool", "description": "d"}),
                ("/v2/conversations", {"persona_id": "guide", "test_mode": True}),
            ):
                answer = await client.post(path, json=body)
                assert (
                    answer.status_code == 503
                    and answer.headers["retry-after"]
                    and "database" in answer.json()["error"]
                )
            assert (await client.post(f"{at}/end")).status_code == 200
            assert (await client.get(at)).json()["status"] == "ended"
            listed = (await client.get("/v2/conversations")).json()["data"]
            assert [row["status"] for row in listed] == ["ended"]
            ready = await client.get("/readyz")
            assert ready.status_code == 503 and "database" in ready.json()["at_risk"][0]
            assert ready.json()["conversations"] == 0, "its place is free"
            assert (await client.get("/healthz")).status_code == 200
        await until(lambda: len(receiver.kinds(made["conversation_id"])) == 3)
        stored = connection.execute("SELECT status FROM conversations").fetchall()
        assert [row[0] for row in stored] == ["ended"]
        await client.app.state.services.health.look()  # type: ignore[attr-defined]
        assert (await client.get("/readyz")).json() == {
            "status": "ready", "conversations": 0, "max_conversations": 1, "at_risk": []
        }  # fmt: skip
        await create(client)
    await receiver.down()
    lines = [each.getMessage() for each in caplog.records if "the database can" in each.getMessage()]
    assert len(lines) == 2 and why in lines[0] and "written again" in lines[1], "one at each change"


async def test_a_disk_that_is_nearly_full_is_told_in_readyz_and_once_in_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = {"bytes": 10 << 20}
    monkeypatch.setattr(
        "cvi.server.health.shutil.disk_usage", lambda path: SimpleNamespace(free=free["bytes"])
    )
    async with serving() as client:
        health = client.app.state.services.health  # type: ignore[attr-defined]
        await health.look()
        await health.look()
        ready = await client.get("/readyz")
        assert ready.status_code == 503 and ready.json()["at_risk"] == ["The disk has 10 MiB left."]
        free["bytes"] = 1 << 40
        await health.look()
        assert (await client.get("/readyz")).json()["at_risk"] == []
    lines = [each.getMessage() for each in caplog.records if "disk has" in each.getMessage()]
    assert lines == [
        "The disk has 10 MiB left. Journals and recordings may be cut short.",
        "the disk has room again",
    ]


async def test_a_damaged_file_of_memories_does_not_end_the_watch(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as client:
        health = client.app.state.services.health  # type: ignore[attr-defined]
        await health.stop()  # its own looks would be counted too
        (home / "memory.sqlite3").write_bytes(b"no database" * 1000)
        health._swept_at = 0.0
        await health.look()
        await health.look()
    told = [each.getMessage() for each in caplog.records if "kept no longer" in each.getMessage()]
    assert len(told) == 1 and "memory.sqlite3" in told[0]


async def test_a_webhook_that_was_sent_is_not_sent_again_while_that_cannot_be_stored(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    async with serving(urls_to=("127.0.0.1",)) as client:
        made = await create(client)
        posted = asyncio.Event()
        post = client.app.state.services.caller.post  # type: ignore[attr-defined]
        refusal: list[Any] = []

        async def then_full(*args: Any, **more: Any) -> Any:
            answer = await post(*args, **more)
            refusal.append(refusing(client, "database or disk is full"))
            refusal[0].__enter__()
            posted.set()
            return answer

        monkeypatch.setattr(client.app.state.services.caller, "post", then_full)  # type: ignore[attr-defined]
        from cvi.server.jobs.webhook_delivery import queue_webhook

        transact(
            connection,
            lambda there: queue_webhook(
                there, "c1", receiver.url, "x", {"conversation_id": "c1", "event_type": "x"}, 0.0
            ),
        )
        client.app.state.services.jobs.wake()  # type: ignore[attr-defined]
        await posted.wait()
        for _ in range(30):
            client.app.state.services.jobs.wake()  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        assert len(receiver.ids) == 1 and len(refusal) == 1
        refusal[0].__exit__(None, None, None)
        query = "SELECT state FROM jobs WHERE key = 'c1'"
        await until(lambda: connection.execute(query).fetchone()[0] == "succeeded")
        assert len(receiver.ids) == 1 and made
    await receiver.down()


async def test_a_transaction_that_fails_at_its_end_leaves_the_connection_usable(home: Path) -> None:
    connection = connect(database_path())
    connection.execute("PRAGMA max_page_count=30")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        transact(
            connection, lambda there: there.execute("INSERT INTO secrets VALUES ('a', ?)", ("x" * 1_000_000,))
        )
    assert not connection.in_transaction
    transact(connection, lambda there: there.execute("INSERT INTO secrets VALUES ('b', 'y')"))


async def test_what_is_put_is_stored_in_order_through_faults_and_a_bad_piece_alone_is_dropped(
    home: Path,
) -> None:
    database = Database(database_path())
    await database.open()
    faults = iter([True, True, False, True, False, False, False, False])

    def work(name: str) -> Callable[[sqlite3.Connection], None]:
        def store(connection: sqlite3.Connection) -> None:
            if name == "bad":
                raise sqlite3.IntegrityError("no such row")
            connection.execute("INSERT INTO secrets VALUES (?, '')", (name,))
            if next(faults):
                raise sqlite3.OperationalError("database or disk is full")

        return store

    queue = WriteQueue(database)
    for name in ("one", "bad", "two", "three"):
        queue.put(work(name))
    assert await queue.flush(5.0)
    rows = await database.read(
        lambda connection: connection.execute("SELECT name FROM secrets ORDER BY rowid").fetchall()
    )
    assert [row[0] for row in rows] == ["one", "two", "three"]
    await queue.stop()
    await database.close()


async def test_one_slow_host_does_not_hold_up_the_webhooks_of_others(home: Path) -> None:
    """As many as there are places, to a host that answers one byte in a while."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
        with __import__("contextlib").suppress(OSError):
            for _ in range(400):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    from cvi.server.jobs.webhook_delivery import queue_webhook

    slow = await asyncio.start_server(drip, "127.0.0.2", 0)
    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    async with serving(urls_to=("127.0.0.0/8",)) as client:
        port = slow.sockets[0].getsockname()[1]
        body = {"conversation_id": "c", "event_type": "x"}
        for number in range(40):
            url = f"http://127.0.0.2:{port}/{number}"
            transact(
                connection,
                lambda there, n=number, url=url: queue_webhook(there, f"slow{n}", url, "x", body, 0.0),
            )
        queue = client.app.state.services.jobs  # type: ignore[attr-defined]
        queue.wake()
        await until(lambda: len(queue._attempts) == 4)
        transact(connection, lambda there: queue_webhook(there, "quick", receiver.url, "x", body, 1.0))
        queue.wake()
        await until(lambda: receiver.ids, within_s=15)
        assert len(queue._attempts) <= 5
    slow.close()
    await receiver.down()
