"""One conversation as its process holds it: engines, the participant's connection, limits, events.

The engines are loaded before the participant joins; the conversation begins when they do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event, GuardrailTriggered
from cvi.conversation.journal import JOURNAL_NAME, Journal
from cvi.conversation.resumption import Past
from cvi.errors import CviError, UsageError
from cvi.files import locked
from cvi.media.recorder import join_parts, next_part
from cvi.server.worker.commands import Command, CommandHandler, read_command, unsupported
from cvi.server.worker.interactions import Interactions
from cvi.server.worker.messages import (
    Accepted,
    Answer,
    Begun,
    EndSession,
    Interaction,
    Joined,
    Leave,
    Left,
    LiveEvent,
    Loading,
    Offer,
    ProtocolEvent,
    Ready,
    Refused,
    ServerMessage,
    StartSession,
    Stopped,
    TranscriptLine,
)
from cvi.server.worker.session_engines import SETTLE_WITHIN_S, SessionEngines, build_engines
from cvi.server.worker.transcripts import past_of, read_events, transcript_lines
from cvi.transport.webrtc.peer import IceServer
from cvi.transport.webrtc.presence import Presence
from cvi.transport.webrtc.transport import WebRtcTransport

Send = Callable[[BaseModel], None]
PRESENT_EVERY_S = 5.0
RETURN_WITHIN_S = 90.0
"""How long a conversation that goes on waits for its participant at least: the page has to notice, too."""
SERVER_LOST = "server_lost"
LOCK_NAME = "worker.lock"
MAX_WAITING = 64

log = logging.getLogger("cvi.server.worker.session")


class Session:
    """One conversation from its start message to its last one. Event loop only.

    `send` gives a message to the server; `handle` takes the server's messages.
    """

    def __init__(self, start: StartSession, send: Send) -> None:
        self._start = start
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._clock = Clock()
        self._interactions = Interactions(start.conversation_id)
        video = start.video
        self._transport = WebRtcTransport(
            clock=self._clock,
            events=self,
            fps=video.fps,
            width=video.width,
            height=video.height,
            audio_only=start.audio_only or start.chat,
            ice_servers=[
                IceServer((s.urls,) if isinstance(s.urls, str) else tuple(s.urls), s.username, s.credential)
                for s in start.ice_servers
            ],
            recording=None if start.recording is None else next_part(start.recording),
            stereo=True,
        )
        self._past: Past | None = None
        self._lock = ExitStack()
        self._journal: Journal | None = None
        self._engines: SessionEngines | None = None
        self._conversation: Conversation | None = None
        self._commands: CommandHandler | None = None
        self._waiting: list[tuple[Command, str | None]] = []
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
                self._send(Ready())
                reason = await self._hold()
            else:
                assert self._reason is not None
                reason = self._reason
        finally:
            await self._close()
        lines = transcript_lines(read_events(self._start.journal_folder))
        self._send(
            Stopped(
                reason=reason,
                transcript=[TranscriptLine.model_validate(line) for line in lines],
                recording=self._recording(),
                facts=self._facts(),
            )
        )

    def end(self, reason: str) -> None:
        """End it, for the first reason given."""
        if self._reason is None:
            self._reason = reason
            self._ending.set()
            if self._conversation is not None:
                self._conversation.end(reason)

    def abandon(self) -> None:
        """The server is gone: let go of everything, so that the conversation can go on in another process.

        The participant is not told that it is over; their page sees the connection end and comes back.
        """
        self.end(SERVER_LOST)

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
        folder = self._start.journal_folder
        # The process before may still be closing its recording.
        await asyncio.to_thread(self._lock.enter_context, locked(folder / LOCK_NAME))
        self._past = await asyncio.to_thread(past_of, folder) if self._start.resume else None
        past = self._past
        if past is not None:
            self._interactions.go_on_from(past.events, past.resumed_at_s)
        self._journal = Journal(folder / JOURNAL_NAME, self._clock, past.events if past else ())
        self._journal.subscribe(self._on_journal)
        await self._transport.open()
        self._engines = await build_engines(self._start, lambda layers: self._send(Loading(layers=layers)))

    async def _hold(self) -> str:
        limits, past = self._start.limits, self._past
        held_s = past.resumed_at_s if past is not None else 0.0
        self._limit("max_call_duration", max(limits.max_call_duration_s - held_s, 1.0))
        if past is None:
            self._limit("participant_absent_timeout", limits.participant_absent_timeout_s)
        else:
            self._limit("participant_left_timeout", max(limits.participant_left_timeout_s, RETURN_WITHIN_S))
        # What is typed may come without anybody's connection.
        if not self._start.chat and not await self._unless_ended(self._joined.wait()):
            assert self._reason is not None
            return self._reason
        beating = asyncio.create_task(self._beat())
        try:
            reason = await self._converse()
        finally:
            beating.cancel()
        if (self._reason or reason) != SERVER_LOST:
            self._transport.send(self._interactions.system("shutdown", shutdown_reason=reason, reason=reason))
            await self._transport.drain()
        return self._reason or reason

    async def _converse(self) -> str:
        engines, journal = self._engines, self._journal
        assert engines is not None and journal is not None
        conversation = engines.conversation(self._transport, journal, self._clock, self._past)
        flow = engines.persona.layers.conversational_flow
        running = asyncio.create_task(conversation.run(), name="conversation")
        await asyncio.sleep(0)  # it has begun: the clock is at zero and requests find it
        self._conversation = conversation
        self._commands = CommandHandler(
            conversation, flow.turn_taking_patience, flow.replica_interruptibility
        )
        waiting, self._waiting = self._waiting, []
        for command, participant_id in waiting:
            self._report(self._carry_out(command), participant_id)
        self._send(Begun())
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
            if self._start.recording is not None and self._reason != SERVER_LOST:
                await asyncio.to_thread(join_parts, self._start.recording)
        except CviError as error:
            log.error("recording failed: %s", error)
        if self._engines is not None:
            lost = self._reason == SERVER_LOST
            await self._engines.close(0.0 if lost else SETTLE_WITHIN_S)
        if self._journal is not None:
            self._journal.close()
        self._lock.close()

    def _recording(self) -> Path | None:
        path = self._start.recording
        return path if path is not None and path.is_file() else None

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"dropped_recording_frames": self._transport.dropped_frames}
        playout = self._conversation.playout if self._conversation is not None else None
        if playout is not None:
            facts["playout"] = asdict(playout.counts)
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
        """Tell the participant again and again that the persona is present."""
        while True:
            self._transport.send_now(self._interactions.system("replica_present"))
            self._transport.send_now(self._interactions.system("pal_present"))
            await asyncio.sleep(PRESENT_EVERY_S)

    # -- what the participant's connection tells (WebRtcEvents) -----------------------------------

    def presence(self, what: Presence, participant_id: str) -> None:
        """Joined, left, and for a moment out of reach."""
        log.info("participant %s", what)
        if what == "joined":
            self._unlimit("participant_absent_timeout")
            self._unlimit("participant_left_timeout")
            self._joined.set()
            self._send(Joined(participant_id=participant_id))
            id = self._start.replica_id or self._start.replica
            self._transport.send(self._interactions.system("replica_joined", replica_id=id, face_id=id))
        elif what == "left":
            self._send(Left(participant_id=participant_id))
            self._limit("participant_left_timeout", self._start.limits.participant_left_timeout_s)

    def message(self, participant_id: str, text: str) -> None:
        """An event of the participant's, over the data channel."""
        self._report(self._interact(text, participant_id), participant_id)

    # -- what the server asks ---------------------------------------------------------------------

    def handle(self, message: ServerMessage) -> None:
        """Act on one message of the server."""
        match message:
            case Offer():
                task = asyncio.create_task(self._answer(message), name="offer")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Interaction(id=id):
                refusal = self._interact(message.event, None)
                if not id:
                    self._report(refusal, None)
                elif refusal is None:
                    self._send(Accepted(id=id))
                else:
                    self._send(Refused(id=id, message=refusal))
            case Leave():
                self._transport.leave(message.participant_id)
            case EndSession():
                self.end(message.reason)
            case StartSession():
                log.warning("a second start message is ignored")

    def refuse(self, message: ServerMessage) -> None:
        """Answer a message whose handling failed, where an answer is waited for."""
        if isinstance(message, Offer | Interaction) and message.id:
            self._send(Refused(id=message.id, status=500, message="A fault of the program; see worker.log."))

    async def _answer(self, offer: Offer) -> None:
        def refuse(status: int, text: str) -> None:
            self._send(Refused(id=offer.id, status=status, message=text))

        async with self._offers:
            if self._transport.participant_id not in (None, offer.participant_id):
                refuse(409, "Somebody else is in this conversation.")
                return
            if self._reason is not None:
                refuse(410, "This conversation has ended.")
                return
            try:
                take = self._transport.restart if offer.restart else self._transport.join
                answer = await take(offer.sdp, offer.participant_id)
            except UsageError as error:
                refuse(400, str(error))
                return
            except Exception:  # anybody may offer anything: what a library makes of it ends no conversation
                log.exception("an offer could not be answered")
                refuse(400, "The offer cannot be answered.")
                return
        self._send(Answer(id=offer.id, sdp=answer))

    def _interact(self, event: str | dict[str, Any], participant_id: str | None) -> str | None:
        """Carry out an event, or keep it until somebody has joined; returns what is wrong with it."""
        try:
            command = read_command(event)
        except UsageError as error:
            return str(error)
        if self._start.chat:
            self._unlimit("participant_absent_timeout")
        if self._commands is not None:
            return self._carry_out(command)
        if len(self._waiting) >= MAX_WAITING:
            return f"{MAX_WAITING} events wait for somebody to join."
        refusal = unsupported(command, typed=self._start.chat, begun=False)
        if refusal is None:
            self._waiting.append((command, participant_id))
        return refusal

    def _carry_out(self, command: Command) -> str | None:
        assert self._commands is not None
        try:
            self._commands.carry_out(command)
        except UsageError as error:
            return str(error)
        return None

    def _report(self, refusal: str | None, participant_id: str | None) -> None:
        """Tell whoever sent an event what is wrong with it; None for what came through the API."""
        if refusal is None:
            return
        error = self._interactions.system("error", message=refusal)
        if participant_id is not None:
            self._transport.send_now(error)
        else:
            self._send(LiveEvent(event=ProtocolEvent.model_validate(error)))

    def _on_journal(self, event: Event) -> None:
        told = not isinstance(event, GuardrailTriggered) or event.app_message
        for message in self._interactions.read(event):
            if told:
                self._transport.send(message)
            self._send(LiveEvent(event=ProtocolEvent.model_validate(message)))
