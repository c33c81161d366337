"""`/v2/replicas` and `/v2/faces`: one resource under two names; and `/v2/voices`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from cvi.server.contract import Body, HttpProblem, PageRange, empty, iso, listing, not_here_yet, page_from_one
from cvi.server.jobs.received_files import KEEP_UPLOADS_S, UPLOAD_SCHEME
from cvi.server.jobs.training_orders import (
    UNNAMED_PERSON,
    TrainingOrder,
    check_consent_wording,
    missing_for_training,
    show_training,
)
from cvi.server.json_bodies import JsonRoute
from cvi.server.services import ServicesDep
from cvi.server.store.jobs import Job

Kind = Annotated[Literal["user", "system"] | None, Query(description="Own ones, or those that ship.")]

router = APIRouter(tags=["replicas"], route_class=JsonRoute)
voices = APIRouter(tags=["voices"])


class TrainingBody(Body):
    """Footage to train a replica from: a video, or an image and a voice.

    `train_video_url` and `consent_video_url` also take an `upload_url` of `POST /v2/uploads`. Without
    `consent_video_url` and `consent_text` the footage must begin with the person's consent. Ours, not the
    contract's: `consent_text`, `consent_by` (who agrees), `script` (what is read in the footage: sharper
    lips) and `quality`.
    """

    train_video_url: Annotated[str, Field(max_length=2048)] = ""
    train_image_url: Annotated[str, Field(max_length=2048)] = ""
    voice_name: str = ""
    replica_name: Annotated[str, Field(max_length=255)] = ""
    consent_video_url: Annotated[str, Field(max_length=2048)] = ""
    consent_text: Annotated[str, Field(max_length=20_000)] = ""
    consent_by: Annotated[str, Field(max_length=255)] = ""
    script: Annotated[str, Field(max_length=100_000)] = ""
    quality: Literal["tiny", "standard", "high"] = "standard"
    callback_url: Annotated[str, Field(max_length=2048)] = ""
    properties: dict[str, Any] = Field(default_factory=dict)


class ReplicaName(Body):
    """Another name."""

    replica_name: Annotated[str, Field(min_length=1, max_length=255)]


@router.post("", summary="Train a replica")
async def train(body: TrainingBody, services: ServicesDep) -> dict[str, Any]:
    """Checked and queued; the answer has the new replica's id and its status."""
    if not body.train_video_url and not body.train_image_url:
        raise HttpProblem(400, "Either train_video_url or train_image_url must be provided.")
    if body.train_video_url and body.train_image_url:
        raise HttpProblem(400, "Only one of train_video_url and train_image_url can be provided.")
    if body.train_image_url and not body.voice_name:
        raise HttpProblem(400, "voice_name is required with train_image_url.")
    if body.train_image_url:
        services.url_policy.read(body.train_image_url)
        raise not_here_yet("Training a replica from an image", "Give a film: train_video_url.")
    if body.properties.get("background_green_screen"):
        raise not_here_yet("Training before a green screen", "Leave out background_green_screen.")
    # The same film for both: it begins with the consent.
    consent_film = "" if body.consent_video_url == body.train_video_url else body.consent_video_url
    if consent_film and body.consent_text:
        raise HttpProblem(400, "Only one of consent_video_url and consent_text can be provided.")
    films = [url for url in (body.train_video_url, consent_film) if not url.startswith(UPLOAD_SCHEME)]
    for url in filter(None, (*films, body.callback_url)):
        await services.url_policy.vet(url)
    title = body.replica_name.strip() or "Replica"
    by = body.consent_by.strip()
    if body.consent_text:
        await asyncio.to_thread(check_consent_wording, body.consent_text, by)
    missing = await asyncio.to_thread(missing_for_training)
    if missing is not None:
        raise HttpProblem(501, missing, "message")
    order = TrainingOrder(
        train_video_url=body.train_video_url,
        consent_video_url=consent_film,
        consent_text=body.consent_text,
        consent_by=by or ("" if body.consent_text else body.replica_name.strip() or UNNAMED_PERSON),
        script=body.script,
        quality=body.quality,
        callback_url=body.callback_url,
    )
    return show_training(await services.training.add(title, order))


