"""A participant's memory in one conversation: what is recalled, and what is learnt from it.

What is said is read at the end of each turn, while no turn needs the model, and after the conversation. How
far each conversation was read is written down, so that the next one with this participant first reads what a
crash, or an end that came too soon, left unread.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvi.conversation.capabilities import Steering
from cvi.conversation.events import (
    Event,
    MemoriesRecalled,
    MemoryFailed,
    MemoryKept,
    ReplyFinished,
    ReplyInterrupted,
)
from cvi.conversation.journal import read_journal
from cvi.conversation.transcript import transcript
from cvi.embeddings.base import Embedder
from cvi.errors import CviError
from cvi.memory.extraction import (
    MOST_CANDIDATES,
    NewMemory,
    SaidTurn,
    extract,
    outdated,
    says_the_same,
)
from cvi.memory.recall import MemoryIndex, MemoryProvider, embedded, reference, start_note
from cvi.memory.store import (
    MemoryKey,
    MemoryStore,
    StoredMemory,
    add_memory,
    make_store,
    note_source,
    open_memory,
    unread_sources,
)

log = logging.getLogger("cvi.memory")


@dataclass(frozen=True, slots=True)
class ParticipantMemory:
    """What a conversation is given: notes for turns, what is known from the start, and who learns from it."""

    provider: MemoryProvider
    background: str
    keeper: MemoryKeeper


def open_participant(
    keys: Sequence[MemoryKey],
    embedder: Embedder,
    *,
    topics: Sequence[str] = (),
    keep_days: int | None = None,
    path: Path | None = None,
    english: bool = True,
) -> ParticipantMemory:
    """The memory of the participant, read from all the stores and written to the first; blocks.

    Raises CviError when memories cannot be read, UsageError for an impossible name.
    """
    connection = open_memory(path)
    stores = [make_store(connection, key, keep_days) for key in keys]
    index = MemoryIndex(connection, embedder, [store.id for store in stores])
    background, told = start_note(index.memories, english=english)
    provider = MemoryProvider(index, english=english)
    keeper = MemoryKeeper(connection, stores[0], index, provider, embedder, topics, told)
    return ParticipantMemory(provider, background, keeper)


def said_turns(events: Sequence[Event], *, over: bool) -> list[SaidTurn]:
    """The participant's turns with what was said before each; without the last one while it may go on."""
    turns: list[SaidTurn] = []
    before, answered = "", True
    for line in transcript(events):
        if line.role == "assistant":
            before, answered = line.text, True
        else:
            turns.append(SaidTurn(line.number, line.text, before))
            answered = False
    return turns if over or answered else turns[:-1]


class MemoryKeeper:
    """An `Observer` that learns from what the participant says. Event loop only; storing goes to threads."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        store: MemoryStore,
        index: MemoryIndex,
        provider: MemoryProvider,
        embedder: Embedder,
        topics: Sequence[str],
        told: Sequence[StoredMemory],
    ) -> None:
        self._connection = connection
        self._store = store
        self._index = index
        self._provider = provider
        self._embedder = embedder
        self._topics = topics
        self._told = told
        self._steering: Steering | None = None
        self._said_more = asyncio.Event()
        self._over = False
        self._work: asyncio.Task[None] | None = None

    def attach(self, steering: Steering) -> None:
        """Say what is recalled, and begin to learn."""
        self._steering = steering
        if self._told:
            steering.journal.write(MemoriesRecalled(memories=[reference(each) for each in self._told]))
        self._work = asyncio.create_task(self._learn(steering), name="memory")

    def on_event(self, event: Event) -> None:
        """A turn was answered: there is something to read."""
        if isinstance(event, ReplyFinished | ReplyInterrupted):
            self._said_more.set()

    async def close(self) -> None:
        """The conversation is over; what is left to read is read until `settle` returns."""
        self._over = True
        self._said_more.set()

    async def settle(self, within_s: float) -> None:
        """See `Lingering`. What is not read by then is read when the participant comes back."""
        self._over = True
        self._said_more.set()
        if self._work is not None:
            await asyncio.wait([self._work], timeout=within_s)
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        self._provider.close()
        await to_thread(self._connection.close)

    async def _learn(self, steering: Steering) -> None:
        try:
            await self._read_what_was_left(steering)
            path = steering.journal.path
            name, place = (path.parent.name, str(path)) if path is not None else ("", "")
            read = 0
            await to_thread(note_source, self._connection, self._store.id, name, place, read)
            while True:
                await self._said_more.wait()
                self._said_more.clear()
                over = self._over
                read = await self._read(steering, name, place, read, over=over)
                if over:
                    return
        except CviError as error:
            log.warning("nothing more is remembered: %s", error)
            if not self._over:
                steering.journal.write(MemoryFailed(message=str(error)))
        except Exception:  # a fault here must not end the conversation
            log.exception("memory failed")

    async def _read_what_was_left(self, steering: Steering) -> None:
        own = str(steering.journal.path)
        for left in await to_thread(unread_sources, self._connection, self._store.id):
            if left.journal not in ("", own):
                await self._read(steering, left.conversation, left.journal, left.turn, over=True)

    async def _read(self, steering: Steering, name: str, place: str, read: int, *, over: bool) -> int:
        """Learn from a conversation's turns behind number `read`; the number of the last one."""
        turns = await to_thread(_turns, place, steering, over)
        for turn in turns:
            if turn.number <= read:
                continue
            for new in await extract(steering.llm, turn, self._topics):
                await self._keep(steering, name, turn, new)
            read = turn.number
            await to_thread(note_source, self._connection, self._store.id, name, place, read)
        if over:
            await to_thread(note_source, self._connection, self._store.id, name, place, read, True)
        return read

    async def _keep(self, steering: Steering, name: str, turn: SaidTurn, new: NewMemory) -> None:
        vector = (await to_thread(self._embedder.passages, [embedded(new.text, turn.text)]))[0]
        near = [each for each in self._index.like(vector, MOST_CANDIDATES) if each.store == self._store.id]
        if any(says_the_same(new.text, each.text) for each in self._index.memories):
            return
        # What is pinned was put there by a person, and what was said in one breath holds together.
        here = (name, turn.number) if name else None
        rivals = [each for each in near if not each.pinned and (each.conversation, each.turn) != here]
        old = await outdated(steering.llm, new, rivals)

        def store() -> StoredMemory | None:
            return add_memory(
                self._connection,
                self._store.id,
                new.text,
                kind=new.kind,
                said=turn.text[:1000],
                conversation=name,
                turn=turn.number,
                confidence=new.confidence,
                supersedes=[each.id for each in old],
                embedder=self._embedder.name,
                vector=vector,
            )

        kept = await to_thread(store)
        if kept is None:
            return
        await to_thread(self._index.refresh)
        self._provider.outdated()
        if not self._over:
            gone = [reference(each) for each in old]
            steering.journal.write(
                MemoryKept(turn=turn.number, memory=reference(kept), kind=kept.kind, outdated=gone)
            )


def _turns(place: str, steering: Steering, over: bool) -> list[SaidTurn]:
    """From the journal's file; from its events where they are kept in memory. An erased one has none."""
    if not place:
        return said_turns(steering.journal.events or [], over=over)
    path = Path(place)
    return said_turns(list(read_journal(path)), over=over) if path.is_file() else []
