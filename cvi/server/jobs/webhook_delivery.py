"""Webhooks: delivered at least once, in order within each stream, signed as Standard Webhooks asks.

A message is queued in the same transaction as what it tells of. One that was sent and not yet marked as
delivered is sent again after a crash, with the same `webhook-id`. While the first message of a stream waits
for its next attempt, the later ones wait too.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from cvi.client.client import SECRET_PREFIX, sign
from cvi.endpoints.outbound import OutboundClient, OutboundError, RefusedAddressError
from cvi.errors import UsageError
from cvi.server.jobs.queue import JobHandler, JobRun, RetryPolicy, TryAgainError
from cvi.server.store import jobs
from cvi.server.store.database import Database
from cvi.server.store.jobs import Job
from cvi.server.store.keys import DEFAULT_OWNER, server_secret

KIND = "webhook"
KEEP_TRYING_S = 24 * 3600.0

WebhookState = Literal["waiting", "delivered", "given_up"]
_STATES: dict[WebhookState, tuple[jobs.State, ...]] = {
    "waiting": jobs.OPEN,
    "delivered": ("succeeded",),
    "given_up": ("failed", "cancelled"),
}


class _Payload(BaseModel):
    """Where a webhook goes and what it says, as JSON text."""

    url: str
    body: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as the command line shows it. `stream` is what it tells of; times are Unix seconds."""

    number: int
    id: str
    stream: str
    url: str
    event_type: str
    body: str
    state: WebhookState
    attempts: int
    created_at: float
    next_at: float
    until: float
    finished_at: float | None
    last_answer: str


def webhook_secret(connection: sqlite3.Connection, owner: str = DEFAULT_OWNER) -> str:
    """The secret that an owner's webhooks are signed with, made when first asked for."""
    name = "webhooks" if owner == DEFAULT_OWNER else f"webhooks:{owner}"
    return SECRET_PREFIX + server_secret(connection, name)


def queue_webhook(
    connection: sqlite3.Connection,
    stream: str,
    url: str,
    event_type: str,
    body: dict[str, Any],
    now: float,
    owner: str = DEFAULT_OWNER,
) -> str:
    """Queue a webhook behind those of its stream; returns its id. Without a `url` nothing is queued: ""."""
    if not url:
        return ""
    id = f"msg_{secrets.token_hex(8)}"
    jobs.add(
        connection,
        KIND,
        id,
        _Payload(url=url, body=json.dumps(body)).model_dump(),
        now,
        key=stream,
        name=event_type,
        keep_trying_s=KEEP_TRYING_S,
        owner=owner,
        lane=_lane(url),
    )
    return id


def _lane(url: str) -> str:
    """The host, so that one that is slow holds a few places at most."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def list_webhooks(
    connection: sqlite3.Connection, limit: int, stream: str | None = None, state: WebhookState | None = None
) -> list[Webhook]:
    """The newest webhooks, newest first, of one stream and in one state where they are given."""
    states = _STATES[state] if state is not None else tuple(s for group in _STATES.values() for s in group)
    return [_webhook(job) for job in jobs.every(connection, KIND, states, key=stream, limit=limit)]


def find_webhook(connection: sqlite3.Connection, id: str) -> Webhook:
    """Raises `UsageError` for an unknown id."""
    job = jobs.get(connection, KIND, id)
    if job is None:
        raise _unknown(id)
    return _webhook(job)


def resend_webhook(connection: sqlite3.Connection, id: str, now: float) -> None:
    """Send a webhook once more, and try for another day. Raises `UsageError` for an unknown id."""
    if not jobs.restart(connection, KIND, id, now, KEEP_TRYING_S):
        raise _unknown(id)


def _unknown(id: str) -> UsageError:
    return UsageError(f"There is no webhook '{id}'.", "See them with: cvi webhooks list")


def _webhook(job: Job) -> Webhook:
    payload = _Payload.model_validate(job.payload)
    return Webhook(
        number=job.number,
        id=job.id,
        stream=job.key,
        url=payload.url,
        event_type=job.name,
        body=payload.body,
        state=next(state for state, group in _STATES.items() if job.state in group),
        attempts=job.attempts,
        created_at=job.created_at,
        next_at=job.next_at,
        until=job.until or 0.0,
        finished_at=job.finished_at,
        last_answer=job.result,
    )


class WebhookDelivery(JobHandler):
    """Posts webhooks through `client`; any answer but a success is tried again for a day."""

    kind = KIND
    at_once = 16
    at_once_in_lane = 4
    retry = RetryPolicy(first_pause_s=2.0, longest_pause_s=3600.0, jitter=0.5)

    def __init__(
        self, database: Database, client: OutboundClient, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._client = client
        self._wall = wall
        self._secrets: dict[str, str] = {}

    async def run(self, run: JobRun) -> str:
        """Post once; returns "HTTP 204" or the like."""
        payload = _Payload.model_validate(run.job.payload)
        body = payload.body.encode()
        headers = {"content-type": "application/json"}
        headers |= sign(await self._secret(run.job.owner), run.job.id, int(self._wall()), body)
        try:
            answer = await self._client.post(payload.url, body, headers)
        except (RefusedAddressError, OutboundError) as error:
            raise TryAgainError(error.message) from error
        if not answer.good:
            raise TryAgainError(f"HTTP {answer.status}")
        return f"HTTP {answer.status}"

    async def _secret(self, owner: str) -> str:
        if owner not in self._secrets:
            self._secrets[owner] = await self._database.write_surely(
                lambda connection: webhook_secret(connection, owner)
            )
        return self._secrets[owner]
