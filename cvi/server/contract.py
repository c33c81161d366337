"""The shapes of the wire contract: errors, pages, times, and its two vocabularies.

Persona and PAL, replica and Face: both words are read, and both are answered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cvi.errors import CviError, UsageError


class HttpProblem(Exception):  # noqa: N818 - it is an answer, not a fault
    """A request that is answered with a status from 400. `key` is what the contract calls the text."""

    def __init__(
        self,
        status: int,
        text: str,
        key: Literal["error", "message"] = "error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.key, self.headers = status, text, key, headers


def invalid(what: str) -> HttpProblem:
    """What the contract answers to an id that is not known: `invalid("conversation_id")`."""
    return HttpProblem(400, f"Invalid {what}")


def not_found(what: str) -> HttpProblem:
    """The contract's 404 for a kind of thing: `not_found("Tool")`."""
    return HttpProblem(404, f"{what} not found", "message")


def not_here_yet(what: str, instead: str = "") -> HttpProblem:
    """A 501 for an action of the contract that this version does not do."""
    return HttpProblem(501, f"{what} is not part of this version of cvi. {instead}".strip(), "message")


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for status, text in (
        (400, "The request is wrong, an id is not known, or a limit is reached."),
        (401, "The API key is missing or not valid."),
        (404, "There is no such thing."),
        (413, "The body is too large."),
        (422, "The body is not what it claims to be."),
        (429, "Too many requests."),
        (501, "The contract has it and this version does not."),
    )
}
"""Documented with every route of the API."""

ERROR_SCHEMA = {
    "title": "Error",
    "type": "object",
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class PageRange:
    """A window of a list. `first` is the number of its first item, counted from 0."""

    limit: int
    page: int
    first: int
    descending: bool

    def of(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of this page."""
        return list(rows[self.first : self.first + self.limit])


_Limit = Annotated[int, Query(ge=1, le=1000, description="How many items at most.")]
_Number = Annotated[int, Query(ge=0, le=1_000_000, description="Which page.")]
_Sort = Annotated[
    Literal["asc", "desc", "ascending", "descending"], Query(description="By time of creation.")
]


def page_from_one(limit: _Limit = 10, page: _Number = 1, sort: _Sort = "desc") -> PageRange:
    """Pages count from 1; 0 means the first one too, because a client sends it."""
    return PageRange(limit, page, max(page - 1, 0) * limit, sort.startswith("desc"))


def page_from_zero(limit: _Limit = 10, page: _Number = 0, sort: _Sort = "desc") -> PageRange:
    """Pages count from 0."""
    return PageRange(limit, page, page * limit, sort.startswith("desc"))


def listing(rows: Sequence[Any], total: int, page: PageRange | None = None) -> dict[str, Any]:
    """The shape of every list; with `page` it is echoed where the contract does so."""
    echoed = {} if page is None else {"page": page.page, "limit": page.limit}
    return {"data": list(rows), "total_count": total, **echoed}


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def empty(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status_code=status)


def install(app: FastAPI) -> None:
    """Answer every error in the contract's shape, and none with a traceback."""

    @app.exception_handler(HttpProblem)
    async def refused(request: Request, refusal: HttpProblem) -> Response:
        return JSONResponse({refusal.key: refusal.text}, refusal.status, refusal.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": validation_text(error.errors())}, 400)

    @app.exception_handler(CviError)
    async def program_error(request: Request, error: CviError) -> Response:
        return JSONResponse({"error": str(error)}, 400 if isinstance(error, UsageError) else 503)

    @app.exception_handler(sqlite3.OperationalError)
    async def not_stored(request: Request, error: sqlite3.OperationalError) -> Response:
        text = "The server's database cannot be written now; try again in a moment."
        return JSONResponse({"error": text}, 503, {"retry-after": "5"})

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"message": str(error.detail)}, error.status_code, error.headers)


def validation_text(errors: Sequence[Any]) -> str:
    """The first few faults that pydantic found in one line: where, and what."""
    if any(error["type"] == "missing" and tuple(error["loc"]) == ("body",) for error in errors):
        return "The request has no body: send a JSON object."
    lines = []
    for error in errors[:3]:
        where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
        text = str(error["msg"]).removeprefix("Value error, ")
        lines.append(f"{where}: {text}" if where else text)
    return "; ".join(lines)


TWINS = {
    "persona_id": "pal_id",
    "persona_name": "pal_name",
    "persona_type": "pal_type",
    "replica_id": "face_id",
    "replica_name": "face_name",
    "replica_type": "face_type",
    "default_replica_id": "default_face_id",
}
"""The older name of a field, ours -> the newer one."""

_OURS = {new: old for old, new in TWINS.items()}


def in_both_vocabularies(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with each of those fields under both names."""
    shown = dict(document)
    for old, new in TWINS.items():
        if old in shown:
            shown.setdefault(new, shown[old])
        elif new in shown:
            shown[old] = shown[new]
    return shown


def in_our_vocabulary(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the older vocabulary, which our files use; of two words given the older one counts."""
    shown = {key: value for key, value in document.items() if key not in _OURS}
    for new, old in _OURS.items():
        if document.get(new) is not None and shown.get(old) is None:
            shown[old] = document[new]
    return shown


class Body(BaseModel):
    """A request's body: either vocabulary, unknown fields ignored, null taken as absent."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _one_vocabulary(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in in_our_vocabulary(data).items() if value is not None}
