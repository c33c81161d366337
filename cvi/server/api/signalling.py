"""`/c/{conversation_id}`: the requests of a room's page. They need the room's token, not an API key."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from cvi.server.contract import Body, HttpProblem, empty
from cvi.server.ice_servers import ice_servers_for
from cvi.server.json_bodies import JsonRoute
from cvi.server.rooms.room import Room, RoomLock, ended
from cvi.server.services import Services, ServicesDep
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow

router = APIRouter(prefix="/c", tags=["rooms"], route_class=JsonRoute)
Token = Annotated[str | None, Query(alias="t", description="The meeting token of a private room.")]


class OfferBody(Body):
    """A WebRTC offer. `participant_id` of an earlier answer brings the same participant back.

    A new participant may choose one, `u` and 16 hexadecimal digits at random: an offer whose answer was lost
    is taken over by the next one with the same id, instead of keeping its own sender out.

    With `restart` it is an offer of their connection that is still there, to find it another way (an ICE
    restart); 400 when it is gone.
    """

    sdp: Annotated[str, Field(min_length=1, max_length=65_536)]
    participant_name: Annotated[str, Field(max_length=100)] = ""
    participant_id: Annotated[str, Field(max_length=64)] | None = None
    restart: bool = False
    token: Annotated[str, Field(max_length=200)] | None = None


class LeaveBody(Body):
    """Who leaves."""

    participant_id: Annotated[str, Field(max_length=64)]
    token: Annotated[str, Field(max_length=200)] | None = None


@router.get("/{conversation_id}/config", summary="What a room's page needs to know")
async def config(conversation_id: str, services: ServicesDep, t: Token = None) -> dict[str, Any]:
    """Without its token, a private room answers only that it is private."""
    row = await _row(conversation_id, services)
    room = services.rooms.get(row.id)
    state = "ended" if row.status == "ended" or room is None else room.state
    lock = _lock(row)
    known = {
        "conversation_id": row.id,
        "require_auth": lock is not None,
        "state": "ended" if state == "ending" else state,
        "brand": asdict(services.settings.brand),
    }
    if lock is not None and not lock.opens(t):
        return known
    wanted = row.request.get("properties", {})
    return known | {
        "conversation_name": row.name,
        "persona_name": row.request.get("persona_name", ""),
        "disclosure": row.request.get("disclosure", ""),
        "portrait": await _portrait(row, services),
        "loading": list(room.loading) if room is not None else [],
        "audio_only": bool(row.request.get("audio_only") or row.request.get("chat")),
        "chat": bool(row.request.get("chat")),
        "language": wanted.get("language") or "english",
        "captions": wanted.get("enable_closed_captions", True) is not False,
        "recording": bool(row.request.get("recording")),
        "shutdown_reason": row.shutdown_reason or (room.asked if room is not None else None),
        "token_expired": lock is not None and lock.expired(services.wall()),
        # A relay's password is for who may still join.
        "ice_servers": []
        if known["state"] == "ended"
        else ice_servers_for(services.settings, row.id, services.wall()),
        "ice_transport_policy": "relay" if services.settings.relay_only else "all",
        "video": {
            "width": services.settings.video.width,
            "height": services.settings.video.height,
            "fps": services.settings.video.fps,
        },
    }


@router.post("/{conversation_id}/offer", summary="Join a room, or come back to it")
async def offer(
    conversation_id: str, body: OfferBody, services: ServicesDep, t: Token = None
) -> dict[str, Any]:
    """401 without the token, 403 with an old one, 404, 409 when full, 410 after the end, 503 too early."""
    room = await _room(conversation_id, services)
    if room.lock is not None:
        if not room.lock.opens(body.token or t):
            raise HttpProblem(
                401, "This conversation needs its invitation: open the whole link you were given.", "message"
            )
        # Who is in may come back for as long as the conversation waits, however old the invitation.
        if room.lock.expired(services.wall()) and not room.knows(body.participant_id):
            raise HttpProblem(403, "The invitation has expired; ask for a new one.", "message")
    answered = await room.offer(body.sdp, body.participant_name.strip(), body.participant_id, body.restart)
    return {
        "sdp": answered.sdp,
        "type": "answer",
        "participant_id": answered.participant_id,
        "ice_servers": ice_servers_for(services.settings, conversation_id, services.wall()),
    }


@router.post("/{conversation_id}/leave", summary="Leave a room", status_code=204)
async def leave(conversation_id: str, body: LeaveBody, services: ServicesDep, t: Token = None) -> Response:
    """Sent by a page as it closes. The participant's id, which nobody can guess, is enough."""
    room = services.rooms.get(conversation_id)
    if room is not None:
        room.leave(body.participant_id)
    return empty()


async def _portrait(row: ConversationRow, services: Services) -> str | None:
    """The address of a picture of the replica, to look at while it is not here yet."""
    replica = await asyncio.to_thread(services.replicas.find, row.replica_id)
    if replica is None or row.request.get("audio_only") or row.request.get("chat"):
        return None
    address: str = services.replicas.show(replica)["thumbnail_image_url"]
    return address


async def _row(conversation_id: str, services: Services) -> ConversationRow:
    row = await services.database.read(
        lambda connection: conversations.get_conversation(connection, conversation_id)
    )
    if row is None:
        raise HttpProblem(404, "There is no such conversation.", "message")
    return row


async def _room(conversation_id: str, services: Services) -> Room:
    await _row(conversation_id, services)
    room = services.rooms.get(conversation_id)
    if room is None or room.state in ("ending", "ended"):
        raise ended()
    return room


def _lock(row: ConversationRow) -> RoomLock | None:
    if row.token_digest is None:
        return None
    return RoomLock(row.token_digest, row.token_expires_at or 0.0)
