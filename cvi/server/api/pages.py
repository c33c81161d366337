"""The pages and scripts: a room, the playground, and what other pages embed."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, RedirectResponse, Response

from cvi.server.contract import HttpProblem
from cvi.server.services import ServicesDep
from cvi.server.store import conversations

router = APIRouter(include_in_schema=False)
WEB = Path(__file__).parent.parent / "web"
_NO_CACHE = {"cache-control": "no-cache"}


def page(name: str) -> Response:
    """A file of `web/`; browsers ask each time whether it changed."""
    path = WEB / name
    if not path.is_file():
        raise HttpProblem(404, "There is no such page.", "message")
    return FileResponse(path, headers=_NO_CACHE)


@router.get("/c/{conversation_id}")
async def room(conversation_id: str, services: ServicesDep) -> Response:
    """The room's page; it says itself what is wrong with an address."""
    found = await services.database.read(
        lambda connection: conversations.get_conversation(connection, conversation_id)
    )
    answer = page("room.html")
    answer.status_code = 200 if found is not None else 404
    return answer


@router.get("/playground")
async def playground() -> Response:
    """The page to try personas and replicas."""
    return page("playground.html")


@router.get("/")
async def home() -> Response:
    """Leads to the playground."""
    return RedirectResponse("/playground")


@router.get("/thumbnails/{name}.jpg")
async def thumbnail(name: str, services: ServicesDep) -> Response:
    """A replica's picture. Its address holds a digest of the replica's files, which stands for a key."""
    id, _, fingerprint = name.partition("-")
    replica = await asyncio.to_thread(services.replicas.find, id)
    if replica is None or not hmac.compare_digest(replica.fingerprint.encode(), fingerprint.encode()):
        raise HttpProblem(404, "There is no such picture.", "message")
    path = await services.thumbnails.get(replica)
    if path is None:
        raise HttpProblem(404, "There is no such picture.", "message")
    return FileResponse(path, media_type="image/jpeg", headers={"cache-control": "public, max-age=31536000"})


@router.get("/favicon.ico")
async def icon() -> Response:
    """The icon of all pages."""
    return page("pages/icon.svg")


@router.get("/client.js")
async def client_js() -> Response:
    """The JavaScript client."""
    return page("client.js")


@router.get("/embed.js")
async def embed_js() -> Response:
    """The custom element that shows a conversation in another page."""
    return page("embed.js")
