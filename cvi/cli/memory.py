"""`cvi memory`: what is remembered of participants; `cvi forget`: all of it erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import sqlite3

    from cvi.memory.forgetting import ForgottenThings
    from cvi.memory.store import MemoryStore, StoredMemory


app = typer.Typer(
    no_args_is_help=True, help="What personas remember of participants: see, change, forget it."
)

Number = Annotated[str, typer.Argument(metavar="MEMORY", help="Its number, as in `cvi memory list`.")]
Who = Annotated[str | None, typer.Argument(metavar="[PARTICIPANT]", help="Of this one alone.")]


@app.command("list")
def list_all(
    participant: Who = None,
    history: Annotated[bool, typer.Option("--history", help="Also what newer ones contradict.")] = False,
) -> None:
    """What is remembered, of everybody or of one participant."""
    connection = _open()
    stores = _stores(connection, participant)
    if not stores:
        typer.echo("Nothing is remembered.")
    for store in stores:
        persona = f" with {store.persona}" if store.persona else ""
        kept = f", for {store.keep_days} days" if store.keep_days else ""
        owner = f", of {store.owner}" if store.owner != "default" else ""
        typer.echo(f"{store.participant}{persona}{kept}{owner}")
        for each in _memories(connection, store, history):
            marks = "  pinned" if each.pinned else ""
            marks += f"  until m{each.superseded_by}" if each.superseded_by is not None else ""
            typer.echo(f"  m{each.id:<4} {each.kind:<8} {each.day}  {each.text}{marks}")


@app.command()
def show(memory: Number) -> None:
    """One memory: its text, where it comes from, how sure it is."""
    from cvi.memory.store import get_memory

    each = get_memory(_open(), _number(memory))
    typer.echo(f"m{each.id}  {each.text}")
    typer.echo(f"  {each.kind}, told on {each.day}{', pinned' if each.pinned else ''}")
    if each.conversation:
        typer.echo(f'  {each.conversation}, turn {each.turn}: "{each.said}"')
        typer.echo(f"  {each.confidence:.0%} of its words were said there")
    if each.superseded_by is not None:
        typer.echo(f"  no longer holds since m{each.superseded_by}")


@app.command()
def add(
    participant: Annotated[str, typer.Argument(help="Whose.")],
    text: Annotated[str, typer.Argument(help='One sentence, such as "The user prefers to be called Jo."')],
    persona: Annotated[str, typer.Option(help="With which persona; none: a store by that name.")] = "",
    pin: Annotated[bool, typer.Option("--pin/--no-pin", help="Always told, and never expires.")] = True,
) -> None:
    """Remember something that nobody said."""
    from cvi.memory.store import MemoryKey, add_memory, find_stores, make_store, participant_name

    connection, name = _open(), participant_name(participant)
    found = find_stores(connection, participant=name, persona=persona, owner="default")
    store = found[0] if found else make_store(connection, MemoryKey(name, persona))
    kept = add_memory(connection, store.id, text, kind="profile", pinned=pin)
    if kept is not None:
        typer.echo(f"m{kept.id}  {kept.text}")


@app.command()
def edit(
    memory: Number,
    text: Annotated[str | None, typer.Option(help="Another text.")] = None,
    kind: Annotated[str | None, typer.Option(help="profile, episode or semantic.")] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--unpin", help="Always told, and never expires.")] = None,
) -> None:
    """Change a memory."""
    from cvi.errors import UsageError
    from cvi.memory.store import KINDS, change_memory

    chosen = next((each for each in KINDS if each == kind), None)
    if kind is not None and chosen is None:
        raise UsageError(f"There is no kind '{kind}'.", f"Give {', '.join(KINDS)}.")
    each = change_memory(_open(), _number(memory), text=text, kind=chosen, pinned=pin)
    typer.echo(f"m{each.id}  {each.text}{'  pinned' if each.pinned else ''}")


@app.command()
def export(participant: Who = None) -> None:
    """Everything that is remembered, with sources and history, as JSON."""
    from dataclasses import asdict
    from json import dumps

    connection = _open()
    stores = [
        {**asdict(store), "memories": [asdict(each) for each in _memories(connection, store, True)]}
        for store in _stores(connection, participant)
    ]
    typer.echo(dumps({"stores": stores}, indent=2, ensure_ascii=False))


@app.command("forget")
def forget_numbered(
    memories: Annotated[list[str], typer.Argument(metavar="MEMORY...", help="Their numbers.")],
) -> None:
    """Erase memories. The journal of the conversation they come from stays; see `cvi forget`."""
    from cvi.database import scrub
    from cvi.memory.store import drop_memory, get_memory

    connection = _open()
    for each in [get_memory(connection, _number(name)) for name in memories]:
        drop_memory(connection, each.id)
        typer.echo(f"Forgot m{each.id}: {each.text}")
    scrub(connection)


def _open() -> sqlite3.Connection:
    from cvi.memory.store import open_memory

    return open_memory()


def _number(text: str) -> int:
    from cvi.errors import UsageError

    digits = text.removeprefix("m")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise UsageError(f"'{text}' is not a memory's number.", "See them with: cvi memory list")
    return int(digits)


def _stores(connection: sqlite3.Connection, participant: str | None) -> list[MemoryStore]:
    from cvi.memory.store import find_stores, participant_name

    return find_stores(connection, participant=None if participant is None else participant_name(participant))


def _memories(connection: sqlite3.Connection, store: MemoryStore, history: bool) -> list[StoredMemory]:
    from cvi.memory.store import memories_of

    return memories_of(connection, store.id, history=history)


def forget(
    participant: Annotated[
        str | None, typer.Argument(help="As after --participant, or as a tag or memory store.")
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(help="One conversation instead: its id, the beginning of it, or `last`."),
    ] = None,
    owner: Annotated[str, typer.Option(help="Of a server with keys: whose participant.")] = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase a participant, or one conversation: memories, journals, recordings, events, uploads.

    What was erased is printed. Files that you wrote elsewhere yourself (`cvi talk -o`) stay.
    """
    import sys

    from cvi.errors import UsageError
    from cvi.memory.store import DEFAULT_OWNER, participant_name

    if (participant is None) == (conversation is None):
        raise UsageError("Name a participant or a conversation.", "cvi forget anna, or --conversation last")
    if conversation is not None and owner != DEFAULT_OWNER:
        raise UsageError("--owner says whose participant, and a conversation has its own.", "Leave it out.")
    name = _conversation(conversation) if participant is None else participant_name(participant)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked here.", "Add --yes to erase without asking.")
        typer.confirm(f"Erase everything that is kept of {name}? It cannot be undone.", abort=True)
    gone = _erase_conversation(name) if participant is None else _erase_participant(name, owner)
    typer.echo(f"Memories        {gone.memories}")
    typer.echo(f"Conversations   {len(gone.conversations)} ({gone.recordings} recorded)")
    for id in gone.conversations:
        typer.echo(f"  {id}: journal, transcript, recording, events, webhooks")
    for line in gone.elsewhere:
        typer.echo(f"Still there: {line}.")


