"""The contract's transcript, read from the journal by the worker, or after a crash by the server."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cvi.conversation.events import ConversationStarted, Event, ReplyGiven
from cvi.conversation.journal import JOURNAL_NAME, read_journal
from cvi.conversation.resumption import Past
from cvi.conversation.transcript import TranscriptEntry, transcript
from cvi.errors import CviError
from cvi.server.worker.interactions import inference_id


def read_events(folder: Path) -> list[Event]:
    """A conversation's journal as far as it goes; empty when there is none, or none that can be read."""
    path = folder / JOURNAL_NAME
    if not path.is_file():
        return []
    try:
        return list(read_journal(path))
    except CviError:
        return []


def past_of(folder: Path) -> Past | None:
    """What the journal holds of a conversation that goes on now; None where it had not begun."""
    events = read_events(folder)
    began = began_at(events)
    if not events or not began:
        path = folder / JOURNAL_NAME
        if path.is_file() and b"\n" not in path.read_bytes():
            path.unlink()  # lost before its first event was whole
        return None
    return Past(events, max(time.time() - began, events[-1].t))


def transcript_lines(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The contract's transcript from a journal: times in Unix seconds and seconds from the start.

    A reply has the `inference_id` of its live events.
    """
    events = list(events)
    began = began_at(events)
    conversation_id = _started(events).conversation_id
    given = {event.reply: event.utterance for event in events if isinstance(event, ReplyGiven)}

    def shown(line: TranscriptEntry) -> dict[str, Any]:
        entry = {
            "role": line.role,
            "content": line.text,
            "timestamp": round(began + line.start_s, 3),
            "seconds_from_start": round(line.start_s, 3),
            "duration": round(max(line.end_s - line.start_s, 0.0), 3),
        }
        if line.role == "assistant":
            own = inference_id(conversation_id, "reply", line.number)
            entry["inference_id"] = given.get(line.number) or own
        return entry

    return [shown(line) for line in transcript(events)]


def began_at(events: Sequence[Event]) -> float:
    """When a conversation began, Unix seconds; 0.0 when its journal does not say."""
    try:
        return datetime.fromisoformat(_started(events).began).timestamp()
    except ValueError:
        return 0.0


def _started(events: Sequence[Event]) -> ConversationStarted:
    first = events[0] if events else None
    return first if isinstance(first, ConversationStarted) else ConversationStarted()
