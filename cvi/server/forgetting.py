"""Erasing a participant from what a server keeps: conversations, events, webhooks, uploads, requests."""

from __future__ import annotations

import asyncio
import sqlite3
import time

from cvi.conversation.journal import RECORDING_NAME
from cvi.errors import UsageError
from cvi.memory.forgetting import ForgottenThings
from cvi.paths import conversations_dir
from cvi.server.retention import erase_conversation
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow
from cvi.server.store.database import Database, database_path

_BY_NAME = (
    "SELECT id FROM conversations WHERE owner = :owner AND ("
    "EXISTS (SELECT 1 FROM json_each(request, '$.participant_tags') WHERE value = :name) OR "
    "EXISTS (SELECT 1 FROM json_each(request, '$.memory_stores') WHERE value = :name))"
)


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
        await database.write(lambda connection: _forget_requests(connection, participant, owner))
        await database.scrub()
    finally:
        await database.close()


def _rows(connection: sqlite3.Connection, participant: str, owner: str) -> list[ConversationRow]:
    ids = [row["id"] for row in connection.execute(_BY_NAME, {"owner": owner, "name": participant})]
    found = (conversations.get_conversation(connection, id, owner, deleted=True) for id in ids)
    return [row for row in found if row is not None]


def _forget_requests(connection: sqlite3.Connection, participant: str, owner: str) -> None:
    connection.execute("UPDATE audit SET target = '' WHERE target = ? AND owner = ?", (participant, owner))
