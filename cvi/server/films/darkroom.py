"""The queue of films: what is ordered is kept, rendered in turn, and told when it is done.

A film is rendered by `cvi render`, which goes on where it was stopped; so after a crash or a stop of the
server its films are simply begun again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cvi.endpoints.outbound import OutboundClient
from cvi.errors import CviError
from cvi.paths import home
from cvi.server.answers import iso
from cvi.server.films.speech import fetch_speech
from cvi.server.store import outbox, resources
from cvi.server.store.database import Database
from cvi.server.store.resources import Resource
from cvi.server.vocabulary import both

KIND = "videos"
FILM_NAME = "film.mp4"
LONGEST_S = 4 * 3600.0
RENDER = (sys.executable, "-c", "from cvi.cli.app import main; main()", "render")

log = logging.getLogger("cvi.server.films")


class Darkroom:
    """One film at a time, so that conversations keep the machine. `start` and `stop` it with the server."""

    def __init__(
        self,
        database: Database,
        caller: OutboundClient,
        *,
        url: str,
        profile: str,
        webhooks_wait: Callable[[], None],
        wall: Callable[[], float] = time.time,
        render: Sequence[str] = RENDER,
    ) -> None:
        self._database = database
        self._caller = caller
        self._url = url
        self._profile = profile
        self._webhooks_wait = webhooks_wait
        self._wall = wall
        self._render = list(render)
        self._ordered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._rendering: str | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Something was ordered."""
        self._ordered.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @staticmethod
    def film(video_id: str) -> Path:
        return home() / "films" / video_id / FILM_NAME

    def drop(self, video_id: str) -> None:
        """Break off a film that was deleted."""
        if video_id == self._rendering:
            self._kill()

    def show(self, resource: Resource) -> dict[str, Any]:
        """The film as the API answers it."""
        said = resource.document
        ready = said["status"] == "ready"
        page = f"{self._url}/v2/videos/{resource.id}/film"
        return both(
            {
                "video_id": resource.id,
                "video_name": resource.name,
                "replica_id": said["replica_id"],
                "status": said["status"],
                "status_details": said.get("details", ""),
                "error_details": said.get("error", ""),
                "data": {key: said[key] for key in ("script", "audio_url") if said.get(key)},
                "download_url": page if ready else None,
                "stream_url": None,
                "hosted_url": page,
                "generation_progress": "100/100" if ready else "0/100",
                "created_at": iso(resource.created_at),
                "updated_at": iso(resource.updated_at),
            }
        )

    async def _run(self) -> None:
        while True:
            self._ordered.clear()
            every = await self._database.read(lambda there: resources.every(there, KIND))
            waiting = [
                each for each in reversed(every) if each.document["status"] in ("queued", "generating")
            ]
            if not waiting:
                await self._ordered.wait()
                continue
            await self._make(waiting[0])

    async def _make(self, order: Resource) -> None:
        await self._note(order, {"status": "generating"})
        self._rendering = order.id
        try:
            error = await self._rendered(order)
        finally:
            self._kill()
            self._rendering = None
        log.info("film", extra={"video_id": order.id, "rendered": error is None})
        await self._note(order, {"status": "ready"} if error is None else {"status": "error", "error": error})

    async def _rendered(self, order: Resource) -> str | None:
        """None when the film is there, else what went wrong in a line."""
        film = self.film(order.id)
        said = order.document
        try:
            what = await self._what(order, film.parent)
        except CviError as error:
            return str(error)
        options = ["--output", str(film), "--replica", said["replica"], "--profile", self._profile, "--json"]
        self._process = await asyncio.create_subprocess_exec(
            *self._render,
            *what,
            *options,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                _, told = await self._process.communicate()
        except TimeoutError:
            return "It took too long."
        if self._process.returncode == 0 and await asyncio.to_thread(film.is_file):
            return None
        lines = told.decode("utf-8", "replace").strip().splitlines()
        return next((line.removeprefix("cvi: ") for line in lines if line.startswith("cvi: ")), "It failed.")

    async def _what(self, order: Resource, folder: Path) -> list[str]:
        """What is said in it, as `cvi render` is told. Raises `CviError`."""
        said = order.document
        if said.get("audio_url"):
            return ["--audio", str(await fetch_speech(self._caller, said["audio_url"], folder))]
        await asyncio.to_thread(_write, folder / "script.txt", said["script"])
        return [str(folder / "script.txt")]

    async def _note(self, order: Resource, change: dict[str, Any]) -> None:
        now = self._wall()

        def note(connection: Any) -> None:
            kept = resources.get(connection, KIND, order.id)
            if kept is None:
                return  # deleted while it was made
            document = {**kept.document, **change}
            resources.replace(connection, KIND, order.id, kept.name, document, now)
            if change["status"] != "generating":
                body = self.show(Resource(KIND, order.id, kept.name, kept.created_at, now, document))
                outbox.put(connection, order.id, document.get("callback_url", ""), "video", body, now)

        await self._database.write(note)
        self._webhooks_wait()

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
