"""Bodies are JSON as RFC 8259 has it: no NaN, no half characters, no towers of brackets."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from cvi.server.answers import HttpProblem


class JsonRoute(APIRoute):
    """A route whose body is read by `read_json`, whatever its content type says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method in ("POST", "PUT", "PATCH", "DELETE"):
                body = await request.body()
                if body:
                    read_json(body)
                    # Some clients send JSON and do not say so.
                    if "json" not in request.headers.get("content-type", ""):
                        _say_json(request)
            return await handle(request)

        return checked


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises `HttpProblem` with what is wrong."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
        # A number too large, or half of a surrogate pair: they parse, and can be neither stored nor sent.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        text = str(error) if isinstance(error, json.JSONDecodeError) else "it holds what JSON cannot say"
        raise HttpProblem(400, f"The body is not JSON: {text}.") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _say_json(request: Request) -> None:
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    request.scope["headers"] = [*headers, (b"content-type", b"application/json")]
    request.__dict__.pop("_headers", None)
