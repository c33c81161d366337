"""`/v2/conversations`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.responses import Response

from cvi.conversation.journal import RECORDING_NAME
from cvi.persona.field_effects import not_in_effect
from cvi.server.api.creation import ConversationBody, create_conversation
from cvi.server.contract import (
    Body,
    HttpProblem,
    PageRange,
    empty,
    in_both_vocabularies,
    invalid,
    iso,
    listing,
    page_from_one,
)
from cvi.server.json_bodies import JsonRoute
from cvi.server.retention import erase_conversation
from cvi.server.services import Services, ServicesDep
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow
from cvi.server.worker.commands import EVENT_TYPES

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=JsonRoute)
interactions = APIRouter(prefix="/interactions", tags=["conversations"], route_class=JsonRoute)

STORED_ONLY = (
    "document_ids",
    "document_tags",
    "document_retrieval_strategy",
    "memory_stores",
    "participant_tags",
)
"""Fields of a request that the persona's table of effects tells about."""


class InteractionBody(Body):
    """An event of the Interactions Protocol, client to server."""

    event_type: Literal[EVENT_TYPES]  # type: ignore[valid-type] # one list of names, for code and for OpenAPI
    properties: dict[str, Any] = Field(default_factory=dict)


class AddressedInteraction(InteractionBody):
    """An event, and the conversation that it is for."""

    conversation_id: Annotated[str, Field(min_length=1, max_length=100)]


@router.post("", summary="Create a conversation")
async def create(body: ConversationBody, services: ServicesDep) -> dict[str, Any]:
    """The face begins to wait at once. Answers the address of the room, and its token when it is private."""
    row, token = await create_conversation(body, services)
    answer = _shown(row, services)
    if token is not None:
        answer["meeting_token"] = token
    return answer


@router.get("", summary="List conversations")
async def every(
    services: ServicesDep,
    page: Annotated[PageRange, Depends(page_from_one)],
    status: Annotated[Literal["active", "ended"] | None, Query()] = None,
) -> dict[str, Any]:
    """Newest first."""
    rows, total = await services.database.read(
        lambda connection: conversations.list_conversations(
            connection, status, page.limit, page.first, services.owner
        )
    )
    return listing([_shown(services.rooms.shown(row), services) for row in rows], total)


@router.get("/{conversation_id}", summary="Get a conversation")
async def one(
    conversation_id: str,
    services: ServicesDep,
    verbose: Annotated[bool, Query(description="With its events.")] = False,
) -> dict[str, Any]:
    """With `verbose` its events, the transcript among them."""
    row = await _get(conversation_id, services)
    answer = _shown(row, services)
    if verbose:
        events = await services.database.read(
            lambda connection: conversations.list_events(connection, row.id)
        )
        answer["shutdown_reason"] = row.shutdown_reason
        answer["events"] = [
            {"event_type": event.event_type, "timestamp": iso(event.at)}
            | ({"properties": event.properties} if event.properties else {})
            for event in events
        ]
    return answer


@router.post("/{conversation_id}/end", summary="End a conversation")
async def end(conversation_id: str, services: ServicesDep) -> Response:
    """200 at once for one that has ended; else once its end is stored."""
    row = await _get(conversation_id, services)
    await services.rooms.end(row.id, "end_conversation_endpoint_hit")
    return empty(200)


@router.delete("/{conversation_id}", summary="Delete a conversation", status_code=204)
async def delete(
    conversation_id: str,
    services: ServicesDep,
    hard: Annotated[bool, Query(description="Irrevocably.")] = False,
) -> Response:
    """Ends it when it is running. With `hard` everything of it is erased: journal, recording, here and in its
    bucket, and webhooks; also of one that was deleted before."""
    row = await _get(conversation_id, services, deleted=hard)
    await services.rooms.end(row.id, "end_conversation_endpoint_hit")
    if hard:
        await erase_conversation(services.database, row, services.wall())
        services.jobs.wake()
    else:
        await services.database.write(
            lambda connection: conversations.delete_conversation(connection, row.id, hard=False)
        )
    return empty()


@router.post("/{conversation_id}/interactions", summary="Send an event into a running conversation")
async def interact(conversation_id: str, body: InteractionBody, services: ServicesDep) -> Response:
    """Ours, not the contract's: what a participant sends over the data channel, sent by a server.

    400 says what is wrong with an event that cannot be carried out, 202 that it is.
    """
    await _interact(conversation_id, body, services)
    return empty(202)


@interactions.post("", summary="Send an event into a running conversation", status_code=202)
@interactions.post("/broadcast", summary="Send an event into a running conversation", status_code=202)
async def send(body: AddressedInteraction, services: ServicesDep) -> dict[str, Any]:
    """The same, with the conversation named in the body, as older clients send it."""
    row = await _interact(body.conversation_id, body, services)
    return {"conversation_id": row.id, "event_type": body.event_type, "status": "accepted"}


async def _interact(conversation_id: str, body: InteractionBody, services: Services) -> ConversationRow:
    row = await _get(conversation_id, services)
    room = services.rooms.get(row.id)
    if room is None or room.state not in ("starting", "ready"):
        raise HttpProblem(400, "The conversation has ended.")
    await room.interact(
        {
            "message_type": "conversation",
            "event_type": body.event_type,
            "conversation_id": row.id,
            "properties": body.properties,
        }
    )
    return row


@router.get("/{conversation_id}/recording", summary="Get a conversation's recording")
async def recording(conversation_id: str, services: ServicesDep) -> Response:
    """Ours, not the contract's: the film of both sides, once the conversation has ended."""
    row = await _get(conversation_id, services)
    path = services.rooms.folder(row.id) / RECORDING_NAME
    if row.status != "ended" or not await asyncio.to_thread(path.is_file):
        raise HttpProblem(404, "The conversation has no recording.", "message")
    return FileResponse(path, media_type="video/mp4")


async def _get(conversation_id: str, services: Services, deleted: bool = False) -> ConversationRow:
    row = await services.database.read(
        lambda connection: conversations.get_conversation(
            connection, conversation_id, services.owner, deleted=deleted
        )
    )
    if row is None:
        raise invalid("conversation_id")
    return services.rooms.shown(row)


def _stored_only(row: ConversationRow) -> dict[str, Any]:
    return {name: row.request[name] for name in STORED_ONLY if name in row.request}


def _shown(row: ConversationRow, services: Services) -> dict[str, Any]:
    url = f"{services.settings.url}/c/{row.id}"
    return in_both_vocabularies(
        {
            "conversation_id": row.id,
            "conversation_name": row.name,
            "conversation_url": url,
            "room_url": url,
            "status": row.status,
            "replica_id": row.replica_id,
            "persona_id": row.persona_id,
            "callback_url": row.callback_url,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
            "not_in_effect": [
                *(asdict(each) for each in not_in_effect(_stored_only(row), served=True)),
                *row.request.get("not_installed", ()),
            ],
            **({"substituted_for": noted} if (noted := row.request.get("substituted_for")) else {}),
        }
    )
