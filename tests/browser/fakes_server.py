"""Our server and our transport, with a worker whose engines need no models: for tests of the way between."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from cvi.server.app import create_app
from cvi.server.serving import server_config
from cvi.server.settings import ServerSettings, Video

from .stand_in import share_thumbnails

WORKER = (sys.executable, str(Path(__file__).parents[1] / "webrtc" / "worker_with_fakes.py"))


@asynccontextmanager
async def fakes_server(home: Path, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its API; CVI_HOME must be `home`."""
    share_thumbnails(home)
    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    settings = ServerSettings(
        **{"worker": WORKER, "profile": "embedded", "max_conversations": 2, "port": place.getsockname()[1],
           "video": Video(320, 180), **changed}
    )
    server = uvicorn.Server(server_config(create_app(settings), lifespan="on"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(server.serve(sockets=[place]))
    while not server.started:
        assert not running.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        async with httpx.AsyncClient(base_url=settings.url, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await running
