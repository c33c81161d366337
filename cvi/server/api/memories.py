"""`/v2/memory-stores` and `/v2/memories`: what is remembered of participants, of the caller's own.

A store is one participant's with one persona, as a conversation's `participant_tags` choose it, or a named
one, as `memory_stores` do. The contract's paths name a store by its name, ours by its id.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from cvi.database import scrub
from cvi.errors import UsageError
from cvi.memory.store import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MemoryKey,
    MemoryKind,
    MemoryStore,
    StoredMemory,
    add_memory,
    drop_memory,
    drop_store,
    find_stores,
    get_memory,
    make_store,
    memories_of,
    open_memory,
    participant_name,
)
from cvi.server.contract import Body, HttpProblem, PageRange, empty, iso, listing, not_found, page_from_one
from cvi.server.json_bodies import JsonRoute
from cvi.server.services import ServicesDep

T = TypeVar("T")
router = APIRouter(route_class=JsonRoute, tags=["memories"])
_PageOne = Annotated[PageRange, Depends(page_from_one)]


class StoreBody(Body):
    """A store to make: of a participant with a persona, or with any persona."""

    participant_tag: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    persona_id: Annotated[str, Field(max_length=100)] = ""


class PinnedMemoryBody(Body):
    """Something to remember that nobody said: it is always told, and never expires."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    kind: MemoryKind = "profile"


@router.post("/memory-stores", summary="Make a memory store")
async def make(body: StoreBody, services: ServicesDep) -> dict[str, Any]:
    """The one that is there, where it is."""
    key = MemoryKey(_name(body.participant_tag), body.persona_id, services.owner)

    def work(connection: sqlite3.Connection) -> MemoryStore:
        found = find_stores(connection, participant=key.participant, persona=key.persona, owner=key.owner)
        return found[0] if found else make_store(connection, key)

    return _store(await _with(work))


@router.get("/memory-stores", summary="List memory stores")
async def stores(
    services: ServicesDep,
    page: _PageOne,
    participant_tag: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
) -> dict[str, Any]:
    """Newest first."""
    owner = services.owner
    found = await _with(lambda there: find_stores(there, owner=owner, participant=participant_tag))
    return listing([_store(each) for each in page.of(found)], len(found))


@router.get("/memory-stores/{memory_store_id}", summary="Get a memory store")
async def store(memory_store_id: str, services: ServicesDep) -> dict[str, Any]:
    """404 for an unknown one."""
    return _store(await _with(lambda there: _own(there, services.owner, id=memory_store_id)))


@router.delete("/memory-stores/{memory_store_id}", summary="Forget all of a store", status_code=204)
async def forget_store(memory_store_id: str, services: ServicesDep) -> Response:
    """A conversation that is running keeps nothing from then on."""

    def work(connection: sqlite3.Connection) -> None:
        drop_store(connection, _own(connection, services.owner, id=memory_store_id).id)
        scrub(connection)

    await _with(work)
    return empty()


@router.get("/memory-stores/{memory_store_id}/memories", summary="List a store's memories")
async def store_memories(memory_store_id: str, services: ServicesDep, page: _PageOne) -> dict[str, Any]:
    """Those that hold, oldest first."""
    return await _listed(services.owner, page, id=memory_store_id)


@router.post("/memory-stores/{memory_store_id}/memories", summary="Pin a memory")
async def pin(memory_store_id: str, body: PinnedMemoryBody, services: ServicesDep) -> dict[str, Any]:
    """It is always told, and never expires."""

    def work(connection: sqlite3.Connection) -> StoredMemory | None:
        held = _own(connection, services.owner, id=memory_store_id)
        return add_memory(connection, held.id, body.text, kind=body.kind, pinned=True)

    kept = await _with(work)
    if kept is None:
        raise not_found("Memory store")
    return _memory(kept)


@router.delete(
    "/memory-stores/{memory_store_id}/memories/{memory_id}", summary="Forget one thing", status_code=204
)
async def forget_one(memory_store_id: str, memory_id: str, services: ServicesDep) -> Response:
    """404 for what the store does not hold."""
    return await _forget(services.owner, memory_id, id=memory_store_id)


@router.get("/memories/{memory_store}", summary="List what is remembered")
async def memories(memory_store: str, services: ServicesDep, page: _PageOne) -> dict[str, Any]:
    """By the name of a store; none where nothing is remembered."""
    try:
        return await _listed(services.owner, page, participant=memory_store, persona="")
    except HttpProblem:
        return listing([], 0)


@router.delete("/memories/{memory_store}/{memory_id}", summary="Forget one thing", status_code=204)
async def forget(memory_store: str, memory_id: str, services: ServicesDep) -> Response:
    """404 for what is not there."""
    return await _forget(services.owner, memory_id, participant=memory_store, persona="")


async def _listed(owner: str, page: PageRange, **which: str) -> dict[str, Any]:
    found = await _with(lambda there: memories_of(there, _own(there, owner, **which).id))
    return listing([_memory(each) for each in page.of(found)], len(found))


async def _forget(owner: str, memory_id: str, **which: str) -> Response:
    def work(connection: sqlite3.Connection) -> None:
        held = _own(connection, owner, **which)
        digits = memory_id.removeprefix("m")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
            raise not_found("Memory")
        try:
            memory = get_memory(connection, int(digits))
        except UsageError as error:
            raise not_found("Memory") from error
        if memory.store != held.id:
            raise not_found("Memory")
        drop_memory(connection, memory.id)
        scrub(connection)

    await _with(work)
    return empty()


async def _with(work: Callable[[sqlite3.Connection], T]) -> T:
    def run() -> T:
        with closing(open_memory()) as connection:
            return work(connection)

    return await asyncio.to_thread(run)


def _own(connection: sqlite3.Connection, owner: str, **which: str) -> MemoryStore:
    found = find_stores(connection, owner=owner, **which)
    if not found:
        raise not_found("Memory store")
    return found[0]


def _name(text: str) -> str:
    try:
        return participant_name(text)
    except UsageError as error:
        raise HttpProblem(400, str(error)) from error


def _store(store: MemoryStore) -> dict[str, Any]:
    return {
        "memory_store_id": store.id,
        "participant_tag": store.participant,
        "persona_id": store.persona,
        "pal_id": store.persona,
        "keep_days": store.keep_days,
        "memories": store.memories,
        "created_at": iso(store.created_at),
    }


def _memory(memory: StoredMemory) -> dict[str, Any]:
    return {
        "memory_id": f"m{memory.id}",
        "memory_store_id": memory.store,
        "text": memory.text,
        "kind": memory.kind,
        "pinned": memory.pinned,
        "confidence": memory.confidence,
        "conversation_id": memory.conversation,
        "turn": memory.turn,
        "created_at": iso(memory.created_at),
    }
