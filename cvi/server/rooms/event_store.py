"""The event store: what happened in a conversation, as stored and as sent by webhooks.

An event and its webhook are written in one transaction: neither is there without the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cvi.conversation.events import ConversationStarted, Event, ReplyGiven
from cvi.conversation.journal import JOURNAL_NAME, read_journal
from cvi.conversation.transcript import TranscriptEntry, transcript
from cvi.errors import CviError
from cvi.server.contract import in_both_vocabularies, iso
from cvi.server.jobs.recording_upload import queue_upload
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow
from cvi.server.worker.interactions import inference_id


def add_event(
    connection: sqlite3.Connection,
    row: ConversationRow,
    event_type: str,
    properties: dict[str, Any],
    now: float,
    webhook_properties: dict[str, Any] | None = None,
) -> None:
    """Store an event and queue its webhook, if the conversation has an address for them.

    `webhook_properties`: what the webhook says, where the contract lets it differ from the stored event.
    """
    conversations.add_event(connection, row.id, event_type, now, properties)
    sent = webhook_properties if webhook_properties is not None else properties
    body = {
        "conversation_id": row.id,
        "event_type": event_type,
        "message_type": event_type.partition(".")[0],
        "timestamp": iso(now),
        "webhook_url": row.callback_url,
        "properties": in_both_vocabularies({"replica_id": row.replica_id, **sent}),
    }
    queue_webhook(connection, row.id, row.callback_url, event_type, body, now)


def add_ending(
    connection: sqlite3.Connection,
    row: ConversationRow,
    reason: str,
    lines: list[dict[str, Any]],
    system_prompt: str,
    recording: dict[str, Any] | None,
    now: float,
) -> bool:
    """Shutdown, transcript, recording, in this order. False when it had ended before.

    A recording that belongs in a bucket is announced once it is there (`cvi.server.jobs.recording_upload`).
    """
    if not conversations.end_conversation(connection, row.id, reason, now):
        return False
    add_event(connection, row, "system.shutdown", {"reason": reason}, now, {"shutdown_reason": reason})
    with_prompt = [{"role": "system", "content": system_prompt}, *lines]
    ready = "application.transcription_ready"
    add_event(connection, row, ready, {"transcript": lines}, now, {"transcript": with_prompt})
    bucket = row.request.get("recording_bucket")
    if recording is not None and bucket is not None:
        queue_upload(connection, row.id, recording, bucket, now)
    elif recording is not None:
        add_event(connection, row, "application.recording_ready", recording, now)
    return True


def read_events(folder: Path) -> list[Event]:
    """A conversation's journal as far as it goes; empty when there is none, or none that can be read."""
    path = folder / JOURNAL_NAME
    if not path.is_file():
        return []
    try:
        return list(read_journal(path))
    except CviError:
        return []


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
