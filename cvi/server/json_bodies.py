"""JSON bodies as RFC 8259 has them (no NaN, no lone surrogates), within limits, read off the event loop.

The key is checked before (`cvi.server.access`): nothing is read or parsed for a stranger but what a room's
page sends, which is small.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from cvi.server.contract import HttpProblem
from cvi.untrusted import size_of

MAX_DEPTH = 40
"""As deep as a persona's file may be."""
MAX_VALUES = 50_000
"""Members and items of one body, all together: parsing them takes 10 ms."""
SMALL_BYTES = 16 * 1024
"""Read on the event loop, in less than half a millisecond; larger bodies are read on a thread."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class JsonRoute(APIRoute):
    """A route whose body is read by `read_json`, whatever its content type says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with the body checked first."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method in ("POST", "PUT", "PATCH", "DELETE"):
                body = await request.body()
                if body:
                    value = (
                        await asyncio.to_thread(read_json, body)
                        if len(body) > SMALL_BYTES
                        else read_json(body)
                    )
                    request._json = value  # where starlette keeps what it parsed: it is not parsed again
                    # Some clients send JSON and do not say so.
                    if "json" not in request.headers.get("content-type", ""):
                        _say_json(request)
            return await handle(request)

        return checked


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises `HttpProblem` with what is wrong."""
    try:
        # Before anything is built: a text of 4 MiB can hold two million lists.
        if _values_in(body) > MAX_VALUES and _values_in(_STRING.sub(b'""', body)) > MAX_VALUES:
            raise HttpProblem(400, f"The body holds more than {MAX_VALUES} values.")
        value = json.loads(body, parse_constant=_no_constant)
        if size_of(value).depth > MAX_DEPTH:
            raise HttpProblem(400, f"The body is nested deeper than {MAX_DEPTH} levels.")
        # A number too large, or half of a surrogate pair: they parse, and can be neither stored nor sent.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        text = str(error) if isinstance(error, json.JSONDecodeError) else "it holds what JSON cannot say"
        raise HttpProblem(400, f"The body is not JSON: {text}.") from None
    return value


def _values_in(text: bytes) -> int:
    """At least as many as the values in a JSON text that holds no strings."""
    return sum(text.count(sign) for sign in (b",", b"[", b"{"))


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _say_json(request: Request) -> None:
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    request.scope["headers"] = [*headers, (b"content-type", b"application/json")]
    request.__dict__.pop("_headers", None)
