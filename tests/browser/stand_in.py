"""A small server that stands in for `cvi serve`: rooms, signalling and a peer with a moving picture.

It speaks the same requests and events, so that the pages can be tested without engines. What a room
does next is set on `StandInRoom`; what a page did is read from it.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).parents[2] / "cvi" / "server" / "web"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; frame-ancestors *; base-uri 'none'; "
    "form-action 'none'"
)
Picture = Callable[[int], np.ndarray]


def moving_picture(index: int) -> np.ndarray:
    """A bar that moves over a field: 320x180 RGB."""
    picture = np.full((180, 320, 3), (70, 110, 130), np.uint8)
    at = index * 4 % 300
    picture[:, at : at + 20] = (230, 220, 190)
    return picture


class Face(VideoStreamTrack):
    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.picture = picture
        self.index = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self.picture(self.index), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        self.index += 1
        return frame


class Tone(MediaStreamTrack):
    """A quiet 220 Hz, in blocks of 20 ms at 48 kHz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.started = time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self.started + self.at / 48_000 - time.monotonic()))
        wave = np.sin(2 * np.pi * 220 * (self.at + np.arange(960)) / 48_000) * 3000
        frame = AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self.at, fractions.Fraction(1, 48_000)
        self.at += 960
        return frame


@dataclass(eq=False)
class Guest:
    """One peer connection of one page."""

    participant_id: str
    name: str
    connection: RTCPeerConnection
    channel: Any = None
    frames: dict[str, int] = field(default_factory=lambda: {"audio": 0, "camera": 0, "screen": 0})
    loudest: int = 0

    async def watch(self, place: str, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames[place] += 1
            if place == "audio":
                self.loudest = max(self.loudest, int(np.abs(frame.to_ndarray()).max()))


@dataclass
class StandInRoom:
    id: str
    facts: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    refuse: tuple[int, str] | None = None
    """What the next offers are answered with, instead of an answer."""
    picture: Picture = moving_picture
    guests: list[Guest] = field(default_factory=list)
    offers: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seq: int = 0

    @property
    def guest(self) -> Guest:
        return self.guests[-1]

    def config(self) -> dict[str, Any]:
        return {
            "conversation_id": self.id,
            "conversation_name": "A rehearsal",
            "persona_name": "June",
            "replica_name": "june",
            "state": "active",
            "audio_only": False,
            "require_auth": bool(self.token),
            "ice_servers": [],
            "language": "en",
            **self.facts,
        }

    def tell(self, event_type: str, message_type: str = "conversation", **properties: Any) -> None:
        """Send an event to the page; an agent's goes out in both roles, as the contract has it."""
        inference_id = properties.pop("inference_id", None)
        for role in ("pal", "replica") if properties.get("role") == "replica" else (properties.get("role"),):
            self.seq += 1
            event = {
                "message_type": message_type,
                "event_type": event_type,
                "conversation_id": self.id,
                "seq": self.seq,
                "properties": {**properties, **({"role": role} if role else {})},
                **({"inference_id": inference_id} if inference_id else {}),
            }
            self.guest.channel.send(json.dumps(event))

    def says(self, text: str, inference_id: str, final: bool = True, interrupted: bool = False) -> None:
        """The persona says this, so far."""
        self.tell("conversation.replica.started_speaking")
        self.tell("conversation.utterance", role="replica", speech=text, inference_id=inference_id)
        self.tell(
            "conversation.utterance.streaming",
            role="replica",
            speech=text,
            content_index=0,
            final=final,
            is_interrupted=interrupted,
            inference_id=inference_id,
        )
        if final:
            self.tell("conversation.replica.stopped_speaking", duration=1.0, interrupted=interrupted)

    async def end(self, reason: str = "max_call_duration") -> None:
        self.facts["state"] = "ended"
        self.tell("system.shutdown", "system", shutdown_reason=reason)
        await asyncio.sleep(0.1)
        await self.drop()

    async def drop(self) -> None:
        """Cut every connection, without a word."""
        for guest in self.guests:
            await guest.connection.close()


class StandIn:
    """The server. `url` is where it is; `room()` makes a room."""

    def __init__(self) -> None:
        self.rooms: dict[str, StandInRoom] = {}
        self.created: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.api_key = ""
        self.url = ""

    def room(self, **facts: Any) -> StandInRoom:
        room = StandInRoom(f"c{uuid.uuid4().hex[:10]}", facts=facts)
        self.rooms[room.id] = room
        return room

    def room_url(self, room: StandInRoom) -> str:
        return f"{self.url}/c/{room.id}" + (f"?t={room.token}" if room.token else "")

    def app(self) -> Starlette:
        page = {"content-security-policy": CSP}
        static = CORSMiddleware(StaticFiles(directory=WEB), allow_origins=["*"])

        def file(name: str, headers: dict[str, str] | None = None) -> Callable[[Request], Response]:
            return lambda request: FileResponse(WEB / name, headers=headers)

        return Starlette(
            routes=[
                Route("/c/{id}", file("room.html", page)),
                Route("/c/{id}/config", self._config),
                Route("/c/{id}/offer", self._offer, methods=["POST"]),
                Route("/c/{id}/leave", self._leave, methods=["POST"]),
                Route("/playground", file("playground.html", page)),
                Route("/client.js", file("client.js")),
                Route("/embed.js", file("embed.js")),
                Route("/v2/personas", self._personas),
                Route("/v2/replicas", self._replicas),
                Route("/v2/documents", self._documents, methods=["GET", "POST"]),
                Route("/v2/conversations", self._create, methods=["POST"]),
                Route("/v2/conversations/{id}/end", self._end, methods=["POST"]),
                Mount("/static", static),
            ],
            middleware=[
                Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
            ],
        )

    async def close(self) -> None:
        for room in self.rooms.values():
            room.refuse = (503, "The server is stopping.")
            await room.drop()

    def _find(self, request: Request, token: str) -> StandInRoom | Response:
        room = self.rooms.get(request.path_params["id"])
        if room is None:
            return JSONResponse({"message": "There is no such conversation."}, 404)
        if room.token and token != room.token:
            return JSONResponse({"message": "This link is not valid."}, 401)
        return room

    async def _config(self, request: Request) -> Response:
        room = self._find(request, request.query_params.get("t", ""))
        return room if isinstance(room, Response) else JSONResponse(room.config())

    async def _offer(self, request: Request) -> Response:
        body = await request.json()
        room = self._find(request, body.get("token", ""))
        if isinstance(room, Response):
            return room
        room.offers.append(body)
        if body.get("restart"):
            return JSONResponse({"message": "The connection is gone."}, 400)
        if room.refuse:
            return JSONResponse({"message": room.refuse[1]}, room.refuse[0])
        if room.config()["state"] == "ended":
            return JSONResponse({"message": "This conversation has ended."}, 410)
        # aiortc's own choice leaves a second picture on a transport of its own.
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        guest = Guest(body.get("participant_id") or uuid.uuid4().hex, body["participant_name"], connection)
        room.guests.append(guest)
        sdp = await _answer(guest, body["sdp"], room)
        return JSONResponse({"sdp": sdp, "participant_id": guest.participant_id, "ice_servers": []})

    async def _leave(self, request: Request) -> Response:
        room = self.rooms[request.path_params["id"]]
        room.left.append(json.loads(await request.body())["participant_id"])
        return Response(status_code=204)

    def _refused(self, request: Request) -> Response | None:
        if self.api_key and request.headers.get("x-api-key") != self.api_key:
            return JSONResponse({"message": "Invalid access token"}, 401)
        return None

    async def _personas(self, request: Request) -> Response:
        names = {"guide": "June, the guide", "storyteller": "Marcus, the storyteller"}
        data = [
            {"persona_id": key, "persona_name": name, "default_replica_id": "june"}
            for key, name in names.items()
        ]
        return self._refused(request) or JSONResponse({"data": data, "total_count": len(data)})

    async def _replicas(self, request: Request) -> Response:
        data = [
            {
                "replica_id": name,
                "replica_name": name.title(),
                "replica_type": "system",
                "status": "completed",
            }
            for name in ("june", "marcus")
        ]
        return self._refused(request) or JSONResponse({"data": data, "total_count": len(data)})

    async def _documents(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        if request.method == "POST":
            address = (await request.json())["document_url"]
            name = address.rpartition("/")[2]
            document = {
                "document_id": "d1",
                "document_url": address,
                "document_name": name,
                "status": "processing",
            }
            self.documents.append(document)
            return JSONResponse(document)
        return JSONResponse({"data": self.documents, "total_count": len(self.documents)})

    async def _create(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        self.created.append(await request.json())
        room = self.room()
        answer = {
            "conversation_id": room.id,
            "conversation_url": self.room_url(room),
            "status": "active",
            "conversation_name": "A rehearsal",
        }
        return JSONResponse(answer)

    async def _end(self, request: Request) -> Response:
        await self.rooms[request.path_params["id"]].end("end_conversation_endpoint_hit")
        return Response()


async def _answer(guest: Guest, offer: str, room: StandInRoom) -> str:
    connection = guest.connection
    watchers: set[asyncio.Task[None]] = set()
    places = iter(("camera", "screen"))

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        place = "audio" if track.kind == "audio" else next(places)
        watchers.add(asyncio.create_task(guest.watch(place, track)))

    @connection.on("datachannel")
    def on_channel(channel: Any) -> None:
        guest.channel = channel
        channel.on("message", lambda text: room.received.append(json.loads(text)))

    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    connection.addTrack(Tone())
    connection.addTrack(Face(room.picture))
    await connection.setLocalDescription(await connection.createAnswer())
    return connection.localDescription.sdp


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something has happened, ten seconds at most."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def share_thumbnails(home: Path) -> None:
    """The faces' pictures are drawn once for all tests, not for each data folder."""
    drawn = home.parent / "thumbnails"
    drawn.mkdir(exist_ok=True)
    if not (home / "thumbnails").exists():
        (home / "thumbnails").symlink_to(drawn)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port of this machine; gives its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
