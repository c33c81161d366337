"""The durable queue: order, retries, progress, deletion, restart, and data of the version before."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from running import until

from cvi.errors import CviError
from cvi.server.jobs.queue import JobHandler, JobQueue, JobRun, RetryPolicy, TryAgainError
from cvi.server.jobs.webhook_delivery import list_webhooks
from cvi.server.store import jobs
from cvi.server.store.database import Database, connect, database_path
from cvi.server.store.jobs import Job, State


class Recorder(JobHandler):
    """Notes the ids it is asked to run; `fail` raises for some, `gates` hold others."""

    kind = "test"
    keeps: tuple[State, ...] = ("succeeded",)

    def __init__(self, at_once: int = 1, retry: RetryPolicy | None = None) -> None:
        self.at_once = at_once
        self.retry = retry or RetryPolicy(most_attempts=1)
        self.begun: list[str] = []
        self.ended: list[tuple[str, State, str]] = []
        self.erased: list[str] = []
        self.cleaned: list[str] = []
        self.fail: Callable[[Job], Exception | None] = lambda job: None
        self.gates: dict[str, asyncio.Event] = {}

    async def run(self, run: JobRun) -> str:
        self.begun.append(run.job.id)
        run.report(40)
        if run.job.id in self.gates:
            await self.gates[run.job.id].wait()
        error = self.fail(run.job)
        if error is not None:
            raise error
        return f"did {run.job.payload['what']}"

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        self.ended.append((job.id, job.state, job.result))

    async def clean_up(self, job: Job) -> None:
        self.cleaned.append(job.id)

    async def erase(self, job: Job) -> None:
        self.erased.append(job.id)


@asynccontextmanager
async def running(handler: JobHandler, flush: Collection[str] = ()) -> AsyncIterator[JobQueue]:
    """A queue on the database of this data folder."""
    database = Database(database_path())
    await database.open()
    queue = JobQueue(database, [handler])
    await queue.start()
    yield queue
    await queue.stop(flush, 10.0)
    await database.close()


def put(id: str, key: str = "", now: float = 0.0, **more: Any) -> None:
    connection = connect(database_path())
    jobs.add(connection, "test", id, {"what": id.upper()}, now, key=key, **more)
    connection.close()


def stored(id: str) -> Job | None:
    connection = connect(database_path())
    try:
        return jobs.get(connection, "test", id)
    finally:
        connection.close()


async def test_jobs_of_one_key_run_in_order_and_others_beside_them(home: Path) -> None:
    handler = Recorder(at_once=2)
    handler.gates["a"] = asyncio.Event()
    for id, key in (("a", "x"), ("b", "x"), ("c", "y")):
        put(id, key)
    async with running(handler):
        await until(lambda: handler.ended)
        assert handler.begun == ["a", "c"] and handler.ended == [("c", "succeeded", "did C")]
        handler.gates["a"].set()
        await until(lambda: len(handler.cleaned) == 3)
    assert [id for id, _, _ in handler.ended] == ["c", "a", "b"]
    job = stored("b")
    assert job is not None and (job.state, job.attempts, job.result) == ("succeeded", 1, "did B")


async def test_no_more_than_at_once_of_a_kind_run(home: Path) -> None:
    handler = Recorder(at_once=1)
    handler.gates["a"] = asyncio.Event()
    put("a")
    put("b")
    async with running(handler) as queue:
        await until(lambda: handler.begun)
        queue.wake()
        await asyncio.sleep(0)
        assert handler.begun == ["a"]
        handler.gates["a"].set()
        await until(lambda: len(handler.ended) == 2)
    assert handler.begun == ["a", "b"]


async def test_a_place_that_gets_free_is_the_next_lanes(home: Path) -> None:
    """However many of other lanes have waited for longer."""
    handler = Recorder(at_once=4)
    handler.at_once_in_lane = 2
    for number in range(8):
        put(f"slow{number}", lane="ab"[number % 2])
        handler.gates[f"slow{number}"] = asyncio.Event()
    async with running(handler) as queue:
        await until(lambda: len(handler.begun) == 4)
        put("quick", now=1.0, lane="c")
        queue.wake()
        handler.gates["slow0"].set()
        await until(lambda: len(handler.begun) > 4)
        assert handler.begun[4] == "quick"
        for gate in handler.gates.values():
            gate.set()
        await until(lambda: len(handler.cleaned) == 9)


async def test_a_failure_that_may_pass_is_retried_until_the_attempts_are_used_up(home: Path) -> None:
    handler = Recorder(retry=RetryPolicy(most_attempts=3))
    handler.fail = lambda job: TryAgainError("busy", "Wait.")
    put("a")
    async with running(handler):
        await until(lambda: handler.ended)
    assert handler.begun == ["a", "a", "a"] and handler.ended == [("a", "failed", "busy Wait.")]


async def test_no_attempt_is_made_after_the_time_to_keep_trying(home: Path) -> None:
    handler = Recorder(retry=RetryPolicy(first_pause_s=0.0))
    handler.fail = lambda job: TryAgainError("busy")
    put("a", keep_trying_s=0.0)
    async with running(handler):
        await until(lambda: handler.ended)
    assert handler.begun == ["a"] and handler.ended == [("a", "failed", "busy")]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (CviError("No face.", "Film one."), "No face. Film one."),
        (OSError(28, "No space left on device"), "The server's disk refuses: No space left on device."),
        (RuntimeError("a bug"), "A fault of the server's; its log says more."),
    ],
)
async def test_other_failures_end_the_job_and_not_the_queue(
    home: Path, error: Exception, result: str
) -> None:
    handler = Recorder(retry=RetryPolicy(most_attempts=3))
    handler.fail = lambda job: error if job.id == "a" else None
    put("a")
    put("b")
    async with running(handler):
        await until(lambda: len(handler.ended) == 2)
    assert handler.ended == [("a", "failed", result), ("b", "succeeded", "did B")]


async def test_progress_is_stored_while_a_job_runs(home: Path) -> None:
    handler = Recorder()
    handler.gates["a"] = asyncio.Event()
    put("a")
    async with running(handler):
        await until(lambda: (job := stored("a")) is not None and (job.state, job.percent) == ("running", 40))
        handler.gates["a"].set()
        await until(lambda: handler.ended)


async def test_a_deleted_job_is_stopped_and_erased(home: Path) -> None:
    handler = Recorder()
    handler.gates["a"] = asyncio.Event()
    put("a")
    put("b")
    async with running(handler) as queue:
        await until(lambda: handler.begun)
        assert await queue.delete("test", "a") and not await queue.delete("test", "none")
        await until(lambda: handler.ended)
    assert handler.erased == ["a"] and stored("a") is None
    assert handler.ended == [("b", "succeeded", "did B")]


async def test_a_deletion_that_was_broken_off_is_finished_by_the_next_start(home: Path) -> None:
    put("a")
    connection = connect(database_path())
    jobs.cancel(connection, "test", "a", 1.0)
    handler = Recorder()
    async with running(handler):
        pass
    assert (
        handler.erased == ["a"]
        and handler.begun == []
        and jobs.every(connection, "test", ["cancelled"]) == []
    )


async def test_what_was_running_is_run_again_by_the_next_server(home: Path) -> None:
    handler = Recorder()
    handler.gates["a"] = asyncio.Event()
    put("a")
    async with running(handler):
        await until(lambda: handler.begun)
    job = stored("a")
    assert job is not None and (job.state, job.attempts) == ("queued", 0)
    # As a server leaves it that was killed.
    jobs.begin(connect(database_path()), "test", "a", 2.0)
    handler.gates["a"].set()
    async with running(handler):
        await until(lambda: handler.ended)
    assert handler.begun == ["a", "a"] and handler.ended == [("a", "succeeded", "did A")]


async def test_a_stopping_queue_first_does_what_is_due_of_the_kinds_named(home: Path) -> None:
    handler = Recorder()
    async with running(handler, flush={"test"}):
        for number in range(20):
            put(str(number))
    assert handler.begun == [str(number) for number in range(20)]


async def test_finished_jobs_are_forgotten_after_a_week_unless_they_are_kept(home: Path) -> None:
    put("kept")
    put("gone")
    connection = connect(database_path())
    for id, state in (("kept", "succeeded"), ("gone", "failed")):
        jobs.begin(connection, "test", id, 1.0)
        jobs.finish(connection, "test", id, state, "", 2.0)  # type: ignore[arg-type]
    async with running(Recorder()):
        pass
    assert stored("kept") is not None and stored("gone") is None


# -- a data folder of the version before -----------------------------------------------------------

FOOTAGE = {
    "train_video_url": "upload:u1", "consent_text": "", "script": "", "quality": "tiny", "callback_url": "",
    "consent_video_url": "", "consent_by": "Anna", "name": "anna",
}  # fmt: skip
FILM = {
    "replica_id": "r1",
    "replica": "june",
    "script": "Hi.",
    "audio_url": "",
    "callback_url": "http://x.org",
}
UPLOAD = {
    "recording": {"s3_key": "c1/recording.mp4"},
    "bucket": {"name": "films"},
    "tries": 3,
    "next_at": 50.0,
}


@pytest.fixture
def old_folder(home: Path) -> sqlite3.Connection:
    """A database as migration 1 made it, with work of every kind waiting, done and failed."""
    connection = sqlite3.connect(database_path(), isolation_level=None)
    connection.executescript((files("cvi.server.store") / "migrations" / "0001_first.sql").read_text())
    connection.execute("PRAGMA user_version=1")
    for number, state in enumerate(("delivered", "waiting", "waiting", "given_up"), 1):
        connection.execute(
            "INSERT INTO outbox (id, stream, url, event_type, body, state, attempts, created_at, next_at, until, "
            "finished_at, last_answer) VALUES (?, 'c1', 'http://x.org/h', 'system.shutdown', ?, ?, ?, 10, 20, 86410, ?, ?)",
            (
                f"msg_{number}",
                json.dumps({"é": number}),
                state,
                number,
                None if state == "waiting" else 15.0,
                f"HTTP {number}",
            ),
        )
    for kind, id, document in (
        ("training", "r1", {**FOOTAGE, "status": "started", "attempts": 1}),
        ("training", "r2", {**FOOTAGE, "name": "bea", "status": "error", "error": "No face.", "attempts": 0}),
        ("videos", "v1", {**FILM, "status": "generating"}),
        ("videos", "v2", {**FILM, "status": "ready"}),
        ("videos", "v3", {**FILM, "status": "error", "error": "No voice."}),
        ("uploads", "c1", UPLOAD),
        ("tools", "t1", {"name": "look_up"}),
    ):
        connection.execute(
            "INSERT INTO resources (kind, id, name, created_at, updated_at, document) VALUES (?, ?, ?, 10, 11, ?)",
            (kind, id, f"Name of {id}", json.dumps(document)),
        )
    return connection


def test_work_of_the_version_before_goes_on(old_folder: sqlite3.Connection) -> None:
    connection = connect(database_path())
    webhooks = list_webhooks(connection, 10)
    assert [webhook.id for webhook in webhooks] == ["msg_4", "msg_3", "msg_2", "msg_1"]
    assert [webhook.state for webhook in webhooks] == ["given_up", "waiting", "waiting", "delivered"]
    assert (
        json.loads(webhooks[1].body) == {"é": 3} and webhooks[1].until == 86410 and webhooks[1].attempts == 3
    )
    assert (webhooks[0].url, webhooks[0].stream, webhooks[0].last_answer) == (
        "http://x.org/h",
        "c1",
        "HTTP 4",
    )
    assert {job.id for job in jobs.first_open(connection)} == {"msg_2", "r1", "v1", "c1"}

    training = {job.id: job for job in jobs.every(connection, "training")}
    assert (training["r1"].state, training["r1"].attempts, training["r1"].payload) == ("queued", 1, FOOTAGE)
    assert (training["r2"].state, training["r2"].result) == ("failed", "No face.")
    films = {job.id: job for job in jobs.every(connection, "film")}
    assert [films[id].state for id in ("v1", "v2", "v3")] == ["queued", "succeeded", "failed"]
    assert [films[id].percent for id in ("v1", "v2", "v3")] == [0, 100, 0]
    assert films["v1"].payload == FILM and films["v3"].result == "No voice."
    assert (films["v1"].name, films["v1"].created_at, films["v1"].updated_at) == ("Name of v1", 10, 11)
    upload = jobs.get(connection, "recording", "c1")
    assert upload is not None and (upload.attempts, upload.next_at, upload.until) == (3, 50, 86410)
    assert upload.payload == {"recording": UPLOAD["recording"], "bucket": UPLOAD["bucket"]}
    kinds = {row["kind"] for row in connection.execute("SELECT kind FROM resources")}
    assert kinds == {"tools"}
