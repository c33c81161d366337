"""Replicas ordered through the API: checked, stored as jobs until they are whole, shown and deleted.

An order that cannot be carried out stays, as `error`, until it is deleted.
"""

from __future__ import annotations

import asyncio
import copy
import re
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel

from cvi.errors import MissingError
from cvi.face.replica_ids import replica_id
from cvi.perception.face_mesh import find_packages
from cvi.server.catalog.deleted_ids import note_deleted
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.contract import HttpProblem, in_both_vocabularies, iso
from cvi.server.jobs.queue import JobQueue
from cvi.server.jobs.received_files import UPLOAD_SCHEME, Uploads, keep_film, make_footage_folder
from cvi.server.store import jobs
from cvi.server.store.database import Database
from cvi.server.store.jobs import OPEN, Job, State
from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.owners import FileOwners

KIND = "training"
SHOWN: tuple[State, ...] = (*OPEN, "failed")
"""The states of a replica in the making; one that succeeded is a replica."""
MOST_OPEN = 8
"""How many may wait or be in training at once; further orders are refused."""
NEEDED_PACKAGES = ("torch", "safetensors")
LONGEST_NAME = 48
UNNAMED_PERSON = "the person in the footage"
"""Who agrees in a film, where nobody says so."""


class TrainingOrder(BaseModel):
    """What a replica is made from: URLs or `upload:` addresses of films, and texts; "" is none.

    `name` is the replica's folder. Without `consent_video_url` and `consent_text` the footage begins with the
    consent, which `consent_by` gives. `script` is what is read in the footage.
    """

    name: str = ""
    train_video_url: str
    consent_video_url: str = ""
    consent_text: str = ""
    consent_by: str = ""
    script: str = ""
    quality: Literal["tiny", "standard", "high"] = "standard"
    callback_url: str = ""

    @property
    def films(self) -> dict[str, str]:
        """The addresses of the films by the names that they have in the footage folder."""
        named = {"footage": self.train_video_url, "consent": self.consent_video_url}
        return {stem: address for stem, address in named.items() if address}


def missing_for_training() -> str | None:
    """What this machine lacks for training, with the command that installs it; None where nothing is missing.

    Looks at the disk, imports nothing.
    """
    for name in NEEDED_PACKAGES:
        if find_spec(name) is None:
            return f"Training a replica needs {name}, which the server lacks. pip install 'cvi-local[train]'"
    try:
        find_packages()
    except MissingError as error:
        return str(error)
    return None


def check_consent_wording(text: str, by: str) -> None:
    """Check a consent in words as the pipeline will, before the replica is ordered.

    Raises `UsageError` for a wording that is no consent, or does not say who agrees.
    """
    from cvi.training.package.consent import give_consent

    # With a line's end in it, it is never taken for the path of a file.
    give_consent(f"{text}\n", "", who=by or None)


def folder_name(title: str, taken: Collection[str], apart: str = "") -> str:
    """A replica name that the command line accepts, close to the title with `apart`, and not in `taken`.

    >>> folder_name("Anna Müller", {"anna-muller"})
    'anna-muller-2'
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_NAME].strip("-") or "replica"
    stem += apart
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


class TrainingOrders:
    """The replicas in the making, for the API. `uploads` are films that wait for an order."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        replicas: ReplicaStore,
        owners: FileOwners,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.uploads = Uploads(owners)
        self._owners = owners
        self._owner: str | None = None
        self._database = database
        self._queue = queue
        self._replicas = replicas
        self._wall = wall

    def seen_by(self, owner: str) -> TrainingOrders:
        """The orders and uploads of one owner."""
        seen = copy.copy(self)
        seen._owner = owner
        seen.uploads = self.uploads.seen_by(owner)
        return seen

    async def add(self, title: str, order: TrainingOrder) -> Job:
        """Queue an order with a free folder name, and take its uploads.

        Raises `HttpProblem` where too many wait, `UsageError` for an upload that is not here, `FootageError`
        for one that is no film.
        """
        taken = await asyncio.to_thread(self._replicas.taken)
        now, owner = self._wall(), self._owner or DEFAULT_OWNER
        # A number would tell what others have called theirs.
        apart = "" if owner == DEFAULT_OWNER else f"-{secrets.token_hex(6)}"

        def store(connection: sqlite3.Connection) -> Job:
            known = jobs.every(connection, KIND, (*SHOWN, "cancelled"))
            if sum(job.state in OPEN and job.owner == owner for job in known) >= MOST_OPEN:
                message = f"{MOST_OPEN} replicas are in the making already; wait for one of them."
                raise HttpProblem(429, message, "message", {"retry-after": "600"})
            uploaded = {
                stem: self.uploads.find(address)
                for stem, address in order.films.items()
                if address.startswith(UPLOAD_SCHEME)
            }
            name = folder_name(title, {*taken, *(job.payload["name"] for job in known)}, apart)
            id = replica_id(name)
            for stem, path in uploaded.items():
                keep_film(path, make_footage_folder(id), stem)
            payload = order.model_copy(update={"name": name}).model_dump()
            self._owners.claim("replica", name, owner, connection)
            return jobs.add(connection, KIND, id, payload, now, name=title, owner=owner)

        job = await self._database.write(store)
        self._queue.wake()
        return job

    async def every(self) -> list[Job]:
        """The orders that are no replica yet, newest first."""
        return await self._database.read(
            lambda connection: jobs.every(connection, KIND, SHOWN, owner=self._owner)
        )

    async def find(self, id: str) -> Job | None:
        """An order by its replica's id, or by the name that the replica's folder will have."""
        return next((job for job in await self.every() if id in (job.id, job.payload["name"])), None)

    async def rename(self, job: Job, title: str) -> bool:
        """Give the replica in the making another title; False where it has been made meanwhile."""
        now = self._wall()
        renamed = await self._database.write(
            lambda connection: jobs.rename(connection, KIND, job.id, title, now)
        )
        return renamed is None or renamed.state != "succeeded"

    async def delete(self, job: Job) -> None:
        """Delete an order and everything that was made of it, its footage too; stops its training."""
        await self._queue.delete(KIND, job.id)
        await asyncio.to_thread(note_deleted, job.id, job.owner)


def show_training(job: Job) -> dict[str, Any]:
    """A replica in the making as the API answers it."""
    return in_both_vocabularies(
        {
            "replica_id": job.id,
            "replica_name": job.name,
            "replica_type": "user",
            "status": "error" if job.state == "failed" else "started",
            "training_progress": f"{job.percent}/100",
            "error_message": job.result if job.state == "failed" else None,
            "thumbnail_video_url": None,
            "thumbnail_image_url": None,
            "model_name": "neural",
            "created_at": iso(job.created_at),
            "updated_at": iso(job.updated_at),
        }
    )
