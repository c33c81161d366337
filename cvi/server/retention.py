"""Erasing: conversations, recordings kept for as long as their persona says, and all of a participant."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cvi.conversation.journal import RECORDING_NAME
from cvi.errors import CviError, UsageError
from cvi.memory.forgetting import ForgottenThings
from cvi.memory.store import normalized_name
from cvi.paths import conversations_dir
from cvi.server.jobs.recording_erasure import queue_erasure
from cvi.server.store import conversations, resources
from cvi.server.store.conversations import ConversationRow
from cvi.server.store.database import Database, database_path
from cvi.server.store.stored_json import readable

DAY_S = 24 * 3600.0


async def erase_conversation(database: Database, row: ConversationRow, now: float) -> None:
    """Erase all of a conversation that has ended: its files first, then its rows, webhooks and upload.

    A recording in a bucket is erased by a job. Raises `CviError` where a file cannot be erased; then the rows
    stay, and it can be asked for again.
    """
    folder = conversations_dir() / row.id
    try:
        await asyncio.to_thread(_remove, folder)
    except OSError as error:
        raise CviError(
            f"The conversation's files cannot be erased: {error.strerror or error}.", "Try again."
        ) from error

    def erase(connection: sqlite3.Connection) -> None:
        conversations.delete_conversation(connection, row.id, hard=True)
        queue_erasure(connection, row, now)

    await database.write(erase)
    await database.scrub()


async def erase_old_recordings(database: Database, now: float) -> int:
    """Erase the recordings whose persona's `recording.keep_days` are over; returns how many."""

    def look(connection: sqlite3.Connection) -> list[ConversationRow]:
        rows = connection.execute(
            "SELECT id FROM conversations WHERE status = 'ended' "
            "AND updated_at + ? * json_extract(request, '$.recording_keep_days') < ?",
            (DAY_S, now),
        ).fetchall()
        found = (conversations.get_conversation(connection, row["id"], deleted=True) for row in rows)
        return [row for row in found if row is not None]

    old = await database.read(look)
    for row in old:
        path = conversations_dir() / row.id / RECORDING_NAME
        await asyncio.to_thread(path.unlink, missing_ok=True)

        def note(connection: sqlite3.Connection, row: ConversationRow = row) -> None:
            request = {**row.request, "recording_keep_days": None}
            connection.execute(
                "UPDATE conversations SET request = ? WHERE id = ?", (json.dumps(request), row.id)
            )
            queue_erasure(connection, row, now)

        await database.write(note)
    return len(old)


def _remove(path: object) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(str(path))


async def forget_served(participant: str, owner: str, into: ForgottenThings) -> None:
    """Erase what the server's database and folders hold of an owner's participant; nothing without a server.

    Raises UsageError while one of their conversations runs, CviError when something cannot be erased.
    """
    if not database_path().exists():
        return
    database = Database(database_path())
    await database.open()
    try:
        rows = await database.read(lambda connection: _rows(connection, participant, owner))
        await _forget(database, rows, into)
        tagged = await database.read(lambda connection: _tagged_documents(connection, participant, owner))
        into.elsewhere += [f"the document {id}, which has the name as a tag: delete it" for id in tagged]
        await database.write(lambda connection: _forget_requests(connection, participant, owner))
        await database.scrub()
    finally:
        await database.close()


async def forget_served_conversation(id: str, into: ForgottenThings) -> None:
    """Erase what the server's database and folders hold of one conversation; nothing where it is none of a
    server's. Raises as `forget_served`."""
    if not database_path().exists():
        return
    database = Database(database_path())
    await database.open()
    try:
        row = await database.read(lambda there: conversations.get_conversation(there, id, deleted=True))
        await _forget(database, [] if row is None else [row], into)
    finally:
        await database.close()


async def _forget(database: Database, rows: Sequence[ConversationRow], into: ForgottenThings) -> None:
    running = [row.id for row in rows if row.status == "active"]
    if running:
        raise UsageError(f"The conversation {running[0]} is running.", "End it first.")
    for row in rows:
        recorded = await asyncio.to_thread((conversations_dir() / row.id / RECORDING_NAME).is_file)
        await erase_conversation(database, row, time.time())
        into.conversations.append(row.id)
        into.recordings += recorded
        if row.request.get("recording_bucket"):
            into.elsewhere.append(f"the recording of {row.id} in its bucket: a running server erases it")


def _rows(connection: sqlite3.Connection, participant: str, owner: str) -> list[ConversationRow]:
    """The owner's conversations whose request names the participant, however it was written."""
    held = connection.execute("SELECT id, request FROM conversations WHERE owner = ?", (owner,)).fetchall()
    ids = [row["id"] for row in held if participant in _named(readable(row["request"], row["id"]) or {})]
    found = (conversations.get_conversation(connection, id, owner, deleted=True) for id in ids)
    return [row for row in found if row is not None]


def _named(request: Mapping[str, Any]) -> set[str]:
    names = [*(request.get("participant_tags") or ()), *(request.get("memory_stores") or ())]
    return {normalized_name(str(name)) for name in names}


def _tagged_documents(connection: sqlite3.Connection, participant: str, owner: str) -> list[str]:
    every = resources.every(connection, "documents", owner)
    return [each.id for each in every if participant in _named(each.document)]


def _forget_requests(connection: sqlite3.Connection, participant: str, owner: str) -> None:
    """Take the name out of entries of the audit log that an earlier version wrote with it."""
    name = participant[:100]
    connection.execute(
        "UPDATE audit SET target = '' WHERE owner = ? AND (target = ? OR substr(target, 1, ?) = ?)",
        (owner, name, len(name) + 1, f"{name} "),
    )
