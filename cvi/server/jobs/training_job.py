"""Training of ordered replicas: one at a time, in a process of its own that resumes where it was stopped."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cvi.child_process import module_command
from cvi.endpoints.outbound import OutboundClient
from cvi.errors import CviError
from cvi.face.replica_ids import replica_id
from cvi.files import write_text
from cvi.paths import home
from cvi.server.catalog.replica_store import ReplicaStore, StoredReplica
from cvi.server.contract import in_both_vocabularies
from cvi.server.jobs.child import ChildLostError, ChildTimeoutError, run_child
from cvi.server.jobs.queue import JobHandler, JobRun, RetryPolicy, TryAgainError
from cvi.server.jobs.received_files import (
    KEEP_UPLOADS_S,
    MOST_FILM_BYTES,
    UPLOAD_SCHEME,
    FootageError,
    Uploads,
    find_film,
    footage_folder,
    keep_film,
    make_footage_folder,
    need_free_space,
)
from cvi.server.jobs.training_orders import KIND, TrainingOrder
from cvi.server.jobs.training_process import TrainingTask
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.store import jobs
from cvi.server.store.database import Database
from cvi.server.store.jobs import OPEN, Job, State
from cvi.training.stages import STAGES

LONGEST_S = 48 * 3600.0
FETCH_WITHIN_S = 3600.0
STOP_WITHIN_S = 8.0
COMMAND = module_command("cvi.server.jobs.training_process")
_STARTED_PERCENT = 2

log = logging.getLogger("cvi.server.training")


class TrainingError(CviError):
    """The replica cannot be made."""


class TrainingJob(JobHandler):
    """Makes replicas; `client` fetches footage, `command` starts the child."""

    kind = KIND
    # Of a process that ends without a word, as one does that the system kills for its memory.
    retry = RetryPolicy(first_pause_s=1.0, most_attempts=3)
    keeps: tuple[State, ...] = ("failed",)

    def __init__(
        self,
        database: Database,
        client: OutboundClient,
        replicas: ReplicaStore,
        *,
        wall: Callable[[], float] = time.time,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._database = database
        self._client = client
        self._replicas = replicas
        self._wall = wall
        self._command = command

    async def start(self) -> None:
        """Remove what a server that was killed left of orders that are not open any more."""
        open_jobs = await self._database.read(lambda connection: jobs.every(connection, KIND, OPEN))
        await asyncio.to_thread(_sweep, {job.id for job in open_jobs})

    async def run(self, run: JobRun) -> str:
        """Fetch the films, then train; done at once where the replica is whole already."""
        job = run.job
        if await asyncio.to_thread(self._made, job) is not None:
            return ""  # the server was killed before it could store that
        order = TrainingOrder.model_validate(job.payload)
        task = await self._prepare(job.id, order)
        run.report(_STARTED_PERCENT)
        try:
            await run_child(
                self._command,
                task,
                task.folder / "worker.log",
                stages=_stage_percentages(),
                report=run.report,
                within_s=LONGEST_S,
                stop_within_s=lambda: 0.0 if run.deleted else STOP_WITHIN_S,
            )
        except ChildTimeoutError as error:
            raise TrainingError(error.message, "Give less footage, or a lower quality.") from error
        except ChildLostError as error:
            log.error("training ended without a word: %s", error, extra={"replica_id": job.id})
            raise TryAgainError(
                "Training ended before its work was done.", "The server's log says more."
            ) from error
        return ""

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        """Give the replica its title, and queue the order's callback."""
        answer = {"replica_id": job.id, "status": "ready"}
        if job.state == "succeeded":
            replica = self._made(job)
            if replica is not None:
                self._replicas.rename(replica, job.name)
        else:
            answer |= {"status": "error", "error_message": job.result}
        url = TrainingOrder.model_validate(job.payload).callback_url
        queue_webhook(
            connection, job.id, url, "replica", in_both_vocabularies(answer), self._wall(), job.owner
        )

    async def clean_up(self, job: Job) -> None:
        """Remove the footage and the work, however it ended."""
        await asyncio.to_thread(_remove_work, job.id, job.payload["name"])

    async def erase(self, job: Job) -> None:
        """Remove the footage, the work, and the replica if it was just made."""

        def work() -> None:
            _remove_work(job.id, job.payload["name"])
            replica = self._made(job)
            if replica is not None:
                self._replicas.delete(replica, hard=True)

        await asyncio.to_thread(work)

    async def _prepare(self, id: str, order: TrainingOrder) -> TrainingTask:
        """Put the films and texts of an order into its folder. Raises CviError, OSError."""
        folder = await asyncio.to_thread(make_footage_folder, id)
        paths: dict[str, Path] = {}
        for stem, address in order.films.items():
            paths[stem] = await self._film(folder, stem, address)
        for stem, text in (("consent", order.consent_text), ("script", order.script)):
            if text:
                paths[stem] = folder / f"{stem}.txt"
                await asyncio.to_thread(write_text, paths[stem], text)
        return TrainingTask(
            folder=folder,
            film=paths["footage"],
            consent=paths.get("consent"),
            script=paths.get("script"),
            name=order.name,
            consent_by=order.consent_by,
            quality=order.quality,
        )

    async def _film(self, folder: Path, stem: str, address: str) -> Path:
        """The film at an address, in the folder; fetched once."""
        film = await asyncio.to_thread(find_film, folder, stem)
        if film is not None:
            return film
        if address.startswith(UPLOAD_SCHEME):
            raise FootageError(f"The uploaded {stem} is gone.", "Send it again.")
        await asyncio.to_thread(need_free_space)
        path = folder / f"fetched-{stem}"
        await self._client.fetch(address, path, MOST_FILM_BYTES, FETCH_WITHIN_S)
        return await asyncio.to_thread(keep_film, path, folder, stem)

    def _made(self, job: Job) -> StoredReplica | None:
        """The finished replica, if it was made for this job and is not another one that took its name."""
        replica = self._replicas.find(job.id)
        training = replica.card.get("training") if replica is not None and replica.own else None
        source = training.get("footage", {}).get("path", "") if isinstance(training, dict) else ""
        return replica if Path(str(source)).parent == footage_folder(job.id) else None


def _remove_work(id: str, name: str) -> None:
    # The films last: where they are, `_sweep` knows that something was left.
    shutil.rmtree(home() / "training" / name, ignore_errors=True)
    shutil.rmtree(footage_folder(id), ignore_errors=True)


def _sweep(open_ids: set[str]) -> None:
    Uploads.forget_old(time.time() - KEEP_UPLOADS_S)
    footage, work = home() / "footage", home() / "training"
    names = {replica_id(folder.name): folder.name for folder in work.iterdir()} if work.is_dir() else {}
    for folder in list(footage.iterdir()) if footage.is_dir() else ():
        if folder.name not in open_ids:
            _remove_work(folder.name, names.get(folder.name, ".none"))


def _stage_percentages() -> dict[str, tuple[int, int]]:
    """Where each stage begins and ends, of a hundred."""
    found: dict[str, tuple[int, int]] = {}
    begun = _STARTED_PERCENT
    for stage, (_, end) in STAGES.items():
        found[stage] = (begun, end)
        begun = end
    return found
