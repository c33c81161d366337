"""All live rooms: opened as far as the machine can carry them, watched, ended, and their end stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvi.conversation.events import PerceptionAnalysed
from cvi.conversation.journal import JOURNAL_NAME, RECORDING_NAME
from cvi.errors import CviError
from cvi.media.decode import probe
from cvi.paths import conversations_dir
from cvi.server.contract import HttpProblem
from cvi.server.ice_servers import ice_servers_for
from cvi.server.rooms import event_store
from cvi.server.rooms.admission import AdmissionControl
from cvi.server.rooms.room import LOG_NAME, Room, RoomLock, RoomOutcome
from cvi.server.rooms.room_file import RoomFile, read_room_file, remove_room_file
from cvi.server.settings import ServerSettings
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow
from cvi.server.store.database import Database, WriteQueue
from cvi.server.telemetry import Metrics, trace
from cvi.server.worker import transcripts
from cvi.server.worker.messages import Begun, IceServerEntry, Joined, Left, LiveEvent, Ready, StartSession

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

FULL = "User has reached maximum concurrent conversations"
MEASURE_EVERY_S = 2.0
ACCOUNT_WITHIN_S = 10.0
"""How long one waits for a conversation's end to be stored; it is stored later where that takes longer."""
STORED_EVENTS = (
    "application.",
    "conversation.objective.",
    "conversation.guardrail.",
    "conversation.tool_call",
    "conversation.tool.",
)
"""Live events that are stored and sent by webhooks, by the beginning of their names."""
RESTARTED = "internal error occurred at step server"

GOES_ON_WITHIN_S = 600.0
"""A conversation that was lost longer ago is over: its page has given up."""
MOST_TRIES = 3
"""How many workers in a row may be killed soon after their start before the conversation is given up."""
STANDS_AFTER_S = 60.0

log = logging.getLogger("cvi.server.rooms")


@dataclass(frozen=True, slots=True)
class RoomOrder:
    """What a room is opened with. `seats` is how many participants it takes; None for no limit of its own."""

    row: ConversationRow
    start: StartSession
    lock: RoomLock | None
    seats: int | None

    @property
    def resumed(self) -> RoomOrder:
        """The order of the room in which the conversation goes on from its journal."""
        return replace(self, start=self.start.model_copy(update={"resume": True}))

    @property
    def system_prompt(self) -> str:
        """What the transcript shows as the system's line."""
        persona = self.start.persona
        parts = (persona.get("system_prompt"), persona.get("context"), self.start.conversational_context)
        return "\n\n".join(part for part in parts if part)


