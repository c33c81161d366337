"""Rate limits: a bucket for each caller that fills steadily and holds a few seconds' worth."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

BURST_S = 10.0
MOST_CALLERS = 10_000


class RateLimit:
    """`take` says how long a caller must wait, 0 when it need not. Used on the event loop."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._most = max(per_minute / 60 * BURST_S, 1.0)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        now = self._clock()
        left, at = self._buckets.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        waits = left < 1
        self._buckets[caller] = (left if waits else left - 1, now)  # the latest caller is the last one
        if len(self._buckets) > MOST_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        return (1 - left) / self._per_s if waits else 0.0


def caller_of(scope: Scope) -> str:
    """Who calls: its address, as a digest, because it does not belong in memory.

    Never what it says of itself: with a new key or a new name for each request nobody would ever wait. Of an
    IPv6 address the network, since whoever has one has the whole of it.
    """
    client = scope.get("client")
    text = str(client[0] if client else "")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
            text = str(ipaddress.ip_network((address, 64), strict=False))
    return hashlib.sha256(text.encode()).hexdigest()


class RateGate:
    """Answers 429 to a caller that is too fast."""

    def __init__(self, app: ASGIApp, limit: RateLimit) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_s = self._limit.take(caller_of(scope)) if scope["type"] == "http" else 0.0
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        await answer(
            send,
            429,
            b'{"error": "Too many requests; wait a moment."}',
            {"retry-after": str(int(wait_s) + 1)},
        )


async def answer(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Send a small JSON answer from a gate."""
    lines: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    lines += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
