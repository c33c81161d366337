"""`/v2/videos`: films of a replica that says a text."""

from __future__ import annotations

import asyncio
import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import FileResponse, Response

from cvi.server.answers import Page, Refusal, empty, invalid, page_from_zero
from cvi.server.api import stored
from cvi.server.films.darkroom import KIND
from cvi.server.json_body import JsonRoute
from cvi.server.services import Services, services
from cvi.server.store.resources import new_id
from cvi.server.vocabulary import Body

House = Annotated[Services, Depends(services)]
router = APIRouter(prefix="/videos", tags=["videos"], route_class=JsonRoute)


class VideoBody(Body):
    """What to say and who says it."""

    replica_id: Annotated[str, Field(max_length=100)] = ""
    script: Annotated[str, Field(max_length=100_000)] = ""
    audio_url: Annotated[str, Field(max_length=2048)] = ""
    video_name: Annotated[str, Field(max_length=255)] = ""
    callback_url: Annotated[str, Field(max_length=2048)] = ""


class NameBody(Body):
    video_name: Annotated[str, Field(min_length=1, max_length=255)]


@router.post("", summary="Render a film")
async def create(body: VideoBody, house: House) -> dict[str, Any]:
    if not body.replica_id:
        raise Refusal(400, "replica_id is required.")
    if bool(body.script.strip()) == bool(body.audio_url):
        raise Refusal(400, "Exactly one of script and audio_url must be provided.")
    if body.audio_url:
        await house.guard.vet(body.audio_url)
    replica = await asyncio.to_thread(house.replicas.get, body.replica_id)
    if body.callback_url:
        await house.guard.vet(body.callback_url)
    document = {
        "replica_id": replica.id,
        "replica": replica.name,
        "script": body.script,
        "audio_url": body.audio_url,
        "callback_url": body.callback_url,
        "status": "queued",
    }
    name = body.video_name or f"Film of {replica.title}"
    made = await stored.add(house, KIND, new_id("v"), name, document)
    house.films.wake()
    return house.films.show(made)


@router.get("", summary="List films")
async def every(house: House, page: Annotated[Page, Depends(page_from_zero)]) -> dict[str, Any]:
    return await stored.page_of(house, KIND, page, house.films.show)


@router.get("/{video_id}", summary="Get a film")
async def one(video_id: str, house: House) -> dict[str, Any]:
    return house.films.show(await stored.find(house, KIND, video_id, invalid("video_id")))


@router.patch("/{video_id}/name", summary="Rename a film")
async def rename(video_id: str, body: NameBody, house: House) -> dict[str, Any]:
    found = await stored.find(house, KIND, video_id, invalid("video_id"))
    return house.films.show(await stored.replace(house, found, body.video_name, found.document))


@router.delete("/{video_id}", summary="Delete a film")
async def delete(
    video_id: str, house: House, hard: Annotated[bool, Query(description="Irrevocably.")] = False
) -> Response:
    await stored.remove(house, KIND, video_id, invalid("video_id"))
    house.films.drop(video_id)
    await asyncio.to_thread(shutil.rmtree, house.films.film(video_id).parent, ignore_errors=True)
    return empty(200)


@router.get("/{video_id}/film", summary="Get a film's file")
async def film(video_id: str, house: House) -> Response:
    """Ours, not the contract's: what `download_url` leads to."""
    found = await stored.find(house, KIND, video_id, invalid("video_id"))
    path = house.films.film(video_id)
    if found.document["status"] != "ready" or not await asyncio.to_thread(path.is_file):
        raise Refusal(404, "The film is not ready.", "message")
    return FileResponse(path, media_type="video/mp4")