class Rooms:
    """The live rooms of one server.

    A conversation is active in the database while its room is here or being made, and until its end is
    stored; while the database cannot be written, `shown` tells what it will say. A room's place is free as
    soon as its worker has ended.
    """

    def __init__(
        self,
        settings: ServerSettings,
        database: Database,
        admission: AdmissionControl,
        metrics: Metrics,
        *,
        max_rooms: int,
        wake_jobs: Callable[[], None],
        tracer: Tracer | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._database = database
        self._admission = admission
        self._metrics = metrics
        self._max_rooms = max_rooms
        self._wake_jobs = wake_jobs
        self._tracer = tracer
        self._wall = wall
        self._rooms: dict[str, Room] = {}
        self._life_tasks: dict[str, asyncio.Task[None]] = {}
        self._writes = WriteQueue(database)
        self._unstored: dict[str, str] = {}
        """Why conversations ended whose end is not stored yet."""
        self._reserved = 0
        self._saving = asyncio.Lock()
        self._saves: set[asyncio.Task[None]] = set()
        self._measuring: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.draining = False

    async def start(self) -> None:
        """Let conversations go on that an earlier server left open, or store their end; begin to measure."""
        rows, _ = await self._database.read(
            lambda connection: conversations.list_conversations(connection, "active", -1, 0)
        )
        for row in rows:
            await self._go_on(row)
        self._measuring = asyncio.create_task(self._measure_load())

    async def _go_on(self, row: ConversationRow) -> None:
        folder = self.folder(row.id)
        saved = await asyncio.to_thread(read_room_file, folder)
        active = await asyncio.to_thread(last_active, folder, row.created_at)
        now = self._wall()
        over = saved is None or now - row.created_at > saved.start.limits.max_call_duration_s
        if saved is None or over or now - active > GOES_ON_WITHIN_S:
            prompt = str(row.request.get("system_prompt", ""))
            stored = await self._account(row, RoomOutcome(RESTARTED, crashed=True), prompt)
            await asyncio.wait([stored], timeout=ACCOUNT_WITHIN_S)
            await self._forget(row.id)
            return
        lock = None
        if row.token_digest is not None:
            lock = RoomLock(row.token_digest, row.token_expires_at or 0.0)
        log.info("conversation goes on", extra={"conversation_id": row.id})
        servers = ice_servers_for(self._settings, row.id, now)  # passwords among them expire
        fresh = {"ice_servers": [IceServerEntry.model_validate(server) for server in servers]}
        order = RoomOrder(row, saved.start.model_copy(update=fresh), lock, saved.seats).resumed
        self._begin(order, self._room(order, saved.participants, saved.waiting))

    def get(self, conversation_id: str) -> Room | None:
        """The live room of a conversation."""
        return self._rooms.get(conversation_id)

    @property
    def count(self) -> int:
        """How many there are, those being made included."""
        return len(self._rooms) + self._reserved

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._max_rooms

    def reserve(self) -> None:
        """Take one place before anything is awaited. Raises the contract's 400 when there is none."""
        if self.draining:
            raise HttpProblem(503, "The server is stopping.", "message", {"retry-after": "30"})
        starting = self._reserved + sum(room.state == "starting" for room in self._rooms.values())
        why = f"limit: {self._max_rooms}" if self.count >= self._max_rooms else None
        why = why or self._admission.refusal(self.count - starting, starting)
        if why is not None:
            self._metrics.refused.inc()
            log.info("conversation refused, %s", why)
            raise HttpProblem(400, FULL, "message")
        self._reserved += 1

    def release(self) -> None:
        """Give back a reserved place that was not used."""
        self._reserved -= 1

    async def open(self, order: RoomOrder) -> None:
        """Open a room on a reserved place: stored, and its worker started."""
        row = order.row
        try:
            await self._database.write(lambda connection: conversations.add_conversation(connection, row))
        finally:
            self._reserved -= 1
        room = self._room(order)
        self._metrics.opened.inc()
        self._begin(order, room)
        await self._save(order)

    def _room(
        self, order: RoomOrder, known: Collection[str] = (), waiting: Sequence[dict[str, Any]] = ()
    ) -> Room:
        return Room(
            order.row.id,
            self._settings.worker,
            self.folder(order.row.id),
            order.start,
            lock=order.lock,
            participants=order.seats,
            ready_within_s=self._settings.ready_within_s,
            on_message=lambda message: self._on_message(order, message),
            keep=lambda: self._save(order),
            known=known,
            waiting=waiting,
        )

    def _begin(self, order: RoomOrder, room: Room) -> None:
        self._rooms[order.row.id] = room
        self._life_tasks[order.row.id] = asyncio.create_task(self._live(room, order))

    async def _save(self, order: RoomOrder) -> None:
        """Keep what another server needs to let the conversation go on."""
        async with self._saving:
            room = self._rooms.get(order.row.id)
            if room is not None and room.state != "ended":
                file = RoomFile(
                    start=order.start,
                    seats=order.seats,
                    participants=sorted(room.known),
                    waiting=room.waiting,
                )
                await asyncio.to_thread(file.write, self.folder(order.row.id))

    async def _forget(self, conversation_id: str) -> None:
        async with self._saving:
            await asyncio.to_thread(remove_room_file, self.folder(conversation_id))

    @staticmethod
    def folder(conversation_id: str) -> Path:
        """Where a conversation's journal, recording and worker log lie."""
        return conversations_dir() / conversation_id

    async def _live(self, room: Room, order: RoomOrder) -> None:
        row = order.row
        outcome = RoomOutcome(RESTARTED, crashed=True)
        tries = 0
        try:
            while True:
                began_s = asyncio.get_running_loop().time()
                outcome = await room.run()
                stood = asyncio.get_running_loop().time() - began_s > STANDS_AFTER_S
                tries = 1 if stood else tries + 1
                if not room.lost or tries > MOST_TRIES or self.draining:
                    break
                self._metrics.worker_lost()
                log.warning("conversation goes on in another worker", extra={"conversation_id": row.id})
                room = self._rooms[row.id] = self._room(order.resumed, room.known, room.waiting)
        except Exception:  # a fault of ours must not keep the room's place
            log.exception("a room failed", extra={"conversation_id": row.id})
        finally:
            try:
                stored = await self._account(row, outcome, order.system_prompt)
                # Still in the table of rooms while it is accounted for: an id is never in between.
                await asyncio.wait([stored], timeout=ACCOUNT_WITHIN_S)
            finally:
                self._rooms.pop(row.id, None)
                self._life_tasks.pop(row.id, None)
                await asyncio.shield(self._forget(row.id))

    async def _account(
        self, row: ConversationRow, outcome: RoomOutcome, system_prompt: str
    ) -> asyncio.Future[None]:
        """Queue that a conversation ended; the future is done once that is stored."""
        folder = self.folder(row.id)
        events = await asyncio.to_thread(transcripts.read_events, folder)
        lines = outcome.transcript or transcripts.transcript_lines(events)
        recording = await asyncio.to_thread(self._recording, row, outcome, events[-1].t if events else 0.0)
        analyses = [event.analysis for event in events if isinstance(event, PerceptionAnalysed)]
        now = self._wall()

        def store(connection: sqlite3.Connection) -> None:
            event_store.add_ending(
                connection, row, outcome.reason, lines, system_prompt, analyses, recording, now
            )

        def known(stored: asyncio.Future[None]) -> None:
            self._unstored.pop(row.id, None)
            self._wake_jobs()

        self._unstored[row.id] = outcome.reason
        stored = self._writes.put(store)
        stored.add_done_callback(known)
        self._metrics.conversation_over(outcome.reason, outcome.crashed, events)
        if self._tracer is not None:
            trace(self._tracer, row.id, outcome.reason, events)
        log.info("conversation ended", extra={"conversation_id": row.id, "reason": outcome.reason})
        return stored

    def shown(self, row: ConversationRow) -> ConversationRow:
        """The row as it will be once everything that happened is stored."""
        reason = self._unstored.get(row.id)
        if reason is None or row.status == "ended" or row.id in self._rooms:
            return row
        return replace(row, status="ended", shutdown_reason=reason)

    def _recording(
        self, row: ConversationRow, outcome: RoomOutcome, duration_s: float
    ) -> dict[str, Any] | None:
        """What is told of the recording, None without one. Blocks on the disk.

        `duration_s` is the conversation's, for a film that cannot be read: it counts how long an empty room
        waited, which the film leaves out.
        """
        path = outcome.recording or self.folder(row.id) / RECORDING_NAME
        if not path.is_file():
            return None
        with contextlib.suppress(CviError):
            duration_s = probe(path).duration_s
        return {
            "bucket_name": "",
            "s3_key": f"{row.id}/{path.name}",
            "duration": round(duration_s),
            "download_url": f"{self._settings.url}/v2/conversations/{row.id}/recording",
        }

    def _on_message(self, order: RoomOrder, message: Ready | Begun | Joined | Left | LiveEvent) -> None:
        """Called by the room's reader; what has to be stored is stored in the order it came."""
        row = order.row
        match message:
            case Ready():
                log.info("conversation ready", extra={"conversation_id": row.id})
                self._store(row, "system.replica_joined", {}, once=True)
            case Joined() | Begun():
                if isinstance(message, Joined):
                    self._metrics.joined.inc()
                task = asyncio.create_task(self._save(order))
                self._saves.add(task)
                task.add_done_callback(self._saves.discard)
            case LiveEvent(event=event) if event.event_type.startswith(STORED_EVENTS):
                self._store(
                    row, event.event_type, event.properties, own_url=_own_url(order, event.properties)
                )

    def _store(
        self,
        row: ConversationRow,
        event_type: str,
        properties: dict[str, Any],
        *,
        once: bool = False,
        own_url: str = "",
    ) -> None:
        """`own_url` is the address that an objective or a guardrail has for itself."""
        now = self._wall()
        add = event_store.add_event_once if once else event_store.add_event

        def store(connection: sqlite3.Connection) -> None:
            add(connection, row, event_type, properties, now)
            if own_url:
                event_store.queue_event(connection, row, event_type, properties, now, own_url)

        self._writes.put(store).add_done_callback(lambda stored: self._wake_jobs())

    async def end(self, conversation_id: str, reason: str) -> None:
        """End a room and wait until its end is stored. Nothing happens when there is no such room."""
        room, life = self._rooms.get(conversation_id), self._life_tasks.get(conversation_id)
        if room is not None:
            await room.end(reason)
        if life is not None:
            await asyncio.wait([life])

    async def drain(self, within_s: float) -> None:
        """Take no new conversations, let the running ones go on for a while, then end them."""
        self.draining = True
        if self._life_tasks and within_s > 0:
            log.info("draining, %d conversations", len(self._rooms))
            emptied = asyncio.create_task(asyncio.wait(list(self._life_tasks.values())))
            hurried = asyncio.create_task(self._hurry.wait())
            await asyncio.wait([emptied, hurried], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            emptied.cancel()
            hurried.cancel()
        await asyncio.gather(*(self.end(each, "server_shutdown") for each in list(self._rooms)))
        if self._life_tasks:
            await asyncio.wait(list(self._life_tasks.values()))

    def hurry(self) -> None:
        """Cut a drain short: end conversations now; a second call kills their workers."""
        self._hurry.set()
        if self.draining:
            for room in self._rooms.values():
                room.hurry()

    async def stop(self) -> None:
        """Kill what still runs and wait until every end is stored."""
        if self._measuring is not None:
            self._measuring.cancel()
        for room in self._rooms.values():
            room.kill()
        if self._life_tasks:
            await asyncio.wait(self._life_tasks.values())
        if not await self._writes.flush(ACCOUNT_WITHIN_S):
            log.error("not everything is stored; the next start reads it from the journals")
        await self._writes.stop()

    async def _measure_load(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rooms = [(room.pid, room.state) for room in self._rooms.values()]
            running = [pid for pid, state in rooms if pid is not None and state != "starting"]
            starting = [pid for pid, state in rooms if pid is not None and state == "starting"]
            self._admission.look(running, loop.time(), starting)
            self._metrics.load(len(self._rooms), self._admission.load, self._admission.peak_bytes)
            await asyncio.sleep(MEASURE_EVERY_S)


def last_active(folder: Path, otherwise: float) -> float:
    """When a conversation's journal or worker wrote last, Unix seconds. Blocks on the disk."""
    times = [path.stat().st_mtime for name in (JOURNAL_NAME, LOG_NAME) if (path := folder / name).is_file()]
    return max(times, default=otherwise)


def _own_url(order: RoomOrder, properties: dict[str, Any]) -> str:
    """The `callback_url` of the objective or guardrail that an event tells of; "" where it has none."""
    for kind in ("objective", "guardrail"):
        name = properties.get(f"{kind}_name")
        for item in order.start.persona.get(f"{kind}s") or []:
            if name is not None and item.get(f"{kind}_name") == name:
                return str(item.get("callback_url") or "")
    return ""
