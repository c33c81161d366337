"""The queue of replicas: made in turn, and told when they are whole or cannot be.

Each is made by a process of its own, which goes on where it was stopped; so after a crash or a stop of the
server its replicas are simply begun again.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cvi.endpoints.outbound import OutboundClient
from cvi.errors import CviError
from cvi.files import write_bytes
from cvi.paths import home
from cvi.server.catalog.replica_store import ReplicaStore, StoredReplica, replica_id
from cvi.server.rooms.process import LOG_NAME, WorkerProcess
from cvi.server.store.resources import Resource
from cvi.server.training import footage, orders
from cvi.server.training.footage import FootageError, Uploads
from cvi.server.training.orders import FILMS, Orders

MOST_ATTEMPTS = 3
"""Of a process that dies without a word, as one does that the system kills for its memory."""
LONGEST_S = 48 * 3600.0
FETCH_WITHIN_S = 3600.0
STOP_WITHIN_S = 8.0
TRAIN = (sys.executable, "-m", "cvi.server.training")
# Of a hundred: where each stage begins and ends.
STAGES = {"track": (2, 12), "prepare": (12, 18), "train": (18, 92), "export": (92, 95), "evaluate": (95, 99)}

log = logging.getLogger("cvi.server.training")


class TrainingError(CviError):
    """The replica cannot be made."""


class Atelier:
    """One replica at a time, behind the conversations. `start` and `stop` it with the server."""

    def __init__(
        self,
        kept: Orders,
        caller: OutboundClient,
        replicas: ReplicaStore,
        *,
        webhooks_wait: Callable[[], None],
        train: Sequence[str] = TRAIN,
    ) -> None:
        self.orders = kept
        self.uploads = Uploads()
        self._caller = caller
        self._replicas = replicas
        self._webhooks_wait = webhooks_wait
        self._train = list(train)
        self._ordered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._job: asyncio.Task[bool] | None = None
        self._process: WorkerProcess | None = None
        self._settling = asyncio.Lock()
        self._at_work = ""
        self._percent = 0

    async def start(self) -> None:
        known = {order.id for order in await self.orders.every()}
        await asyncio.to_thread(_sweep, known, self.uploads)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Break off with all that was done kept; the next server goes on with it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def order(self, title: str, document: dict[str, Any]) -> Resource:
        """Keep an order, and begin with it as soon as it is its turn. As `Orders.add`."""
        taken = await asyncio.to_thread(self._replicas.taken)
        made = await self.orders.add(title, document, taken, self.uploads)
        self._ordered.set()
        return made

    async def drop(self, order: Resource) -> None:
        """Erase it and all that was made of it, its footage too; break it off if it is being made."""
        async with self._settling:
            await self.orders.remove(order)
            if order.id == self._at_work and self._job is not None:
                if self._process is not None:
                    self._process.kill()
                self._job.cancel()
                await asyncio.wait([self._job])
            await asyncio.to_thread(self._erase_all, order)

    def show(self, order: Resource) -> dict[str, Any]:
        """The replica in the making as the API answers it."""
        return orders.show(order, self._percent if order.id == self._at_work else 0)

    async def _run(self) -> None:
        while True:
            self._ordered.clear()
            waiting = [row for row in await self.orders.every() if row.document["status"] == "started"]
            if not waiting:
                await self._ordered.wait()
                continue
            await self._turn(waiting[-1])

    async def _turn(self, order: Resource) -> None:
        self._at_work, self._percent = order.id, 0
        self._job = asyncio.create_task(self._make(order))
        try:
            await asyncio.wait([self._job])
            await self._look(order, self._job)
        finally:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
            self._at_work = ""

    async def _look(self, order: Resource, job: asyncio.Task[bool]) -> None:
        """See how it went."""
        if job.cancelled():
            return
        error = job.exception()
        if error is None:
            if job.result():
                await self._settle(order, None)
        elif isinstance(error, CviError):
            await self._settle(order, str(error))
        elif isinstance(error, OSError):
            await self._settle(order, f"The server's disk refuses: {error.strerror or error}.")
        else:
            log.error("a replica could not be made", exc_info=error)
            await self._settle(order, "A fault of the server's; its log says more.")

    async def _settle(self, order: Resource, error: str | None) -> None:
        """Tell how it ended; its footage goes either way."""
        log.info("replica", extra={"replica_id": order.id, "made": error is None})
        async with self._settling:
            kept = await self.orders.find(order.id)
            if kept is None:
                return  # deleted meanwhile, with all that was made of it
            if error is None:
                await asyncio.to_thread(self._entitle, order, kept.name)
            await self.orders.settle(order, error)
            await asyncio.to_thread(_erase, order.id, order.document["name"])
        self._webhooks_wait()

    async def _make(self, order: Resource) -> bool:
        """Whether it is whole; False where it has to be tried again. Raises `CviError`, OSError."""
        if await asyncio.to_thread(self._made, order) is not None:
            return True  # the server was killed before it could note it
        said = order.document
        folder = await asyncio.to_thread(footage.make_folder, order.id)
        given: dict[str, str] = {}
        for stem, key in FILMS:
            if said[key]:
                given[stem] = str(await self._film(folder, stem, said[key]))
        for stem, key in (("consent", "consent_text"), ("script", "script")):
            if said[key]:
                path = folder / f"{stem}.txt"
                await asyncio.to_thread(write_bytes, path, said[key].encode())
                given[stem] = str(path)
        self._percent = STAGES["track"][0]
        spec = {
            "folder": str(folder),
            "film": given["footage"],
            "consent": given.get("consent", ""),
            "script": given.get("script", ""),
            **{key: said[key] for key in ("name", "consent_by", "quality")},
        }
        return await self._trained(order, folder, spec)

    async def _film(self, folder: Path, stem: str, url: str) -> Path:
        """The film that `url` holds, in the folder; fetched once."""
        there = await asyncio.to_thread(footage.find_film, folder, stem)
        if there is not None:
            return there
        if url.startswith(footage.SCHEME):
            raise FootageError(f"The uploaded {stem} is gone.", "Send it again.")
        await asyncio.to_thread(footage.need_room)
        path = folder / f"fetched-{stem}"
        await self._caller.fetch(url, path, footage.MOST_BYTES, FETCH_WITHIN_S)
        return await asyncio.to_thread(footage.keep_film, path, folder, stem)

    async def _trained(self, order: Resource, folder: Path, spec: dict[str, Any]) -> bool:
        """Run the process. As `_make`."""
        outcome: dict[str, Any] = {}

        def hear(message: dict[str, Any]) -> None:
            if message["type"] == "progress":
                first, last = STAGES[message["stage"]]
                share = min(message["done"] / max(message["of"], 1), 1.0)
                self._percent = round(first + (last - first) * share)
            else:
                outcome.update(message)

        process = self._process = WorkerProcess(self._train, folder, hear)
        await process.start()
        try:
            process.send(spec)
            async with asyncio.timeout(LONGEST_S):
                status = await process.wait()
        except TimeoutError:
            raise TrainingError("It took too long.", "Give less footage, or a lower quality.") from None
        finally:
            if process.running:
                await process.stop(0.0, STOP_WITHIN_S)
            self._process = None
        if outcome.get("type") == "made":
            return True
        if outcome.get("type") == "failed":
            raise TrainingError(str(outcome.get("message")))
        tail = await asyncio.to_thread(_tail, folder / LOG_NAME)
        log.error("training died with %s: %s", status, tail, extra={"replica_id": order.id})
        if await self.orders.attempted(order) >= MOST_ATTEMPTS:
            raise TrainingError("Training ended before its work was done.", "The server's log says more.")
        return False

    def _made(self, order: Resource) -> StoredReplica | None:
        """The finished replica, if it is this order's and not another one that took its name."""
        item = self._replicas.find(order.id)
        told = item.card.get("training") if item is not None and item.own else None
        source = told.get("footage", {}).get("path", "") if isinstance(told, dict) else ""
        return item if Path(str(source)).parent == footage.folder_of(order.id) else None

    def _entitle(self, order: Resource, title: str) -> None:
        item = self._made(order)
        if item is not None:
            self._replicas.rename(item, title)

    def _erase_all(self, order: Resource) -> None:
        _erase(order.id, order.document["name"])
        item = self._made(order)
        if item is not None:
            self._replicas.delete(item, hard=True)


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1][-300:] if lines else ""


def _erase(id: str, name: str) -> None:
    # The films last: where they are, a sweep knows that something was left.
    shutil.rmtree(home() / "training" / name, ignore_errors=True)
    shutil.rmtree(footage.folder_of(id), ignore_errors=True)


def _sweep(known: set[str], uploads: Uploads) -> None:
    """Erase what a server that was killed left of orders that are no more."""
    uploads.forget_old(time.time() - footage.KEEP_UPLOADS_S)
    root, works = home() / "footage", home() / "training"
    names = {replica_id(work.name): work.name for work in works.iterdir()} if works.is_dir() else {}
    for folder in list(root.iterdir()) if root.is_dir() else ():
        if folder.name not in known:
            _erase(folder.name, names.get(folder.name, ".none"))
