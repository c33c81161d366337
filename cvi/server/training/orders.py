"""The replicas that were ordered, kept until they are whole; one that cannot be made stays, with why."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection
from typing import Any

from cvi.server.answers import HttpProblem, iso
from cvi.server.catalog.replica_store import replica_id
from cvi.server.store import outbox, resources
from cvi.server.store.database import Database
from cvi.server.store.resources import Resource
from cvi.server.training import footage
from cvi.server.training.footage import Uploads
from cvi.server.training.naming import folder_name
from cvi.server.vocabulary import both

KIND = "training"
MOST = 8
"""That wait or are made at once; what more is asked for is refused."""
FILMS = (("footage", "train_video_url"), ("consent", "consent_video_url"))
"""What a film is called in its folder, and where an order says it comes from."""


class Orders:
    """A row is an order; its document has `name`, the folder's, `status` "started" or "error", and what was
    asked for. `wall` is the time of day in Unix seconds."""

    def __init__(self, database: Database, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    async def add(
        self, title: str, document: dict[str, Any], taken: Collection[str], uploads: Uploads
    ) -> Resource:
        """Keep an order and take its uploads; `taken` are names that it cannot have.

        `document` has `train_video_url`, `consent_video_url`, `consent_text`, `consent_by`, `script`,
        `quality` and `callback_url`. Raises `HttpProblem` where too many wait, `UsageError` for an
        upload that is not here.
        """
        now = self._wall()

        def keep(connection: sqlite3.Connection) -> Resource:
            rows = resources.every(connection, KIND)
            if sum(row.document["status"] == "started" for row in rows) >= MOST:
                told = f"{MOST} replicas are in the making already; wait for one of them."
                raise HttpProblem(429, told, "message", {"retry-after": "600"})
            sent = {
                stem: uploads.find(document[key])
                for stem, key in FILMS
                if document[key].startswith(footage.SCHEME)
            }
            name = folder_name(title, {*taken, *(row.document["name"] for row in rows)})
            id = replica_id(name)
            for stem, path in sent.items():
                footage.keep_film(path, footage.make_folder(id), stem)
            said = {**document, "name": name, "status": "started", "attempts": 0}
            return resources.add(connection, KIND, id, title, said, now)

        return await self._database.write(keep)

    async def every(self) -> list[Resource]:
        """Newest first."""
        return await self._database.read(lambda there: resources.every(there, KIND))

    async def find(self, id: str) -> Resource | None:
        """By id, or by the name that its folder has or will have."""
        return next((row for row in await self.every() if id in (row.id, row.document["name"])), None)

    async def rename(self, order: Resource, title: str) -> None:
        await self._change(order, lambda kept: (title, kept.document))

    async def remove(self, order: Resource) -> None:
        await self._database.write(lambda there: resources.remove(there, KIND, order.id))

    async def attempted(self, order: Resource) -> int:
        """Note one more attempt that failed without a word; how many there were."""
        kept = await self._change(
            order, lambda kept: (kept.name, {**kept.document, "attempts": kept.document["attempts"] + 1})
        )
        return 0 if kept is None else int(kept.document["attempts"]) + 1

    async def settle(self, order: Resource, error: str | None) -> None:
        """Note how it ended, and put its webhook into the outbox: at once, or not at all."""
        now = self._wall()

        def note(connection: sqlite3.Connection) -> None:
            kept = resources.get(connection, KIND, order.id)
            if kept is None:
                return
            said: dict[str, Any] = {"replica_id": order.id, "status": "ready"}
            if error is None:
                resources.remove(connection, KIND, order.id)
            else:
                said |= {"status": "error", "error_message": error}
                document = {**kept.document, "status": "error", "error": error}
                resources.replace(connection, KIND, order.id, kept.name, document, now)
            outbox.put(connection, order.id, kept.document["callback_url"], "replica", both(said), now)

        await self._database.write(note)

    async def _change(
        self, order: Resource, change: Callable[[Resource], tuple[str, dict[str, Any]]]
    ) -> Resource | None:
        """Change what is kept, unless it was removed; what was kept before."""

        def work(connection: sqlite3.Connection) -> Resource | None:
            kept = resources.get(connection, KIND, order.id)
            if kept is not None:
                resources.replace(connection, KIND, order.id, *change(kept), self._wall())
            return kept

        return await self._database.write(work)


def show(order: Resource, percent: int) -> dict[str, Any]:
    """A replica in the making as the API answers it."""
    said = order.document
    return both(
        {
            "replica_id": order.id,
            "replica_name": order.name,
            "replica_type": "user",
            "status": said["status"],
            "training_progress": f"{percent}/100",
            "error_message": said.get("error"),
            "thumbnail_video_url": None,
            "thumbnail_image_url": None,
            "model_name": "neural",
            "created_at": iso(order.created_at),
            "updated_at": iso(order.updated_at),
        }
    )