@router.get("", summary="List replicas")
async def every(
    services: ServicesDep,
    page: Annotated[PageRange, Depends(page_from_one)],
    replica_type: Kind = None,
    face_type: Kind = None,
    replica_ids: Annotated[str, Query(description="Only these, separated by commas.")] = "",
    face_ids: str = "",
) -> dict[str, Any]:
    """Those in training first, then own ones, then those that ship."""
    kind, wanted = replica_type or face_type, replica_ids or face_ids
    chosen = {id.strip() for id in wanted.split(",") if id.strip()}
    making = [] if kind == "system" else await services.training.every()

    def look() -> dict[str, Any]:
        under_way = {row.id for row in making}
        found = [item for item in services.replicas.every() if item.id not in under_way]
        found = [item for item in found if kind in (None, "user" if item.own else "system")]
        rows = making
        if chosen:
            rows = [row for row in making if chosen & {row.id, row.payload["name"]}]
            others = chosen.difference(*({row.id, row.payload["name"]} for row in rows))
            named = {item.name for id in others if (item := services.replicas.find(id)) is not None}
            found = [item for item in found if item.name in named]
        shown = page.of([*rows, *found])
        return listing(
            [
                show_training(each) if isinstance(each, Job) else services.replicas.show(each)
                for each in shown
            ],
            len(rows) + len(found),
        )

    return await asyncio.to_thread(look)


@router.get("/{replica_id}", summary="Get a replica")
async def one(replica_id: str, services: ServicesDep) -> dict[str, Any]:
    """While it is trained: how far it is."""
    making = await services.training.find(replica_id)
    if making is not None:
        return show_training(making)
    return await asyncio.to_thread(lambda: services.replicas.show(services.replicas.get(replica_id)))


@router.patch("/{replica_id}/name", summary="Rename a replica")
async def rename(replica_id: str, body: ReplicaName, services: ServicesDep) -> dict[str, Any]:
    """Its id stays."""
    making = await services.training.find(replica_id)
    if making is not None and await services.training.rename(making, body.replica_name):
        return await one(replica_id, services)

    def work() -> dict[str, Any]:
        services.replicas.rename(services.replicas.get(replica_id), body.replica_name)
        return services.replicas.show(services.replicas.get(replica_id))

    return await asyncio.to_thread(work)


@router.delete("/{replica_id}", summary="Delete a replica")
async def delete(
    replica_id: str, services: ServicesDep, hard: Annotated[bool, Query(description="Irrevocably.")] = False
) -> Response:
    """One that is not whole yet goes with its footage, `hard` or not: there is nothing to bring back."""
    making = await services.training.find(replica_id)
    if making is not None:
        await services.training.delete(making)
        return empty(200)

    def work() -> None:
        if hard and services.replicas.erase_deleted(replica_id):
            return
        services.replicas.delete(services.replicas.get(replica_id), hard)

    await asyncio.to_thread(work)
    return empty(200)


@voices.get("", summary="List voices")
async def every_voice(
    services: ServicesDep,
    page: Annotated[PageRange, Depends(page_from_one)],
    search: Annotated[str, Query(max_length=200)] = "",
    tag: Annotated[str, Query(max_length=100)] = "",
) -> dict[str, Any]:
    """The voices that replicas bring, or else the profile's; tagged with the engine that speaks them."""
    usual = services.profile.choices["tts"]

    def look() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for replica in services.replicas.every():
            given = replica.card.get("voices") or {usual.engine: usual.voice or usual.engine}
            for engine, voice in given.items() if isinstance(given, dict) else ():
                found.append(
                    {
                        "voice_name": str(voice),
                        "replica_id": replica.id,
                        "face_id": replica.id,
                        "audio_url": None,
                        "tags": [{"tag_name": str(engine)}],
                    }
                )
        wanted = search.lower()
        found = [voice for voice in found if wanted in voice["voice_name"].lower()]
        found = [voice for voice in found if not tag or tag == voice["tags"][0]["tag_name"]]
        return sorted(found, key=lambda voice: voice["voice_name"], reverse=page.descending)

    rows = await asyncio.to_thread(look)
    return listing(page.of(rows), len(rows), page)


uploads = APIRouter(prefix="/uploads", tags=["replicas"])
_FILM = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@uploads.post("", summary="Send a film", openapi_extra=_FILM)
async def receive(request: Request, services: ServicesDep) -> dict[str, Any]:
    """The body is the film. Its `upload_url` is one `train_video_url` or `consent_video_url`, for a day."""
    try:
        address, size = await services.training.uploads.receive(request.stream())
    except ClientDisconnect:
        raise HttpProblem(400, "The film broke off.") from None
    return {
        "upload_id": address.removeprefix(UPLOAD_SCHEME),
        "upload_url": address,
        "bytes": size,
        "expires_at": iso(services.wall() + KEEP_UPLOADS_S),
    }


@uploads.delete("/{upload_id}", summary="Delete a film that was sent", status_code=204)
async def delete_upload(upload_id: str, services: ServicesDep) -> Response:
    """Before its day is over."""
    services.training.uploads.remove(f"{UPLOAD_SCHEME}{upload_id}")
    return empty()