def _conversation(name: str | None) -> str:
    """The id of a conversation on this machine."""
    from cvi.conversation.journal import find_folder
    from cvi.errors import UsageError
    from cvi.paths import conversations_dir

    root = conversations_dir()
    folder = find_folder(root, name or "last")
    if folder.parent != root.absolute():
        raise UsageError(f"{folder} is not in {root}.", "Give a conversation's id, as `cvi list` shows it.")
    return folder.name


def _erase_participant(name: str, owner: str) -> ForgottenThings:
    import asyncio

    from cvi.memory.forgetting import (
        ForgottenThings,
        conversations_with,
        forget_conversation,
        forget_memories,
    )
    from cvi.memory.store import DEFAULT_OWNER
    from cvi.server.retention import forget_served

    gone = ForgottenThings(memories=forget_memories(name, owner))
    asyncio.run(forget_served(name, owner, gone))
    if owner == DEFAULT_OWNER:
        for id in conversations_with(name):
            forget_conversation(id, gone)
    return gone


def _erase_conversation(id: str) -> ForgottenThings:
    import asyncio

    from cvi.memory.forgetting import ForgottenThings, forget_conversation, forget_learned
    from cvi.server.retention import forget_served_conversation

    # What it is named by goes last, so that a run that fails can be made again.
    gone = ForgottenThings(memories=forget_learned(id))
    asyncio.run(forget_served_conversation(id, gone))
    if not gone.conversations:
        forget_conversation(id, gone)
    return gone
