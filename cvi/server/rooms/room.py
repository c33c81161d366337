"""One live room: its worker, who is in it, and the offers that wait for an answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cvi.server.answers import HttpProblem
from cvi.server.rooms.process import WorkerProcess
from cvi.server.rooms.tokens import RoomLock

STARTUP_FAILED = "exception_encountered_during_conversation_startup"
OFFER_WITHIN_S = 14.0
"""Pages give up after 15 s."""
OVERTIME_S = 20.0
"""How long a worker may go on after the conversation's own limit, before it is ended from here."""
END_WITHIN_S = 15.0
KILL_AFTER_S = 5.0

log = logging.getLogger("cvi.server.rooms")

State = Literal["starting", "ready", "ending", "ended"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What an offer was answered with."""

    sdp: str
    participant_id: str


@dataclass(slots=True)
class Outcome:
    """How a room ended: the worker's own account, as far as it gave one."""

    reason: str
    crashed: bool = False
    transcript: list[dict[str, Any]] = field(default_factory=list)
    recording: str | None = None


class Room:
    """Lives from the start of its worker to its end; `run` is that life.

    `on_event` is called with ("ready" | "joined" | "left" | "event", details).
    """

    def __init__(
        self,
        conversation_id: str,
        command: Sequence[str],
        folder: Path,
        spec: dict[str, Any],
        *,
        lock: RoomLock | None,
        participants: int | None,
        ready_within_s: float,
        on_event: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self.conversation_id = conversation_id
        self.lock = lock
        self.state: State = "starting"
        self.metrics: dict[str, Any] = {}
        self._spec = spec
        self._seats = participants
        self._ready_within_s = ready_within_s
        self._max_s = float(spec["limits"]["max_call_duration_s"])
        self._on_event = on_event
        self._process = WorkerProcess(command, folder, self._hear)
        self._begun = asyncio.Event()
        self._ready = asyncio.Event()
        self._offers: dict[str, asyncio.Future[str]] = {}
        self._known: set[str] = set()
        self.present: set[str] = set()
        self._asked: str | None = None
        self._outcome: Outcome | None = None

    @property
    def asked(self) -> str | None:
        """Why it is being ended, once somebody asked for it."""
        return self._asked

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process.running else None

    async def run(self) -> Outcome:
        """Start the worker and see it to its end, whatever end that is."""
        try:
            await self._process.start()
        except OSError as error:
            log.error("worker cannot be started: %s", error, extra={"conversation_id": self.conversation_id})
            return self._close(Outcome(STARTUP_FAILED, crashed=True))
        self._process.send({"type": "start", **self._spec})
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

    def _died(self, status: int) -> Outcome:
        """It is gone and never said why."""
        if self.state == "starting":
            return Outcome(STARTUP_FAILED, crashed=True)
        if self._asked is not None:
            return Outcome(self._asked, crashed=True)
        log.error("worker died with %s", status, extra={"conversation_id": self.conversation_id})
        return Outcome("internal error occurred at step conversation", crashed=True)

    def _close(self, outcome: Outcome) -> Outcome:
        self.state = "ended"
        self.present.clear()
        self._begun.set()
        self._ready.set()
        for waiting in self._offers.values():
            if not waiting.done():
                waiting.set_exception(ended())
        return outcome

    async def _watch(self) -> None:
        """The limits that hold even when the worker does not keep them."""
        try:
            async with asyncio.timeout(self._ready_within_s):
                await self._ready.wait()
        except TimeoutError:
            log.error("worker was never ready", extra={"conversation_id": self.conversation_id})
            self._process.kill()
            return
        await asyncio.sleep(self._max_s + OVERTIME_S)
        await self.end("max_call_duration")

    async def end(self, reason: str) -> None:
        """Ask it to end, wait until it has, and make it when it does not."""
        await self._begun.wait()
        if self._asked is None:
            self._asked = reason
            if self.state in ("starting", "ready"):
                self.state = "ending"
            self._process.send({"type": "end", "reason": reason})
        await self._process.stop(END_WITHIN_S, KILL_AFTER_S)

    def kill(self) -> None:
        self._process.kill()

    def hurry(self) -> None:
        """Kill it if it was asked to end already; else let it be asked first."""
        if self._asked is not None:
            self.kill()

    async def offer(self, sdp: str, name: str, participant_id: str | None, restart: bool = False) -> Answered:
        """Let somebody in, or in again; with `restart`, only find their connection another way.

        Raises `HttpProblem`.
        """
        resume = participant_id is not None and participant_id in self._known
        who = participant_id if resume and participant_id is not None else f"u{secrets.token_hex(8)}"
        try:
            async with asyncio.timeout(OFFER_WITHIN_S):
                await self._ready.wait()
                if self.state != "ready":
                    raise ended()
                if not resume and self._seats is not None and len(self.present) >= self._seats:
                    raise HttpProblem(409, "The room is full.", "message")
                return await self._ask(sdp, name, who, resume, restart)
        except TimeoutError:
            raise HttpProblem(
                503,
                "The conversation is still starting; try again in a moment.",
                "message",
                {"retry-after": "2"},
            ) from None

    async def _ask(self, sdp: str, name: str, who: str, resume: bool, restart: bool) -> Answered:
        number = secrets.token_hex(6)
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._offers[number] = waiting
        self._known.add(who)
        self._process.send(
            {
                "type": "offer",
                "id": number,
                "participant_id": who,
                "participant_name": name,
                "sdp": sdp,
                "resume": resume,
                "restart": restart and resume,
            }
        )
        try:
            return Answered(await waiting, who)
        except HttpProblem:
            if not resume:
                self._known.discard(who)
            raise
        finally:
            del self._offers[number]

    def knows(self, participant_id: str | None) -> bool:
        """Whether it is somebody who was let in before."""
        return participant_id in self._known

    def leave(self, participant_id: str) -> None:
        if participant_id in self._known:
            self._process.send({"type": "leave", "participant_id": participant_id})

    async def interact(self, event: dict[str, Any]) -> None:
        """Hand in an event of the Interactions Protocol, as if a participant had sent it."""
        await self._begun.wait()
        self._process.send({"type": "interaction", "event": event})

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ready":
                if self.state == "starting":
                    self.state = "ready"
                self._ready.set()
                self._on_event("ready", {})
            case "answer":
                self._settle(message["id"], sdp=str(message["sdp"]))
            case "refused":
                self._settle(message["id"], refused=message)
            case "joined":
                self.present.add(str(message["participant_id"]))
                self._on_event("joined", {})
            case "left":
                self.present.discard(str(message["participant_id"]))
                self._on_event("left", {})
            case "event":
                if isinstance(message["event"], dict):
                    self._on_event("event", message["event"])
            case "metrics":
                self.metrics = {key: value for key, value in message.items() if key != "type"}
            case "stopped":
                self._outcome = _outcome(message)
            case "failed":
                log.error(
                    "worker failed: %s",
                    message.get("message"),
                    extra={"conversation_id": self.conversation_id},
                )
                step = "conversation" if self._ready.is_set() else "startup"
                reason = STARTUP_FAILED if step == "startup" else f"internal error occurred at step {step}"
                self._outcome = self._outcome or Outcome(reason, crashed=True)

    def _settle(self, number: str, *, sdp: str = "", refused: dict[str, Any] | None = None) -> None:
        waiting = self._offers.get(number)
        if waiting is None or waiting.done():
            return
        if refused is None:
            waiting.set_result(sdp)
            return
        status = refused.get("status", 400)
        status = status if isinstance(status, int) and 400 <= status < 600 else 400
        waiting.set_exception(
            HttpProblem(status, str(refused.get("message", "The offer was refused.")), "message")
        )


def ended() -> HttpProblem:
    return HttpProblem(410, "This conversation has ended.", "message")


def _outcome(message: dict[str, Any]) -> Outcome:
    lines = message.get("transcript")
    good = [
        line
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, dict)
        and isinstance(line.get("role"), str)
        and isinstance(line.get("content"), str)
    ]
    recording = message.get("recording")
    return Outcome(
        str(message.get("reason") or "end_conversation_endpoint_hit"),
        transcript=good,
        recording=recording if isinstance(recording, str) else None,
    )
