"""One live room: its worker, who is in it, its lock, and the requests that wait for the worker's answer."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from cvi.child_process import ChildProcess
from cvi.errors import UsageError
from cvi.server.contract import HttpProblem
from cvi.server.store.keys import digest
from cvi.server.worker.commands import read_command, unsupported
from cvi.server.worker.messages import (
    WORKER_MESSAGES,
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
    Ready,
    Refused,
    SessionFailed,
    StartSession,
    Stopped,
    WorkerMessage,
)

STARTUP_FAILED = "exception_encountered_during_conversation_startup"
READY_WITHIN_S, ANSWER_WITHIN_S = 10.0, 8.0
"""How long an offer waits for the engines and then for its answer: a page waits 20 s in all."""
PARTICIPANT_ID = re.compile(r"u[0-9a-f]{16}")
OVERTIME_S = 20.0
"""How long a worker may run beyond the conversation's own limit before the server ends it."""
END_WITHIN_S = 15.0
ACCEPT_WITHIN_S = 5.0
MOST_WAITING = 64
LOG_NAME = "worker.log"
KILL_AFTER_S = 5.0

log = logging.getLogger("cvi.server.rooms")

State = Literal["starting", "ready", "ending", "ended"]


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """The SDP that an offer was answered with, and who the participant is from now on."""

    sdp: str
    participant_id: str


@dataclass(slots=True)
class RoomOutcome:
    """How a room ended, as far as its worker reported it."""

    reason: str
    crashed: bool = False
    transcript: list[dict[str, Any]] = field(default_factory=list)
    recording: Path | None = None


