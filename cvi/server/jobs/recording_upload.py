"""Recordings that belong in a bucket: uploaded, and retried for a day.

`application.recording_ready` is sent once a recording is where it belongs. One that cannot be stored there
stays on this machine, and the event carries `storage_error`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cvi.conversation.journal import RECORDING_NAME
from cvi.paths import conversations_dir
from cvi.server.jobs.buckets import Bucket, StorageError, upload
from cvi.server.jobs.queue import JobHandler, JobRun, RetryPolicy, TryAgainError
from cvi.server.store import conversations, jobs
from cvi.server.store.conversations import ConversationRow
from cvi.server.store.database import Database
from cvi.server.store.jobs import Job

KIND = "recording"
KEEP_TRYING_S = 24 * 3600.0

AddEvent = Callable[[sqlite3.Connection, ConversationRow, str, dict[str, Any], float], None]
"""Stores an event of a conversation, and queues its webhook."""


class _Payload(BaseModel):
    """The properties of `recording_ready`, and the bucket to upload to."""

    recording: dict[str, Any]
    bucket: dict[str, str]


def queue_upload(
    connection: sqlite3.Connection,
    conversation_id: str,
    recording: dict[str, Any],
    bucket: dict[str, str],
    now: float,
) -> None:
    """Queue the upload of a conversation's recording.

    `recording` are the properties of its event, with the object's key under `s3_key`; `bucket` is what
    `Bucket.document` gave.
    """
    payload = _Payload(recording=recording, bucket=bucket).model_dump()
    jobs.add(connection, KIND, conversation_id, payload, now, keep_trying_s=KEEP_TRYING_S)


class RecordingUpload(JobHandler):
    """Uploads recordings with `upload`, and stores with `add_event` where they are."""

    kind = KIND
    retry = RetryPolicy(first_pause_s=5.0, longest_pause_s=3600.0, jitter=0.2)

    def __init__(
        self,
        database: Database,
        add_event: AddEvent,
        *,
        upload: Callable[[Path, Bucket, str], None] = upload,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._add_event = add_event
        self._upload = upload
        self._wall = wall

    async def start(self) -> None:
        """Remove what an earlier process had uploaded and not yet removed."""
        uploaded = await self._database.read(lambda connection: jobs.every(connection, KIND, ["succeeded"]))
        for job in uploaded:
            await self.clean_up(job)

    async def run(self, run: JobRun) -> str:
        """Upload once."""
        payload = _Payload.model_validate(run.job.payload)
        try:
            await asyncio.to_thread(
                self._upload, _file(run.job), Bucket(**payload.bucket), str(payload.recording["s3_key"])
            )
        except StorageError as error:
            raise TryAgainError(error.message) from error
        return ""

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        """Store the event that says where the recording is, unless the conversation was deleted meanwhile."""
        payload = _Payload.model_validate(job.payload)
        recording = dict(payload.recording)
        if job.state == "succeeded":
            recording["bucket_name"] = payload.bucket["name"]
            recording.pop("download_url", None)
        else:
            recording["storage_error"] = job.result
        row = conversations.get_conversation(connection, job.id)
        if row is not None:
            self._add_event(connection, row, "application.recording_ready", recording, self._wall())

    async def clean_up(self, job: Job) -> None:
        """A recording that lies in the bucket is not kept here."""
        if job.state == "succeeded":
            await asyncio.to_thread(_file(job).unlink, missing_ok=True)


def _file(job: Job) -> Path:
    return conversations_dir() / job.id / RECORDING_NAME
