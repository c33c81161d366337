"""The delivery of webhooks from the outbox: at least once, in order within each stream.

A message is written in the same transaction as what it tells of, so a process killed at any moment
loses none; one that was sent and not yet marked is sent again, with the same `webhook-id`. Those of one
stream leave one after the other: while the first waits for its next attempt, the others wait too.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable

from cvi.client.signature import SECRET_PREFIX, sign
from cvi.endpoints.outbound import OutboundClient, OutboundError, RefusedAddressError
from cvi.server.store import outbox
from cvi.server.store.database import Database
from cvi.server.store.keys import server_secret

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 3600.0
AT_ONCE = 16
LOOK_AGAIN_S = 5.0
"""How often to look for what another process put in (`cvi webhooks resend`); our own wakes us at once."""
KEEP_DONE_S = 7 * 24 * 3600.0

log = logging.getLogger("cvi.server.webhooks")


def webhook_secret(connection: sqlite3.Connection) -> str:
    """The secret that this server signs webhooks with, made when first asked for."""
    return SECRET_PREFIX + server_secret(connection, "webhooks")


def pause_s(attempts: int, chance: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failed attempts: doubling, with half of it left to chance."""
    longest: float = min(FIRST_PAUSE_S * 2 ** min(attempts - 1, 30), LONGEST_PAUSE_S)
    return longest * (0.5 + 0.5 * chance())


class Delivery:
    """Sends what waits. `start` and `stop` it with the server; `wake` it when something was put in."""

    def __init__(
        self, database: Database, caller: OutboundClient, wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._caller = caller
        self._wall = wall
        self._woken = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._secret = ""

    async def start(self) -> None:
        self._secret = await self._database.write(webhook_secret)
        await self._database.write(lambda there: outbox.forget_old(there, self._wall() - KEEP_DONE_S))
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        self._woken.set()

    async def stop(self) -> None:
        """Break off; what is under way is sent again by the next server."""
        tasks = [*self._under_way.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def flush(self, within_s: float) -> None:
        """Wait until nothing is due, at most so long: what a stopping server still does."""
        try:
            async with asyncio.timeout(within_s):
                while self._under_way or await self._due():
                    self.wake()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log.info("webhooks are left for the next start")

    async def _due(self) -> list[outbox.Message]:
        now = self._wall()
        return [message for message in await self._database.read(outbox.heads) if message.next_at <= now]

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            heads = await self._database.read(outbox.heads)
            now = self._wall()
            wait_s = LOOK_AGAIN_S
            for message in heads:
                if message.stream in self._under_way:
                    continue
                if message.next_at > now:
                    wait_s = min(wait_s, message.next_at - now)
                elif len(self._under_way) < AT_ONCE:
                    self._send(message)
            try:
                async with asyncio.timeout(max(wait_s, 0.01)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _send(self, message: outbox.Message) -> None:
        task = asyncio.create_task(self._attempt(message))
        self._under_way[message.stream] = task

        def over(done: asyncio.Task[None]) -> None:
            del self._under_way[message.stream]
            if not done.cancelled() and done.exception() is not None:
                log.error("a webhook could not be noted", exc_info=done.exception())
            self.wake()

        task.add_done_callback(over)

    async def _attempt(self, message: outbox.Message) -> None:
        body = message.body.encode()
        headers = {"content-type": "application/json"}
        headers |= sign(self._secret, message.id, int(self._wall()), body)
        try:
            answer = await self._caller.post(message.url, body, headers)
            good, told = answer.good, f"HTTP {answer.status}"
        except (RefusedAddressError, OutboundError) as error:
            good, told = False, error.message
        now = self._wall()
        if good:
            await self._database.write(lambda there: outbox.delivered(there, message.id, told, now))
        else:
            again_at = now + pause_s(message.attempts + 1)
            await self._database.write(lambda there: outbox.failed(there, message.id, told, now, again_at))
        log.info(
            "webhook",
            extra={
                "webhook": message.id,
                "stream": message.stream,
                "event_type": message.event_type,
                "attempt": message.attempts + 1,
                "delivered": good,
            },
        )
