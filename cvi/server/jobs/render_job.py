"""Films ordered through the API: stored as jobs, rendered in turn, reported to the order's callback.

A film is rendered by a process of its own, which resumes where it was stopped.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cvi.child_process import module_command
from cvi.endpoints.outbound import OutboundClient
from cvi.errors import CviError
from cvi.face.replica_ids import replica_id
from cvi.paths import home
from cvi.rendering.film_request import FilmRequest
from cvi.server.catalog.well_known_ids import substitution
from cvi.server.contract import in_both_vocabularies, iso
from cvi.server.jobs.child import ChildLostError, run_child
from cvi.server.jobs.queue import JobHandler, JobQueue, JobRun
from cvi.server.jobs.received_files import is_media
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.store import jobs
from cvi.server.store.database import Database
from cvi.server.store.jobs import Job, State
from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.resources import new_id

KIND = "film"
LONGEST_S = 4 * 3600.0
MOST_SPEECH_BYTES = 200 << 20
COMMAND = module_command("cvi.server.jobs.render_process")
STATUSES: dict[State, str] = {
    "queued": "queued",
    "running": "generating",
    "succeeded": "ready",
    "failed": "error",
}
"""What the contract calls the states."""
# Of a hundred: where each step begins and ends.
_STEPS = {"speech": (0, 10), "picture": (10, 97), "joining": (97, 99)}

log = logging.getLogger("cvi.server.films")


class FilmOrder(BaseModel):
    """What a film is ordered with: `script` or `audio_url`. `replica` is the folder of `replica_id`."""

    replica_id: str
    replica: str
    script: str = ""
    audio_url: str = ""
    callback_url: str = ""


class SpeechError(CviError):
    """The recorded speech cannot be used."""


def film_path(video_id: str) -> Path:
    """Where a film lies once it is rendered."""
    return home() / "films" / video_id / "film.mp4"


class FilmOrders:
    """The films of this server, for the API. `url` is the server's own address."""

    def __init__(
        self, database: Database, queue: JobQueue, url: str, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._queue = queue
        self._url = url
        self._wall = wall
        self._owner: str | None = None

    def seen_by(self, owner: str) -> FilmOrders:
        """The films of one owner."""
        seen = copy.copy(self)
        seen._owner = owner
        return seen

    async def add(self, name: str, order: FilmOrder) -> Job:
        """Queue a film."""
        id, now, payload = new_id("v"), self._wall(), order.model_dump()
        owner = self._owner or DEFAULT_OWNER
        job = await self._database.write(
            lambda connection: jobs.add(connection, KIND, id, payload, now, name=name, owner=owner)
        )
        self._queue.wake()
        return job

    async def every(self) -> list[Job]:
        """All films, newest first."""
        return await self._database.read(lambda connection: jobs.every(connection, KIND, owner=self._owner))

    async def find(self, video_id: str) -> Job | None:
        """A film by its id."""
        return await self._database.read(lambda connection: jobs.get(connection, KIND, video_id, self._owner))

    async def rename(self, video_id: str, name: str) -> Job | None:
        """Give a film another name; None when there is none."""
        if await self.find(video_id) is None:
            return None
        now = self._wall()
        return await self._database.write(
            lambda connection: jobs.rename(connection, KIND, video_id, name, now)
        )

    async def delete(self, video_id: str) -> bool:
        """Delete a film, stopping its rendering; whether there was one."""
        if await self.find(video_id) is None:
            return False
        return await self._queue.delete(KIND, video_id)

    def show(self, job: Job) -> dict[str, Any]:
        """A film as the API answers it."""
        return show_film(job, self._url)


def show_film(job: Job, url: str) -> dict[str, Any]:
    """A film as the API answers it and as its callback tells it; `url` is the server's address."""
    order = FilmOrder.model_validate(job.payload)
    ready = job.state == "succeeded"
    page = f"{url}/v2/videos/{job.id}/film"
    own = replica_id(order.replica)
    foreign = order.replica_id not in (own, order.replica)
    noted = [substitution("replica", order.replica_id, own, order.replica)] if foreign else []
    return in_both_vocabularies(
        {
            "video_id": job.id,
            "video_name": job.name,
            "replica_id": order.replica_id,
            "status": STATUSES[job.state],
            "status_details": "",
            "error_details": job.result if job.state == "failed" else "",
            "data": {key: getattr(order, key) for key in ("script", "audio_url") if getattr(order, key)},
            "download_url": page if ready else None,
            "stream_url": None,
            "hosted_url": page,
            "generation_progress": f"{job.percent}/100",
            "created_at": iso(job.created_at),
            "updated_at": iso(job.updated_at),
            **({"substituted_for": noted} if noted else {}),
        }
    )


class RenderJob(JobHandler):
    """Renders films one at a time, so that conversations keep the machine."""

    kind = KIND
    keeps: tuple[State, ...] = ("succeeded", "failed")

    def __init__(
        self,
        client: OutboundClient,
        *,
        url: str,
        profile: str,
        wall: Callable[[], float] = time.time,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """`client` fetches recorded speech; `url` is the server's address; `command` starts the child."""
        self._client = client
        self._url = url
        self._profile = profile
        self._wall = wall
        self._command = command

    async def run(self, run: JobRun) -> str:
        """Render the film, or go on with it."""
        order = FilmOrder.model_validate(run.job.payload)
        film = film_path(run.job.id)
        await asyncio.to_thread(film.parent.mkdir, parents=True, exist_ok=True)
        audio = await self._fetch_speech(order.audio_url, film.parent) if order.audio_url else None
        request = FilmRequest(
            output=film,
            text=None if audio else order.script,
            audio=audio,
            replica=order.replica,
            profile=self._profile,
        )
        log_path = film.parent / "render.log"
        try:
            await run_child(
                self._command,
                request,
                log_path,
                stages=_STEPS,
                report=run.report,
                within_s=LONGEST_S,
                stop_within_s=lambda: 0.0,
            )
        except ChildLostError as error:
            log.error("rendering ended without a word: %s", error, extra={"video_id": run.job.id})
            raise CviError("It failed.") from error
        await asyncio.to_thread(log_path.unlink, missing_ok=True)
        return ""

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        """Queue the order's callback: the film as the API answers it."""
        order = FilmOrder.model_validate(job.payload)
        queue_webhook(
            connection,
            job.id,
            order.callback_url,
            "video",
            show_film(job, self._url),
            self._wall(),
            job.owner,
        )

    async def erase(self, job: Job) -> None:
        """Remove the film and what it was made from."""
        await asyncio.to_thread(shutil.rmtree, film_path(job.id).parent, ignore_errors=True)

    async def _fetch_speech(self, url: str, folder: Path) -> Path:
        """The file at `url`, fetched once. Raises CviError."""
        path = folder / "speech"
        if not await asyncio.to_thread(path.is_file):
            await self._client.fetch(url, path, MOST_SPEECH_BYTES)
        if not await asyncio.to_thread(is_media, path):
            await asyncio.to_thread(path.unlink)
            raise SpeechError("audio_url leads to no sound.", "Give wav, mp3, flac, ogg, m4a, mp4 or webm.")
        return path
