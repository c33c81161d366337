"""The queue of recordings that are to be put elsewhere: kept through crashes, repeated for a day.

A recording is told of (`application.recording_ready`) once it lies where it belongs. One that cannot be put
there stays on this machine, and that is told.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvi.conversation.journal import RECORDING_NAME
from cvi.paths import conversations_dir
from cvi.server.recordings.storage import Bucket, StorageError, put
from cvi.server.rooms import event_store
from cvi.server.store import conversations, resources
from cvi.server.store.database import Database
from cvi.server.store.resources import Resource

KIND = event_store.UPLOADS
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0
KEEP_TRYING_S = 24 * 3600.0

log = logging.getLogger("cvi.server.recordings")


class Carrier:
    """One recording at a time. `start` and `stop` it with the server; `wake` when one was queued."""

    def __init__(
        self,
        database: Database,
        *,
        webhooks_wait: Callable[[], None],
        wall: Callable[[], float] = time.time,
        put: Callable[[Path, Bucket, str], None] = put,
    ) -> None:
        self._database = database
        self._webhooks_wait = webhooks_wait
        self._wall = wall
        self._put = put
        self._queued = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        self._queued.set()

    async def stop(self) -> None:
        """What is under way is begun again by the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._queued.clear()
            waiting = await self._database.read(lambda there: resources.every(there, KIND))
            if not waiting:
                await self._queued.wait()
                continue
            first = min(waiting, key=lambda each: float(each.document["next_at"]))
            pause_s = float(first.document["next_at"]) - self._wall()
            if pause_s > 0:
                try:
                    async with asyncio.timeout(pause_s):
                        await self._queued.wait()
                except TimeoutError:
                    pass
                continue
            await self._carry(first)

    async def _carry(self, upload: Resource) -> None:
        told = dict(upload.document["recording"])
        bucket = Bucket(**upload.document["bucket"])
        path = conversations_dir() / upload.id / RECORDING_NAME
        try:
            await asyncio.to_thread(self._put, path, bucket, str(told["s3_key"]))
        except StorageError as error:
            log.warning("recording not stored: %s", error.message, extra={"conversation_id": upload.id})
            if self._wall() - upload.created_at < KEEP_TRYING_S:
                await self._again(upload)
                return
            told["storage_error"] = error.message
        else:
            told["bucket_name"] = bucket.name
            told.pop("download_url", None)
            await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._tell(upload.id, told)

    async def _again(self, upload: Resource) -> None:
        tries = int(upload.document["tries"]) + 1
        pause_s = min(FIRST_PAUSE_S * 2 ** min(tries - 1, 20), LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
        now = self._wall()
        document = {**upload.document, "tries": tries, "next_at": now + pause_s}
        await self._database.write(
            lambda there: resources.replace(there, KIND, upload.id, upload.name, document, now)
        )

    async def _tell(self, conversation_id: str, told: dict[str, Any]) -> None:
        now = self._wall()

        def tell(connection: sqlite3.Connection) -> None:
            resources.remove(connection, KIND, conversation_id)
            row = conversations.get_conversation(connection, conversation_id)
            if row is not None:  # else it was deleted meanwhile
                event_store.add_event(connection, row, "application.recording_ready", told, now)

        await self._database.write(tell)
        self._webhooks_wait()