class Room:
    """One conversation's room; `run` returns when its worker has ended.

    `on_message` is called with the worker's messages about the conversation, in order.
    """

    def __init__(
        self,
        conversation_id: str,
        command: Sequence[str],
        folder: Path,
        start: StartSession,
        *,
        lock: RoomLock | None,
        participants: int | None,
        ready_within_s: float,
        on_message: Callable[[Ready | Begun | Joined | Left | LiveEvent], None],
        keep: Callable[[], Awaitable[None]],
        known: Collection[str] = (),
        waiting: Sequence[dict[str, Any]] = (),
    ) -> None:
        """`known` are participants who were in it before and may come back, `waiting` the events that were
        accepted and not carried out. `keep` stores both for the room that may have to follow this one."""
        self.conversation_id = conversation_id
        self.lock = lock
        self.state: State = "starting"
        self.loading: tuple[str, ...] = ()
        """While it starts: the layers whose engines still load."""
        self._start = start
        self._seats = participants
        self._ready_within_s = ready_within_s
        self._on_message = on_message
        self._process = ChildProcess(command, folder / LOG_NAME, WORKER_MESSAGES, self._hear)
        self._begun = asyncio.Event()
        self._ready = asyncio.Event()
        self._requests: dict[str, asyncio.Future[str]] = {}
        self._known = set(known)
        self._waiting = list(waiting)
        self._conversing = False
        self._keep = keep
        self.present: set[str] = set()
        self._asked: str | None = None
        self._outcome: RoomOutcome | None = None
        self._lost = self._killed = False

    @property
    def asked(self) -> str | None:
        """Why it is being ended; None while nobody asked for it."""
        return self._asked

    @property
    def known(self) -> frozenset[str]:
        """The ids of all who were in it."""
        return frozenset(self._known)

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """Events that were accepted before somebody joined, and are carried out then."""
        return list(self._waiting)

    @property
    def lost(self) -> bool:
        """Whether its worker was killed although nobody asked for that: another one can go on."""
        return self._lost

    @property
    def pid(self) -> int | None:
        """The worker's process; None when none runs."""
        return self._process.pid if self._process.running else None

    async def run(self) -> RoomOutcome:
        """Start the worker and wait for its end; returns how the room ended, after a crash too."""
        try:
            await self._process.start()
        except OSError as error:
            log.error("worker cannot be started: %s", error, extra={"conversation_id": self.conversation_id})
            return self._close(RoomOutcome(STARTUP_FAILED, crashed=True))
        self._process.send(self._start)
        for event in self._waiting:
            self._process.send(Interaction(event=event))
        self._begun.set()
        watch = asyncio.create_task(self._watch())
        try:
            status = await self._process.wait()
        except asyncio.CancelledError:
            self._process.kill()
            raise
        finally:
            watch.cancel()
        return self._close(self._outcome or self._died(status))

    def _died(self, status: int) -> RoomOutcome:
        """The outcome of a worker that ended without a word. `status` is negative for a signal."""
        self._lost = status < 0 and self._asked is None and not self._killed
        if self.state == "starting":
            return RoomOutcome(STARTUP_FAILED, crashed=True)
        if self._asked is not None:
            return RoomOutcome(self._asked, crashed=True)
        log.error("worker died with %s", status, extra={"conversation_id": self.conversation_id})
        return RoomOutcome("internal error occurred at step conversation", crashed=True)

    def _close(self, outcome: RoomOutcome) -> RoomOutcome:
        self.state = "ended"
        self.present.clear()
        self._begun.set()
        self._ready.set()
        for waiting in self._requests.values():
            if not waiting.done():
                waiting.set_exception(self._gone())
        return outcome

    def _gone(self) -> HttpProblem:
        """What is answered once there is no worker: to ask again where another one goes on."""
        return _no_answer() if self._lost else ended()

    async def _watch(self) -> None:
        """Enforce the limits that the worker itself should keep."""
        try:
            async with asyncio.timeout(self._ready_within_s):
                await self._ready.wait()
        except TimeoutError:
            log.error("worker was never ready", extra={"conversation_id": self.conversation_id})
            self.kill()
            return
        await asyncio.sleep(self._start.limits.max_call_duration_s + OVERTIME_S)
        await self.end("max_call_duration")

    async def end(self, reason: str) -> None:
        """Ask the worker to end and wait until it has; kill it when it does not."""
        await self._begun.wait()
        if self._asked is None:
            self._asked = reason
            if self.state in ("starting", "ready"):
                self.state = "ending"
            self._process.send(EndSession(reason=reason))
        await self._process.stop(END_WITHIN_S, KILL_AFTER_S)

    def kill(self) -> None:
        """End the worker's process now."""
        self._killed = True
        self._process.kill()

    def hurry(self) -> None:
        """Kill the worker if it was asked to end before."""
        if self._asked is not None:
            self.kill()

    async def offer(
        self, sdp: str, name: str, participant_id: str | None, restart: bool = False
    ) -> JoinAnswer:
        """Let a participant join, or rejoin; with `restart`, do an ICE restart of their connection.

        A new participant may have chosen their id, as in `PARTICIPANT_ID`: with it they take over an offer of
        their own whose answer never reached them. Raises `HttpProblem`.
        """
        resume = self.knows(participant_id)
        chosen = resume or PARTICIPANT_ID.fullmatch(participant_id or "")
        who = participant_id if participant_id and chosen else f"u{secrets.token_hex(8)}"
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._ready.wait()
            if self.state != "ready":
                raise self._gone()
            if not resume and self._seats is not None and len(self.present) >= self._seats:
                raise HttpProblem(409, "The room is full.", "message")
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._ask(sdp, name, who, resume, restart)
        except TimeoutError:
            raise HttpProblem(
                503,
                "The conversation is still starting; try again in a moment.",
                "message",
                {"retry-after": "2"},
            ) from None

    async def _ask(self, sdp: str, name: str, who: str, resume: bool, restart: bool) -> JoinAnswer:
        self._known.add(who)
        offer = Offer(
            id=_new_id(), participant_id=who, participant_name=name, sdp=sdp, restart=restart and resume
        )
        try:
            return JoinAnswer(await self._request(offer), who)
        except HttpProblem:
            if not resume:
                self._known.discard(who)
            raise

    async def _request(self, message: Offer | Interaction) -> str:
        """Send a message and wait for the worker's answer to it. Raises `HttpProblem`."""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._requests[message.id] = waiting
        try:
            self._send(message)
            return await waiting
        finally:
            del self._requests[message.id]

    def _send(self, message: BaseModel) -> None:
        if not self._process.send(message):
            raise _no_answer()

    def knows(self, participant_id: str | None) -> bool:
        """Whether this participant has joined before."""
        return participant_id in self._known

    def leave(self, participant_id: str) -> None:
        """A participant leaves; nothing happens for an unknown one."""
        if participant_id in self._known:
            self._process.send(Leave(participant_id=participant_id))

    async def interact(self, event: dict[str, Any]) -> None:
        """Carry out an event of the Interactions Protocol, as if a participant had sent it.

        Until somebody has joined, what can be done then waits in the worker, and here for the case that the
        worker or the server is lost. Raises `HttpProblem` with what is wrong with an event that cannot be
        carried out.
        """
        try:
            command = read_command(event)
        except UsageError as error:
            raise HttpProblem(400, str(error)) from None
        await self._begun.wait()
        if self.state not in ("starting", "ready"):
            raise _no_answer() if self._lost else HttpProblem(400, "The conversation has ended.")
        refusal = unsupported(command, typed=self._start.chat, begun=self.state == "ready")
        if refusal is not None:
            raise HttpProblem(400, refusal)
        if not self._conversing and len(self._waiting) >= MOST_WAITING:
            raise HttpProblem(400, f"{MOST_WAITING} events wait for somebody to join.")
        if self.state == "starting":
            self._send(Interaction(event=event))
        else:
            try:
                async with asyncio.timeout(ACCEPT_WITHIN_S):
                    await self._request(Interaction(id=_new_id(), event=event))
            except TimeoutError:
                raise _no_answer() from None
            except HttpProblem as problem:
                raise HttpProblem(problem.status, problem.text) from None
        if not self._conversing:
            self._waiting.append(event)
            await self._keep()

    def _hear(self, message: WorkerMessage) -> None:
        match message:
            case Loading():
                self.loading = tuple(message.layers)
            case Ready():
                self.loading = ()
                if self.state == "starting":
                    self.state = "ready"
                self._ready.set()
                self._on_message(message)
            case Answer():
                self._settle(message.id, message.sdp)
            case Accepted():
                self._settle(message.id, "")
            case Refused():
                self._settle(message.id, HttpProblem(message.status, message.message, "message"))
            case Begun():
                self._conversing = True
                self._waiting.clear()
                self._on_message(message)
            case Joined():
                self.present.add(message.participant_id)
                self._on_message(message)
            case Left():
                self.present.discard(message.participant_id)
                self._on_message(message)
            case LiveEvent():
                self._on_message(message)
            case Stopped():
                lines = [line.model_dump(exclude_none=True) for line in message.transcript]
                self._outcome = RoomOutcome(message.reason, transcript=lines, recording=message.recording)
            case SessionFailed():
                about = {"conversation_id": self.conversation_id}
                log.error("worker failed: %s", message.message, extra=about)
                step = "conversation" if self._ready.is_set() else "startup"
                reason = STARTUP_FAILED if step == "startup" else f"internal error occurred at step {step}"
                self._outcome = self._outcome or RoomOutcome(reason, crashed=True)

    def _settle(self, id: str, result: str | HttpProblem) -> None:
        waiting = self._requests.get(id)
        if waiting is None or waiting.done():
            return
        if isinstance(result, HttpProblem):
            waiting.set_exception(result)
        else:
            waiting.set_result(result)


def ended() -> HttpProblem:
    """The answer to a request that comes after the end."""
    return HttpProblem(410, "This conversation has ended.", "message")


def _no_answer() -> HttpProblem:
    text = "The conversation does not answer; try again in a moment."
    return HttpProblem(503, text, "message", {"retry-after": "2"})


def _new_id() -> str:
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class RoomLock:
    """What a private room's token is checked against. `until` is Unix seconds."""

    token_digest: bytes
    until: float

    def opens(self, token: str | None) -> bool:
        """Whether the token is this room's, however old."""
        return token is not None and hmac.compare_digest(digest(token), self.token_digest)

    def expired(self, now: float) -> bool:
        """Whether the token is too old at `now` to let somebody new in."""
        return now > self.until


def new_token() -> str:
    """A random token for a room's address."""
    return secrets.token_urlsafe(24)


def lock_with(token: str, until: float) -> RoomLock:
    """The lock that `token` opens until `until`, Unix seconds."""
    return RoomLock(digest(token), until)
