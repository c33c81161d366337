"""`/v2/videos`: films of a replica that says a text."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import FileResponse, Response

from cvi.server.api.creation import finished_replica
from cvi.server.contract import Body, HttpProblem, PageRange, empty, invalid, listing, page_from_zero
from cvi.server.jobs.render_job import FilmOrder, film_path
from cvi.server.json_bodies import JsonRoute
from cvi.server.services import ServicesDep
from cvi.server.store.jobs import Job

router = APIRouter(prefix="/videos", tags=["videos"], route_class=JsonRoute)


class VideoBody(Body):
    """What to say and who says it."""

    replica_id: Annotated[str, Field(max_length=100)] = ""
    script: Annotated[str, Field(max_length=100_000)] = ""
    audio_url: Annotated[str, Field(max_length=2048)] = ""
    video_name: Annotated[str, Field(max_length=255)] = ""
    callback_url: Annotated[str, Field(max_length=2048)] = ""


class VideoName(Body):
    """Another name."""

    video_name: Annotated[str, Field(min_length=1, max_length=255)]


@router.post("", summary="Render a film")
async def create(body: VideoBody, services: ServicesDep) -> dict[str, Any]:
    """Checked and queued; a callback tells when it is ready."""
    if not body.replica_id:
        raise HttpProblem(400, "replica_id is required.")
    if bool(body.script.strip()) == bool(body.audio_url):
        raise HttpProblem(400, "Exactly one of script and audio_url must be provided.")
    if body.audio_url:
        await services.url_policy.vet(body.audio_url)
    replica = await finished_replica(body.replica_id, services)
    if body.callback_url:
        await services.url_policy.vet(body.callback_url)
    order = FilmOrder(
        replica_id=replica.id,
        replica=replica.name,
        script=body.script,
        audio_url=body.audio_url,
        callback_url=body.callback_url,
    )
    return services.films.show(await services.films.add(body.video_name or f"Film of {replica.title}", order))


@router.get("", summary="List films")
async def every(services: ServicesDep, page: Annotated[PageRange, Depends(page_from_zero)]) -> dict[str, Any]:
    """Newest first."""
    films = await services.films.every()
    if not page.descending:
        films.reverse()
    return listing([services.films.show(job) for job in page.of(films)], len(films))


@router.get("/{video_id}", summary="Get a film")
async def one(video_id: str, services: ServicesDep) -> dict[str, Any]:
    """With its status and, once it is ready, its address."""
    return services.films.show(await _find(video_id, services))


@router.patch("/{video_id}/name", summary="Rename a film")
async def rename(video_id: str, body: VideoName, services: ServicesDep) -> dict[str, Any]:
    """Its id stays."""
    job = await services.films.rename(video_id, body.video_name)
    if job is None:
        raise invalid("video_id")
    return services.films.show(job)


@router.delete("/{video_id}", summary="Delete a film")
async def delete(
    video_id: str, services: ServicesDep, hard: Annotated[bool, Query(description="Irrevocably.")] = False
) -> Response:
    """The film's file is erased; rendering is broken off."""
    if not await services.films.delete(video_id):
        raise invalid("video_id")
    return empty(200)


@router.get("/{video_id}/film", summary="Get a film's file")
async def film(video_id: str, services: ServicesDep) -> Response:
    """Ours, not the contract's: what `download_url` leads to."""
    job = await _find(video_id, services)
    path = film_path(video_id)
    if job.state != "succeeded" or not await asyncio.to_thread(path.is_file):
        raise HttpProblem(404, "The film is not ready.", "message")
    return FileResponse(path, media_type="video/mp4")


async def _find(video_id: str, services: ServicesDep) -> Job:
    job = await services.films.find(video_id)
    if job is None:
        raise invalid("video_id")
    return job
