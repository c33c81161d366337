"""Who calls the API, what they may do, and the log of what they did.

The key is checked before anything of a request's body is read. A server that only this machine can reach
asks for no key; but pages of the web are shown on this machine too. Without a key a request must therefore
name this machine as its host (a foreign name that resolves to 127.0.0.1 does not) and come from no page, or
from one of our own. It then acts for the default owner.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cvi.server.logs import route_of
from cvi.server.settings import ServerSettings, is_loopback
from cvi.server.store import audit
from cvi.server.store.audit import AuditEntry
from cvi.server.store.database import Database
from cvi.server.store.keys import DEFAULT_OWNER, SCOPES, USED_WITHIN_S, find_key, note_use

GUARDED = ("/v2", "/metrics")
MOST_WAITING = 1000
"""Entries of the audit log that wait for the database; further ones are dropped, with a line in the log."""
_NAMES = ("memory_store",)
"""Parts of paths that may be a participant's name, which the audit log is not to hold."""
_CONVERSING = ("/v2/conversations", "/v2/interactions")

log = logging.getLogger("cvi.server.access")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a key's id ("" without one), whose things it reaches, and its scopes."""

    key_id: str = ""
    owner: str = DEFAULT_OWNER
    scopes: tuple[str, ...] = SCOPES

    def may(self, scope: str) -> bool:
        """Whether it has a scope; admin includes the others."""
        return scope in self.scopes or "admin" in self.scopes


def scope_needed(method: str, path: str) -> str:
    """Which scope a request needs: by its method and path alone, never by what exists.

    >>> scope_needed("POST", "/v2/conversations/c1/end"), scope_needed("DELETE", "/v2/tools/t1")
    ('converse', 'admin')
    """
    if path.startswith("/metrics"):
        return "admin"
    conversing = path.startswith(_CONVERSING)
    if method in ("GET", "HEAD", "OPTIONS"):
        return "converse" if conversing else "read"
    return "converse" if conversing and method == "POST" else "admin"


class KeyCheck:
    """Answers 401 and 403 before a body is read, and writes the audit log; the innermost middleware.

    A key with `read` may see everything of its owner, one with `converse` alone its conversations.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._used: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        services = scope["app"].state.services
        database: Database = services.database
        request = Request(scope)
        try:
            caller = await self._caller(request, database)
        except sqlite3.Error:
            await refuse(send, 503, {"error": "The server's database cannot be read."})
            return
        if caller is None:
            await refuse(send, 401, {"message": self._stranger(request)})
            return
        needed = scope_needed(scope["method"], scope["path"])
        if not caller.may(needed) and not (needed == "converse" and _reads(scope) and caller.may("read")):
            self._note(scope, caller, 403, database, services.wall())
            await refuse(send, 403, {"message": f"This key may not do that: it lacks the scope '{needed}'."})
            return
        if needed == "admin" and scope["path"].startswith("/metrics") and caller.owner != DEFAULT_OWNER:
            await refuse(send, 403, {"message": "The figures of the whole server are for who runs it."})
            return
        scope.setdefault("state", {})["caller"] = caller
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._note(scope, caller, status, database, services.wall())

    async def _caller(self, request: Request, database: Database) -> Caller | None:
        text = request.headers.get("x-api-key")
        key = await database.read(lambda connection: find_key(connection, text)) if text else None
        if key is not None:
            return Caller(key.id, key.owner, key.scopes)
        if self._settings.asks_for_keys or not self._from_here(request):
            return None
        return Caller()

    def _stranger(self, request: Request) -> str:
        """Why a request is refused; where no key is asked for, what would let it in."""
        origin = request.headers.get("origin", "")[:200]
        if not self._settings.asks_for_keys and origin and origin != "null":
            return f"Pages of {origin} may not call this server. Allow it: cvi serve --cors-origin {origin}"
        return "Invalid access token"

    def _from_here(self, request: Request) -> bool:
        known = {urlsplit(self._settings.url).hostname}
        host = _host(request.headers.get("host", ""))
        if not is_loopback(host) and host not in known:
            return False
        origin = request.headers.get("origin")
        if origin is None or origin in self._settings.cors_origins:
            site = request.headers.get("sec-fetch-site", "none")
            return site in ("none", "same-origin") or origin is not None
        return origin.partition("://")[2] == request.headers.get("host", "")

    def _note(self, scope: Scope, caller: Caller, status: int, database: Database, now: float) -> None:
        """Write the entry of a request, after it: every change and refusal, and who read a conversation."""
        ids = scope.get("path_params", {})
        worth_it = not _reads(scope) or status == 403 or (ids and scope["path"].startswith(_CONVERSING))
        if len(self._tasks) >= MOST_WAITING:
            log.error("entries of the audit log are dropped: the database is not fast enough")
            return
        used = bool(caller.key_id) and now - self._used.get(caller.key_id, 0.0) > USED_WITHIN_S
        if not worth_it and not used:
            return
        self._used[caller.key_id] = now
        client = scope.get("client")
        entry = AuditEntry(
            at=now,
            key_id=caller.key_id,
            owner=caller.owner,
            action=f"{scope['method'][:10]} {route_of(scope)}",
            target=" ".join(str(value)[:100] for name, value in ids.items() if name not in _NAMES),
            status=status,
            address=str(client[0]) if client else "",
        )

        def store(connection: sqlite3.Connection) -> None:
            if worth_it:
                audit.note(connection, entry)
            if used:
                note_use(connection, caller.key_id, now)

        task = asyncio.create_task(_stored(database, store))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _stored(database: Database, work: Any) -> None:
    try:
        await database.write(work)
    except (sqlite3.Error, AssertionError, RuntimeError) as error:  # closed meanwhile, or full
        log.error("an entry of the audit log is lost: %s", error)


def _reads(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD", "OPTIONS")


def _host(authority: str) -> str:
    """The host of a `Host` header; "" for what is none."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


async def refuse(
    send: Send, status: int, body: dict[str, str], headers: dict[str, str] | None = None
) -> None:
    """Answer a request whose body nobody reads; the connection is closed after it."""
    text = json.dumps(body).encode()
    lines = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    lines += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*lines, (b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": text})
