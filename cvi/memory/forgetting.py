"""Erasing a participant: what is remembered of them, and the conversations held from the command line.

What a server keeps besides (its database, uploads) is erased by `cvi.server.retention`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from cvi.conversation.journal import JOURNAL_NAME, RECORDING_NAME, list_ids, load_record
from cvi.database import scrub
from cvi.errors import CviError, UsageError
from cvi.memory.store import (
    DEFAULT_OWNER,
    drop_learned,
    drop_store,
    find_stores,
    memory_path,
    open_memory,
    participant_name,
)
from cvi.paths import conversations_dir

STILL_RUNS_S = 120.0
"""A journal without an end that was written in so short a time belongs to a conversation that runs."""


@dataclass(slots=True)
class ForgottenThings:
    """What was erased: `memories` (older ones included) and conversations by their ids, with their journals,
    transcripts and reports; so many of them had a recording. `elsewhere` says what is not on this machine."""

    memories: int = 0
    conversations: list[str] = field(default_factory=list)
    recordings: int = 0
    elsewhere: list[str] = field(default_factory=list)


def forget_memories(participant: str, owner: str = DEFAULT_OWNER) -> int:
    """Erase all that is remembered of a participant, with every persona; how many memories. Blocks.

    A conversation that is running keeps nothing from then on. Raises CviError.
    """
    name = participant_name(participant)
    if not memory_path().exists():
        return 0
    connection = open_memory()
    try:
        stores = find_stores(connection, participant=name, owner=owner)
        held = 0
        for store in stores:
            query = "SELECT count(*) FROM memories WHERE store = ?"
            held += int(connection.execute(query, (store.id,)).fetchone()[0])
            drop_store(connection, store.id)
        _scrub(connection)
        return held
    finally:
        connection.close()


def forget_learned(conversation: str) -> int:
    """Erase what anybody's memory has from one conversation; how many memories. Blocks. Raises CviError."""
    if not memory_path().exists():
        return 0
    connection = open_memory()
    try:
        held = drop_learned(connection, conversation)
        _scrub(connection)
        return held
    finally:
        connection.close()


def _scrub(connection: sqlite3.Connection) -> None:
    if not scrub(connection):
        raise CviError(
            "The memories are erased, but another process still reads the file's log, which holds them.",
            "Run the command again when no conversation is being held.",
        )


def conversations_with(participant: str) -> list[str]:
    """The conversations on disk whose journal names the participant, newest first. Blocks."""
    root = conversations_dir()
    return [id for id in list_ids(root) if participant in _participants(root / id / JOURNAL_NAME)]


def forget_conversation(id: str, into: ForgottenThings) -> None:
    """Erase a conversation's folder: journal, recording, report. Blocks.

    Raises UsageError for one that runs, CviError when a file cannot be erased.
    """
    folder = conversations_dir() / id
    try:
        if time.time() - (folder / JOURNAL_NAME).stat().st_mtime < STILL_RUNS_S and not _ended(folder):
            raise UsageError(f"The conversation {id} is running.", "End it first, or wait two minutes.")
        recorded = (folder / RECORDING_NAME).is_file()
        shutil.rmtree(folder)
    except OSError as error:
        raise CviError(
            f"{folder} cannot be erased: {error.strerror or error}.", "Mend that, and run the command again."
        ) from error
    into.conversations.append(id)
    into.recordings += recorded


def _participants(path: Path) -> list[str]:
    """Whom a journal's first line names; nobody where it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            names = json.loads(file.readline()).get("participants", [])
    except (OSError, ValueError, AttributeError):
        return []
    return names if isinstance(names, list) else []


def _ended(folder: Path) -> bool:
    try:
        return load_record(folder.parent, folder.name).ended is not None
    except CviError:
        return True
