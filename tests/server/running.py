"""A server in this process, on a data folder of its own, with workers that are cheap."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from cvi.server.app import create_app
from cvi.server.serving import server_config
from cvi.server.settings import ServerSettings

WORKER = (sys.executable, str(Path(__file__).parent / "fake_worker.py"))
PROMPT = "You are Ada and say little."


@asynccontextmanager
async def serving(**changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A running application and a client of it; `client.app` is the application."""
    settings = ServerSettings(**{"worker": WORKER, "max_conversations": 4, "profile": "embedded", **changed})
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=settings.url) as client:
            client.app = app  # type: ignore[attr-defined]
            yield client


@asynccontextmanager
async def listening(**changed: Any) -> AsyncIterator[str]:
    """The application on a port of this machine, for clients that are programs; yields its address."""
    import socket

    import uvicorn

    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    settings = ServerSettings(
        **{"worker": WORKER, "max_conversations": 4, "profile": "embedded", "port": port, **changed}
    )
    server = uvicorn.Server(server_config(create_app(settings), lifespan="on"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(server.serve(sockets=[place]))
    while not server.started:
        assert not running.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield settings.url
    finally:
        server.should_exit = True
        await running


async def until(true: Callable[[], Any], within_s: float = 60.0) -> Any:
    """What `true` answers once it is true; fails when it stays false."""
    async with asyncio.timeout(within_s):
        while not (answer := true()):
            await asyncio.sleep(0.01)
    return answer


async def create(client: httpx.AsyncClient, mood: str = "", **fields: Any) -> dict[str, Any]:
    """A conversation with a persona of that mood, and its worker ready unless it never will be."""
    persona = await client.post(
        "/v2/personas", json={"persona_name": "Ada", "system_prompt": f"{PROMPT} {mood}"}
    )
    assert persona.status_code == 200, persona.text
    answer = await client.post(
        "/v2/conversations", json={"persona_id": persona.json()["persona_id"], **fields}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()
