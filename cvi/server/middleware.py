"""What every request passes before a route sees it: limits, origins, safe headers, the request log."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cvi.server.logs import request_log, route_of
from cvi.server.telemetry import Metrics

BURST_S = 10.0
MAX_CALLERS = 10_000
BODY_WAITS_S = 30.0
"""How long a body may be waited for, all its pauses together..."""
SLOWEST_BYTES_PER_S = 4096
"""...and a second more for each so many bytes that came."""
ROOM_BYTES = 192 * 1024
"""A body of a room's page, which needs no key: an offer, written as JSON."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = (
    "content-type", "x-api-key", "x-tavus-client-source", "x-tavus-client-tool", "x-tavus-client-intent",
    "x-tavus-sdk-version", "x-tavus-sdk-lang",
)  # fmt: skip
_PREFLIGHT_CACHED_S = 7200
_API = ("/v2", "/metrics")


class RateLimit:
    """A token bucket for each caller: `per_minute`, with bursts of `BURST_S` worth. Event loop only."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._capacity = max(per_minute / 60 * BURST_S, 1.0)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Count one request; returns the seconds the caller must wait instead, 0 when it need not."""
        now = self._clock()
        left, at = self._buckets.pop(caller, (self._capacity, now))
        left = min(self._capacity, left + (now - at) * self._per_s)
        waits = left < 1
        self._buckets[caller] = (left if waits else left - 1, now)  # the latest caller is the last one
        if len(self._buckets) > MAX_CALLERS:
            del self._buckets[next(iter(self._buckets))]
        return (1 - left) / self._per_s if waits else 0.0


def caller_of(scope: Scope) -> str:
    """Who calls: a digest of the network address, so that no address stays in memory.

    Nothing a caller says of itself counts: with a new key or name for each request no limit would hold. Of an
    IPv6 address it is the /64 network, which belongs to one customer as a whole.
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


class RateLimiter:
    """Answers 429 to a caller that is too fast, before anything of the body is read.

    `joins` limits the requests of rooms' pages besides, which need no key.
    """

    def __init__(self, app: ASGIApp, limit: RateLimit, joins: RateLimit) -> None:
        self._app = app
        self._limit = limit
        self._joins = joins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        wait_s = 0.0
        if scope["type"] == "http":
            caller, in_room = caller_of(scope), is_room_request(scope["path"])
            wait_s = self._limit.take(caller) or (self._joins.take(caller) if in_room else 0.0)
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        name = b"message" if in_room else b"error"
        body = b'{"%s": "Too many requests; wait a moment."}' % name
        await _respond(send, 429, body, {"retry-after": str(int(wait_s) + 1)})


def is_room_request(path: str) -> bool:
    """Whether it is a request of a room's page, such as /c/ID/offer, and not the page itself."""
    return path.startswith("/c/") and path.count("/") > 2


class _TooLargeError(Exception):
    """The body goes on beyond the limit."""


class SizeLimit:
    """Answers 413 to a body that is too large, whatever its headers claim. `larger`: paths that take more."""

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = dict(larger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = min(ROOM_BYTES, self._max_bytes) if is_room_request(scope["path"]) else self._max_bytes
        limit = self._larger.get(scope["path"], most)
        refusal = b'{"error": "The body is larger than %d bytes."}' % limit
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                await _respond(send, 413, refusal, {"connection": "close"})
                return
        seen, waited_s, begun, whole = 0, 0.0, False, False

        async def counted() -> Message:
            nonlocal seen, waited_s, whole
            if whole:  # what comes now is that the caller has gone, whenever that is
                return await receive()
            began = time.monotonic()
            async with asyncio.timeout(BODY_WAITS_S + seen / SLOWEST_BYTES_PER_S - waited_s):
                message = await receive()
            waited_s += time.monotonic() - began
            whole = not message.get("more_body", False)
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLargeError:
            if not begun:
                await _respond(send, 413, refusal, {"connection": "close"})
        except ClientDisconnect:  # nobody reads the answer; it is for the log
            if not begun:
                await _respond(send, 400, b'{"error": "The body was cut off."}', {"connection": "close"})
        except TimeoutError:
            if whole or begun:
                raise
            late = b'{"error": "The body did not arrive in time."}'
            await _respond(send, 408, late, {"connection": "close"})


class TrailingSlash:
    """Serves `/v2/x/` as `/v2/x`, without the redirect that some clients do not follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


class CrossOrigin:
    """CORS by path: the API for the configured origins, rooms and scripts for every page.

    Rooms need no rule: their tokens travel in the request, not in cookies.
    """

    def __init__(self, app: ASGIApp, api_origins: Sequence[str]) -> None:
        """`api_origins`: `https://host` each, `*` for any."""
        everyone = r".*"
        self._api = _cors(app, None if "*" not in api_origins else everyone, api_origins)
        self._pages = _cors(app, everyone, ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        is_api = scope["type"] == "http" and scope["path"].startswith(_API)
        await (self._api if is_api else self._pages)(scope, receive, send)


def _cors(app: ASGIApp, pattern: str | None, origins: Sequence[str]) -> CORSMiddleware:
    return CORSMiddleware(
        app,
        allow_origins=[origin for origin in origins if origin != "*"],
        allow_origin_regex=pattern,
        allow_methods=_METHODS,
        allow_headers=_HEADERS,
        max_age=_PREFLIGHT_CACHED_S,
    )


class SafeHeaders:
    """Content-Security-Policy and its like on every answer."""

    def __init__(self, app: ASGIApp, frame_ancestors: Sequence[str], secure: bool) -> None:
        """`frame_ancestors`: origins whose pages may embed rooms; `secure`: it is reached by HTTPS."""
        self._app = app
        pages = (
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: https:; "
            "media-src 'self' blob:; connect-src 'self'; font-src 'self'; object-src 'none'; "
            "base-uri 'none'; "
            "form-action 'self'; frame-ancestors "
        )
        self._room_policy = (pages + (" ".join(frame_ancestors) or "'none'")).encode()
        self._page_policy = (pages + "'self'").encode()
        self._always = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (
                b"permissions-policy",
                b"camera=(self), microphone=(self), display-capture=(self), geolocation=()",
            ),
        ]
        if secure:
            self._always.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", []))
                names = {name.lower() for name, _ in own}
                extra = [line for line in self._always if line[0] not in names]
                if b"content-security-policy" not in names:
                    policy = self._room_policy if path.startswith("/c/") else self._page_policy
                    extra.append((b"content-security-policy", policy))
                if path.startswith(("/v2", "/c/")) and b"cache-control" not in names:
                    extra.append((b"cache-control", b"no-store"))
                # What other origins embed: the scripts and what they load.
                if not path.startswith(_API):
                    extra.append((b"cross-origin-resource-policy", b"cross-origin"))
                message = {**message, "headers": own + extra}
            await send(message)

        await self._app(scope, receive, safe)


class RequestLog:
    """Logs each request's route, status and duration; never addresses, names, bodies or query strings.

    A path may hold a conversation's id, so the route's template is logged in its place.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            route = route_of(scope)
            method = scope["method"] if scope["method"] in (*_METHODS, "HEAD") else "other"
            self._metrics.request(method, route, status, seconds)
            fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
            request_log.info("request", extra=fields)


async def _respond(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    lines: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    lines += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
