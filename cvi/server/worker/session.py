"""One conversation as its process holds it: engines, the participant's connection, limits, events.

Engines are warm before anybody joins; the conversation begins when somebody does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.journal import JOURNAL_NAME, Journal
from cvi.errors import CviError, UsageError
from cvi.server.rooms.event_store import read_events, transcript_lines
from cvi.server.worker.casting import Engines, build_engines
from cvi.server.worker.commands import CommandHandler, Request, read_request
from cvi.server.worker.interactions import Interactions
from cvi.server.worker.messages import Spec
from cvi.server.worker.typed import TypedConversation
from cvi.transport.webrtc.peer import IceServer
from cvi.transport.webrtc.presence import Presence
from cvi.transport.webrtc.transport import WebRtcTransport

Send = Callable[[dict[str, Any]], None]
METRICS_EVERY_S = 5.0
PRESENT_EVERY_S = 5.0
MOST_WAITING = 64

log = logging.getLogger("cvi.server.worker.session")


class Session:
    """Event loop only. `send` gives a message to the server; `handle` takes its messages."""

    def __init__(self, spec: Spec, send: Send) -> None:
        self._spec = spec
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._told = Interactions(spec.conversation_id)
        video = spec.video
        self._transport = WebRtcTransport(
            clock=self._clock,
            events=self,
            fps=video.fps,
            width=video.width,
            height=video.height,
            audio_only=spec.audio_only or spec.chat,
            ice_servers=[
                IceServer((s.urls,) if isinstance(s.urls, str) else tuple(s.urls), s.username, s.credential)
                for s in spec.ice_servers
            ],
            recording=spec.recording,
            stereo=True,
        )
        self._journal: Journal | None = None
        self._engines: Engines | None = None
        self._conversation: Conversation | TypedConversation | None = None
        self._desk: CommandHandler | None = None
        self._waiting: list[tuple[Request, str | None]] = []
        self._joined = asyncio.Event()
        self._reason: str | None = None
        self._ending = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._offers = asyncio.Lock()

    # -- from start to end ------------------------------------------------------------------------

    async def run(self) -> None:
        """Prepare, say `ready`, hold the conversation, say `stopped`. Raises CviError when it fails."""
        try:
            if await self._unless_ended(self._prepare()):
                self._send({"type": "ready"})
                reason = await self._hold()
            else:
                assert self._reason is not None
                reason = self._reason
        finally:
            await self._close()
        self._send(
            {
                "type": "stopped",
                "reason": reason,
                "transcript": transcript_lines(read_events(self._spec.journal_folder)),
                "recording": self._recording(),
                "facts": self._facts(),
            }
        )

    def end(self, reason: str) -> None:
        """End it, for the first reason given."""
        if self._reason is None:
            self._reason = reason
            self._ending.set()
            if self._conversation is not None:
                self._conversation.end(reason)

    async def _unless_ended(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Do `work`; False when the end came first."""
        tasks = [asyncio.create_task(work), asyncio.create_task(self._ending.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                await tasks[0]  # raises what it raised
            return tasks[0].done()
        finally:
            for task in tasks:
                task.cancel()

    async def _prepare(self) -> None:
        self._journal = Journal(self._spec.journal_folder / JOURNAL_NAME, self._clock)
        self._journal.subscribe(self._on_journal)
        await self._transport.open()
        self._engines = await build_engines(self._spec)

    async def _hold(self) -> str:
        limits = self._spec.limits
        self._limit("max_call_duration", limits.max_call_duration_s)
        self._limit("participant_absent_timeout", limits.participant_absent_timeout_s)
        # What is typed may come without anybody's connection.
        if not self._spec.chat and not await self._unless_ended(self._joined.wait()):
            assert self._reason is not None
            return self._reason
        beating = asyncio.create_task(self._beat())
        try:
            reason = await self._converse()
        finally:
            beating.cancel()
        self._transport.send(self._told.system("shutdown", shutdown_reason=reason, reason=reason))
        await self._transport.drain()
        return self._reason or reason

    async def _converse(self) -> str:
        engines, journal = self._engines, self._journal
        assert engines is not None and journal is not None
        conversation = engines.conversation(self._transport, journal, self._clock)
        flow = engines.persona.layers.conversational_flow
        running = asyncio.create_task(conversation.run(), name="conversation")
        await asyncio.sleep(0)  # it has begun: the clock is at zero and requests find it
        self._conversation = conversation
        self._desk = CommandHandler(conversation, flow.turn_taking_patience, flow.replica_interruptibility)
        waiting, self._waiting = self._waiting, []
        for request, source in waiting:
            self._carry_out(request, source)
        if self._reason is not None:
            conversation.end(self._reason)
        return await running

    async def _close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        try:
            await self._transport.close()
        except CviError as error:
            log.error("recording failed: %s", error)
        if self._engines is not None:
            await self._engines.close()
        if self._journal is not None:
            self._journal.close()

    def _recording(self) -> str | None:
        path = self._spec.recording
        return str(path) if path is not None and path.is_file() else None

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"dropped_recording_frames": self._transport.dropped_frames}
        if isinstance(self._conversation, Conversation):
            facts["playout"] = asdict(self._conversation.performance.counts)
        return facts

    # -- limits -----------------------------------------------------------------------------------

    def _limit(self, reason: str, seconds: float) -> None:
        self._unlimit(reason)
        self._timers[reason] = self._loop.call_later(seconds, self.end, reason)

    def _unlimit(self, reason: str) -> None:
        timer = self._timers.pop(reason, None)
        if timer is not None:
            timer.cancel()

    async def _beat(self) -> None:
        """What is told again and again: that the persona is present, and how things are."""
        number = 0
        while True:
            self._transport.send_now(self._told.system("replica_present"))
            self._transport.send_now(self._told.system("pal_present"))
            number += 1
            await asyncio.sleep(PRESENT_EVERY_S)
            self._send({"type": "metrics", **self._measured()})

    def _measured(self) -> dict[str, Any]:
        connection = self._transport.connection
        measured: dict[str, Any] = {"connection": asdict(connection) if connection is not None else None}
        if isinstance(self._conversation, Conversation):
            measured["playout"] = asdict(self._conversation.performance.counts)
        return measured

    # -- what the participant's connection tells (WebRtcEvents) -----------------------------------

    def presence(self, what: Presence, participant_id: str) -> None:
        """Joined, left, and for a moment out of reach."""
        log.info("participant %s", what)
        if what == "joined":
            self._unlimit("participant_absent_timeout")
            self._unlimit("participant_left_timeout")
            self._joined.set()
            self._send({"type": "joined", "participant_id": participant_id})
            self._transport.send(self._told.system("replica_joined", replica_id=self._spec.replica))
        elif what == "left":
            self._send({"type": "left", "participant_id": participant_id})
            self._limit("participant_left_timeout", self._spec.limits.participant_left_timeout_s)

    def message(self, participant_id: str, text: str) -> None:
        """An event of the participant's, over the channel."""
        self._interact(text, participant_id)

    # -- what the server asks ---------------------------------------------------------------------

    def handle(self, message: dict[str, Any]) -> None:
        """One message of the server; what is not understood is logged and left."""
        match message.get("type"):
            case "offer":
                task = asyncio.create_task(self._answer(message), name="offer")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case "interaction":
                self._interact(message.get("event", {}), None)
            case "leave":
                self._transport.leave(str(message.get("participant_id", "")))
            case "end":
                self.end(str(message.get("reason") or "end_conversation_endpoint_hit"))
            case other:
                log.warning("unknown message %.40r", other)

    async def _answer(self, message: dict[str, Any]) -> None:
        number, who = message.get("id"), str(message.get("participant_id", ""))

        def refuse(status: int, text: str) -> None:
            self._send({"type": "refused", "id": number, "status": status, "message": text})

        async with self._offers:
            inside = self._transport.participant_id
            if inside not in (None, who):
                refuse(409, "Somebody else is in this conversation.")
                return
            if self._reason is not None:
                refuse(410, "This conversation has ended.")
                return
            try:
                take = self._transport.restart if message.get("restart") else self._transport.join
                answer = await take(str(message.get("sdp", "")), who)
            except UsageError as error:
                refuse(400, str(error))
                return
        self._send({"type": "answer", "id": number, "sdp": answer})

    def _interact(self, event: str | dict[str, Any], source: str | None) -> None:
        try:
            request = read_request(event)
        except UsageError as error:
            self._refuse(str(error), source)
            return
        if self._spec.chat:
            self._unlimit("participant_absent_timeout")
        if self._desk is not None:
            self._carry_out(request, source)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append((request, source))
        else:
            self._refuse(f"{MOST_WAITING} events wait for somebody to join.", source)

    def _carry_out(self, request: Request, source: str | None) -> None:
        assert self._desk is not None
        try:
            self._desk.carry_out(request)
        except UsageError as error:
            self._refuse(str(error), source)

    def _refuse(self, text: str, source: str | None) -> None:
        """Whoever sent it is told what is wrong with it."""
        told = self._told.system("error", message=text)
        if source is not None:
            self._transport.send_now(told)
        else:
            self._send({"type": "event", "event": told})

    def _on_journal(self, event: Event) -> None:
        for told in self._told.read(event):
            self._transport.send(told)
            self._send({"type": "event", "event": told})
