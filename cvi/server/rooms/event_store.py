"""The event store: what happened in a conversation, as stored and as sent by webhooks.

An event and its webhook are written in one transaction: neither is there without the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from cvi.server.contract import in_both_vocabularies, iso
from cvi.server.jobs.recording_upload import queue_upload
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.store import conversations
from cvi.server.store.conversations import ConversationRow


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
    queue_event(connection, row, event_type, sent, now, row.callback_url)


def queue_event(
    connection: sqlite3.Connection,
    row: ConversationRow,
    event_type: str,
    properties: dict[str, Any],
    now: float,
    url: str,
) -> None:
    """Queue the webhook of an event to an address; nothing for ""."""
    body = {
        "conversation_id": row.id,
        "event_type": event_type,
        "message_type": event_type.partition(".")[0],
        "timestamp": iso(now),
        "webhook_url": url,
        "properties": in_both_vocabularies({"replica_id": row.replica_id, **properties}),
    }
    queue_webhook(connection, row.id, url, event_type, body, now, row.owner)


def add_event_once(
    connection: sqlite3.Connection,
    row: ConversationRow,
    event_type: str,
    properties: dict[str, Any],
    now: float,
) -> None:
    """The same, unless the conversation has such an event."""
    if all(event.event_type != event_type for event in conversations.list_events(connection, row.id)):
        add_event(connection, row, event_type, properties, now)


def add_ending(
    connection: sqlite3.Connection,
    row: ConversationRow,
    reason: str,
    lines: list[dict[str, Any]],
    system_prompt: str,
    analyses: Iterable[str],
    recording: dict[str, Any] | None,
    now: float,
) -> None:
    """Shutdown, transcript, analyses, recording, in this order; nothing when it had ended before.

    A recording that belongs in a bucket is announced once it is there (`cvi.server.jobs.recording_upload`).
    """
    if not conversations.end_conversation(connection, row.id, reason, now):
        return
    add_event(connection, row, "system.shutdown", {"reason": reason}, now, {"shutdown_reason": reason})
    with_prompt = [{"role": "system", "content": system_prompt}, *lines]
    ready = "application.transcription_ready"
    add_event(connection, row, ready, {"transcript": lines}, now, {"transcript": with_prompt})
    for analysis in analyses:
        add_event(connection, row, "application.perception_analysis", {"analysis": analysis}, now)
    bucket = row.request.get("recording_bucket")
    if recording is not None and bucket is not None:
        queue_upload(connection, row.id, recording, bucket, now)
    elif recording is not None:
        add_event(connection, row, "application.recording_ready", recording, now)
