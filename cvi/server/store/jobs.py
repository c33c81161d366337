"""Jobs: work that outlives the request that asked for it, in one table with one set of states.

A job is `queued`, `running` while an attempt at it is made, and ends `succeeded`, `failed` or `cancelled`.
Open jobs (queued or running) of one kind and key are attempted one after the other, in the order they were
added. All functions run inside the caller's transaction; `now` and all times are Unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from cvi.server.store.keys import DEFAULT_OWNER

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """One row. `id` is unique within its `kind`; `number` is its place in the order.

    `payload` says what to do, as JSON; `result` what came of the last attempt, in words. The next attempt is
    not before `next_at`, and none is made after `until`. `percent` is how far the running attempt is; 100
    once the job has succeeded, else 0.
    """

    number: int
    kind: str
    id: str
    key: str
    name: str
    payload: dict[str, Any]
    state: State
    attempts: int
    percent: int
    result: str
    created_at: float
    updated_at: float
    next_at: float
    until: float | None
    finished_at: float | None
    owner: str = DEFAULT_OWNER
    lane: str = ""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """Which job is the first open one of its key, when it is due, and with which others it shares places."""

    kind: str
    id: str
    next_at: float
    lane: str


def add(
    connection: sqlite3.Connection,
    kind: str,
    id: str,
    payload: dict[str, Any],
    now: float,
    *,
    key: str = "",
    name: str = "",
    keep_trying_s: float | None = None,
    owner: str = DEFAULT_OWNER,
    lane: str = "",
) -> Job:
    """Queue a job behind those of its key (default: its id).

    Of the jobs of one `lane` that is not "", only a few are attempted at once.
    No attempt is made later than `keep_trying_s` from now. A job of the same id that has succeeded is
    forgotten. Raises sqlite3.IntegrityError where another one has it.
    """
    connection.execute("DELETE FROM jobs WHERE kind = ? AND id = ? AND state = 'succeeded'", (kind, id))
    until = None if keep_trying_s is None else now + keep_trying_s
    rows = connection.execute(
        "INSERT INTO jobs (kind, id, key, name, payload, state, created_at, updated_at, next_at, until, "
        "owner, lane) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?) RETURNING *",
        (kind, id, key or id, name, json.dumps(payload), now, now, now, until, owner, lane),
    )
    return _job(rows.fetchall()[0])


def get(connection: sqlite3.Connection, kind: str, id: str, owner: str | None = None) -> Job | None:
    """The job of this kind and id, of `owner` unless None; None when there is none or it was cancelled."""
    query = (
        "SELECT * FROM jobs WHERE kind = ? AND id = ? AND (? IS NULL OR owner = ?) AND state != 'cancelled'"
    )
    row = connection.execute(query, (kind, id, owner, owner)).fetchone()
    return None if row is None else _job(row)


def every(
    connection: sqlite3.Connection,
    kind: str,
    states: Collection[State] = (*OPEN, "succeeded", "failed"),
    *,
    key: str | None = None,
    owner: str | None = None,
    limit: int = -1,
) -> list[Job]:
    """The jobs of a kind in one of `states`, of `key` and `owner` unless None; newest first, to `limit`."""
    rows = connection.execute(
        "SELECT * FROM jobs WHERE kind = ? AND (? IS NULL OR key = ?) AND (? IS NULL OR owner = ?) "
        "AND state IN (SELECT value FROM json_each(?)) ORDER BY number DESC LIMIT ?",
        (kind, key, key, owner, owner, json.dumps(list(states)), limit),
    )
    return [_job(row) for row in rows]


def first_open(connection: sqlite3.Connection) -> list[OpenJob]:
    """The first open job of every kind and key, soonest due first: the only ones that may be attempted."""
    rows = connection.execute(
        "SELECT kind, id, next_at, lane FROM jobs WHERE number IN (SELECT min(number) FROM jobs "
        "WHERE state IN ('queued', 'running') GROUP BY kind, key) ORDER BY next_at, number"
    )
    return [OpenJob(*row) for row in rows]


def begin(connection: sqlite3.Connection, kind: str, id: str, now: float) -> Job | None:
    """Note that an attempt begins; None when the job is not open any more."""
    is_open = "state IN ('queued', 'running')"
    return _changed(connection, kind, id, is_open, now, "state = 'running', percent = 0")


def note_progress(connection: sqlite3.Connection, kind: str, id: str, percent: int) -> None:
    """Store how far the running attempt is; nothing happens when there is none."""
    connection.execute(
        "UPDATE jobs SET percent = ? WHERE kind = ? AND id = ? AND state = 'running'", (percent, kind, id)
    )


def finish(
    connection: sqlite3.Connection, kind: str, id: str, state: State, result: str, now: float
) -> Job | None:
    """Note that the running attempt was the last one; None when it was cancelled or deleted meanwhile."""
    change = "state = ?, result = ?, percent = ?, attempts = attempts + 1, finished_at = ?"
    percent = 100 if state == "succeeded" else 0
    return _changed(connection, kind, id, "state = 'running'", now, change, state, result, percent, now)


def try_again(
    connection: sqlite3.Connection, kind: str, id: str, result: str, now: float, next_at: float
) -> Job | None:
    """Note that the running attempt failed and the next one is due at `next_at`; None as `finish`."""
    change = "state = 'queued', result = ?, percent = 0, attempts = attempts + 1, next_at = ?"
    return _changed(connection, kind, id, "state = 'running'", now, change, result, next_at)


def requeue(connection: sqlite3.Connection) -> None:
    """Queue again whatever was running: its attempts were broken off, and do not count."""
    connection.execute("UPDATE jobs SET state = 'queued', percent = 0 WHERE state = 'running'")


def restart(
    connection: sqlite3.Connection, kind: str, id: str, now: float, keep_trying_s: float | None
) -> bool:
    """Queue a job again as if it had just been added, in its old place; whether there is one."""
    until = None if keep_trying_s is None else now + keep_trying_s
    change = "state = 'queued', percent = 0, attempts = 0, next_at = ?, until = ?, finished_at = NULL"
    return _changed(connection, kind, id, "1", now, change, now, until) is not None


def rename(connection: sqlite3.Connection, kind: str, id: str, name: str, now: float) -> Job | None:
    """Give a job another name; None when there is none."""
    return _changed(connection, kind, id, "state != 'cancelled'", now, "name = ?", name)


def cancel(connection: sqlite3.Connection, kind: str, id: str, now: float) -> Job | None:
    """Mark a job in any state as cancelled, until `remove`; None when there is none."""
    return _changed(connection, kind, id, "1", now, "state = 'cancelled', finished_at = ?", now)


def remove(connection: sqlite3.Connection, kind: str, id: str) -> None:
    """Delete the job's row, and those of what belongs to it: its webhooks, under its id as their key."""
    connection.execute(
        "DELETE FROM jobs WHERE (kind = ? AND id = ?) OR (key = ? AND kind != ?)", (kind, id, id, kind)
    )


def forget(connection: sqlite3.Connection, kind: str, states: Collection[State], before: float) -> None:
    """Delete the jobs of a kind that ended in one of `states` before a moment."""
    connection.execute(
        "DELETE FROM jobs WHERE kind = ? AND finished_at < ? AND state IN (SELECT value FROM json_each(?))",
        (kind, before, json.dumps(list(states))),
    )


def _changed(
    connection: sqlite3.Connection, kind: str, id: str, condition: str, now: float, change: str, *values: Any
) -> Job | None:
    rows = connection.execute(
        f"UPDATE jobs SET {change}, updated_at = ? WHERE kind = ? AND id = ? AND {condition} RETURNING *",  # noqa: S608 (our own)
        (*values, now, kind, id),
    ).fetchall()
    return _job(rows[0]) if rows else None


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    return Job(**{**values, "payload": json.loads(values["payload"])})
