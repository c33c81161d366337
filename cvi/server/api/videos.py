"""`/v2/videos`: films of a replica that says a text."""

from __future__ import annotations

import asyncio
import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import FileResponse, Response

from cvi.server.answers import HttpProblem, Page, empty, invalid, page_from_zero
from cvi.server.api import stored
from cvi.server.films.darkroom import KIND
from cvi.server.json_body import JsonRoute
from cvi.server.services import ServicesDep
from cvi.server.store.resources import new_id
from cvi.server.vocabulary import Body

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
async def create(body: VideoBody, services: ServicesDep) -> dict[str, Any]:
    if not body.replica_id:
        raise HttpProblem(400, "replica_id is required.")
    if bool(body.script.strip()) == bool(body.audio_url):
        raise HttpProblem(400, "Exactly one of script and audio_url must be provided.")
    if body.audio_url:
        await services.guard.vet(body.audio_url)
    replica = await asyncio.to_thread(services.replicas.get, body.replica_id)
    if body.callback_url:
        await services.guard.vet(body.callback_url)
    document = {
        "replica_id": replica.id,
        "replica": replica.name,
        "script": body.script,
        "audio_url": body.audio_url,
        "callback_url": body.callback_url,
        "status": "queued",
    }
    name = body.video_name or f"Film of {replica.title}"
    made = await stored.add(services, KIND, new_id("v"), name, document)
    services.films.wake()
    return services.films.show(made)


@router.get("", summary="List films")
async def every(services: ServicesDep, page: Annotated[Page, Depends(page_from_zero)]) -> dict[str, Any]:
    return await stored.page_of(services, KIND, page, services.films.show)


@router.get("/{video_id}", summary="Get a film")
async def one(video_id: str, services: ServicesDep) -> dict[str, Any]:
    return services.films.show(await stored.find(services, KIND, video_id, invalid("video_id")))


@router.patch("/{video_id}/name", summary="Rename a film")
async def rename(video_id: str, body: NameBody, services: ServicesDep) -> dict[str, Any]:
    found = await stored.find(services, KIND, video_id, invalid("video_id"))
    return services.films.show(await stored.replace(services, found, body.video_name, found.document))


@router.delete("/{video_id}", summary="Delete a film")
async def delete(
    video_id: str, services: ServicesDep, hard: Annotated[bool, Query(description="Irrevocably.")] = False
) -> Response:
    await stored.remove(services, KIND, video_id, invalid("video_id"))
    services.films.drop(video_id)
    await asyncio.to_thread(shutil.rmtree, services.films.film(video_id).parent, ignore_errors=True)
    return empty(200)


@router.get("/{video_id}/film", summary="Get a film's file")
async def film(video_id: str, services: ServicesDep) -> Response:
    """Ours, not the contract's: what `download_url` leads to."""
    found = await stored.find(services, KIND, video_id, invalid("video_id"))
    path = services.films.film(video_id)
    if found.document["status"] != "ready" or not await asyncio.to_thread(path.is_file):
        raise HttpProblem(404, "The film is not ready.", "message")
    return FileResponse(path, media_type="video/mp4")
