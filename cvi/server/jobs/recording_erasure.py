"""Recordings in buckets whose conversation was erased, or that were kept long enough: erased there too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from pydantic import BaseModel

from cvi.conversation.journal import RECORDING_NAME
from cvi.server.jobs.buckets import Bucket, StorageError, erase
from cvi.server.jobs.queue import JobHandler, JobRun, RetryPolicy, TryAgainError
from cvi.server.store import jobs
from cvi.server.store.conversations import ConversationRow

KIND = "recording-erasure"
KEEP_TRYING_S = 7 * 24 * 3600.0


class _Payload(BaseModel):
    """The bucket and the object's key in it; nothing else of the conversation."""

    bucket: dict[str, str]
    key: str


def queue_erasure(connection: sqlite3.Connection, row: ConversationRow, now: float) -> None:
    """Queue the erasure of a conversation's recording in its bucket; nothing where it has none."""
    bucket = row.request.get("recording_bucket")
    if bucket is None or jobs.get(connection, KIND, row.id) is not None:
        return
    payload = _Payload(bucket=bucket, key=f"{row.id}/{RECORDING_NAME}").model_dump()
    jobs.add(connection, KIND, row.id, payload, now, keep_trying_s=KEEP_TRYING_S, owner=row.owner)


class RecordingErasure(JobHandler):
    """Deletes objects with `erase`; tries for a week."""

    kind = KIND
    retry = RetryPolicy(first_pause_s=5.0, longest_pause_s=3600.0, jitter=0.2)

    def __init__(self, *, erase: Callable[[Bucket, str], None] = erase) -> None:
        self._erase = erase

    async def run(self, run: JobRun) -> str:
        """Delete once."""
        payload = _Payload.model_validate(run.job.payload)
        try:
            await asyncio.to_thread(self._erase, Bucket(**payload.bucket), payload.key)
        except StorageError as error:
            raise TryAgainError(error.message) from error
        return ""
