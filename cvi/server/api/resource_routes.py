"""Routes for resources that the server stores as documents: made from one `ResourceKind` each.

What a kind is lies in `cvi.server.api.resource_table`. Every answer that shows a resource lists under
`not_in_effect` what of it does nothing in this version.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from cvi.server.contract import HttpProblem, PageRange, empty, iso, listing, validation_text
from cvi.server.json_bodies import JsonRoute
from cvi.server.json_patch import MAX_OPERATIONS, PatchError, patched
from cvi.server.services import Services, ServicesDep
from cvi.server.store import resources
from cvi.server.store.resources import Resource, new_id

Document = dict[str, Any]
Wanted = Callable[[Resource], bool]


@dataclass(frozen=True)
class ResourceKind:
    """One kind of stored resource: where it is, what it looks like, what it does.

    `check` turns a request's body, or a changed document, into the document to store; it raises
    `HttpProblem`. `wanted` is a FastAPI dependency that gives the filter of a list. `changed` is how a PATCH
    is read: a JSON Patch, or a model whose fields replace the stored ones; `change` then merges them into the
    document.
    """

    name: str
    """Singular, for people: "pronunciation dictionary"."""
    kind: str
    """The kind under which the store keeps it."""
    path: str
    parameter: str
    """The name of the id in paths, for OpenAPI."""
    prefix: str
    """The first letters of its ids."""
    body: type[BaseModel]
    check: Callable[[Document, Services], Awaitable[Document]]
    title: Callable[[Document], str]
    show: Callable[[Resource], Document]
    not_in_effect: Callable[[Document], list[Document]]
    missing: Callable[[], HttpProblem]
    page: Callable[..., PageRange]
    wanted: Callable[..., Wanted] = lambda: lambda resource: True
    summarize: Callable[[Resource], Document] | None = None
    """How it is shown in a list, when not as elsewhere."""
    changed: type[BaseModel] | Literal["json-patch"] = "json-patch"
    change: Callable[[Document, Document], Document] = lambda before, given: {**before, **given}
    patch_path: Callable[[Document], Document] = lambda operation: operation
    """Rewrites an operation of a JSON Patch; raises `HttpProblem` for a path that cannot be changed."""
    patched: str = ""
    """The message in the answer to a JSON Patch."""
    echoes_page: bool = False
    created: int = 200
    tag: str = ""
    plural: str = ""
    extra_list: Callable[[Document], Document] = field(default=lambda answer: answer)
    added: Callable[[sqlite3.Connection, Resource, str, float], None] | None = None
    """Called in the transaction that stores a new one, with its owner and the time."""
    removed: Callable[[Services, str], Awaitable[None]] | None = None
    """Called with the id after one was deleted."""

    def shown(self, resource: Resource) -> Document:
        """A resource as the API answers it."""
        times = {"created_at": iso(resource.created_at), "updated_at": iso(resource.updated_at)}
        return {
            **self.show(resource),
            **times,
            "not_in_effect": self.not_in_effect(resource.document),
        }

    async def find(self, services: Services, id: str) -> Resource:
        """The resource with an id. Raises `HttpProblem`."""
        found = await services.database.read(
            lambda connection: resources.get(connection, self.kind, id, services.owner)
        )
        if found is None:
            raise self.missing()
        return found

    async def every(self, services: Services) -> list[Resource]:
        """All of the kind, newest first."""
        return await services.database.read(
            lambda connection: resources.every(connection, self.kind, services.owner)
        )

    async def add(self, services: Services, document: Document) -> Resource:
        """Store a new resource."""
        id, title, now = new_id(self.prefix), self.title(document), services.wall()

        def store(connection: sqlite3.Connection) -> Resource:
            stored = resources.add(connection, self.kind, id, title, document, now, services.owner)
            if self.added is not None:
                self.added(connection, stored, services.owner, now)
            return stored

        stored = await services.database.write(store)
        services.jobs.wake()
        return stored

    async def replace(self, services: Services, found: Resource, document: Document) -> Resource:
        """Store a changed document in the place of `found`."""
        title, now = self.title(document), services.wall()
        await services.database.write(
            lambda connection: resources.replace(connection, self.kind, found.id, title, document, now)
        )
        return Resource(self.kind, found.id, title, found.created_at, now, document)


def router_of(kind: ResourceKind, own: APIRouter | None = None) -> APIRouter:
    """The routes of a kind. `own` are further ones, whose paths come before those with an id."""
    plural = kind.plural or f"{kind.name}s"
    router = APIRouter(prefix=kind.path, tags=[kind.tag or plural], route_class=JsonRoute)
    if own is not None:
        router.include_router(own)
    id_path = f"/{{{kind.parameter}}}"

    async def create(services: ServicesDep, body: Any) -> Response:
        document = await kind.check(body.model_dump(exclude_unset=True), services)
        return JSONResponse(kind.shown(await kind.add(services, document)), kind.created)

    async def every(
        services: ServicesDep, page: PageRange = Depends(kind.page), wanted: Wanted = Depends(kind.wanted)
    ) -> Document:
        found = [each for each in await kind.every(services) if wanted(each)]
        if not page.descending:
            found.reverse()
        show = kind.summarize or kind.shown
        rows = [show(each) for each in page.of(found)]
        return kind.extra_list(listing(rows, len(found), page if kind.echoes_page else None))

    async def one(services: ServicesDep, id: str = Path(alias=kind.parameter)) -> Document:
        return kind.shown(await kind.find(services, id))

    async def patch(services: ServicesDep, body: Any, id: str = Path(alias=kind.parameter)) -> Response:
        async with services.editing(id):
            return await _changed(kind, id, body, services)

    async def delete(services: ServicesDep, id: str = Path(alias=kind.parameter)) -> Response:
        async with services.editing(id):
            removed = await services.database.write(
                lambda connection: resources.remove(connection, kind.kind, id, services.owner)
            )
        if not removed:
            raise kind.missing()
        if kind.removed is not None:
            await kind.removed(services, id)
        await services.database.scrub()
        return empty()

    _set_body(create, kind.body)
    _set_body(patch, list[Document] if kind.changed == "json-patch" else kind.changed)
    form = "JSON Patch" if kind.changed == "json-patch" else "fields"
    for path, endpoint, method, summary, status in (
        ("", create, "POST", f"Create a {kind.name}", kind.created),
        ("", every, "GET", f"List {plural}", 200),
        (id_path, one, "GET", f"Get a {kind.name}", 200),
        (id_path, patch, "PATCH", f"Change a {kind.name} ({form})", 200),
        (id_path, delete, "DELETE", f"Delete a {kind.name}", 204),
    ):
        router.add_api_route(path, endpoint, methods=[method], summary=summary, status_code=status)
    return router


async def _changed(kind: ResourceKind, id: str, body: Any, services: Services) -> Response:
    """The answer to a change, which is stored."""
    found = await kind.find(services, id)
    if kind.changed == "json-patch":
        document = await _patched(kind, found, body, services)
        if document == found.document:
            return empty(304)
    else:
        given = kind.change(found.document, body.model_dump(exclude_unset=True))
        document = await kind.check(given, services)
    changed = kind.shown(await kind.replace(services, found, document))
    return JSONResponse({"message": kind.patched, **changed} if kind.patched else changed)


def _set_body(endpoint: Callable[..., object], model: object) -> None:
    """Annotate an endpoint's body, from which FastAPI reads its model, with one known only at run time."""
    endpoint.__annotations__["body"] = model


async def _patched(kind: ResourceKind, found: Resource, body: list[Document], services: Services) -> Document:
    try:
        operations = [kind.patch_path(operation) for operation in body[: MAX_OPERATIONS + 1]]
        after = await asyncio.to_thread(patched, found.document, operations)
    except PatchError as error:
        raise HttpProblem(422, str(error), "message") from None
    if after == found.document:
        return found.document
    return await kind.check(after, services)


def checked_by(model: type[BaseModel], document: Any, key: Literal["error", "message"] = "error") -> Any:
    """A document as a value of `model`. Raises the contract's 400 with what is wrong and where."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise HttpProblem(400, validation_text(error.errors()), key) from None


def is_named(resource: Resource, name_or_uuid: str) -> bool:
    """Whether a search for a name or an id finds it."""
    return not name_or_uuid or name_or_uuid == resource.id or name_or_uuid.lower() in resource.name.lower()


def is_tagged(resource: Resource, tags: str, field: str = "tags") -> bool:
    """Whether it has one of the tags, separated by commas; all do when none is asked for."""
    asked = {tag.strip() for tag in tags.split(",") if tag.strip()}
    return not asked or bool(asked & set(resource.document.get(field) or []))


def tags_of(found: list[Resource]) -> list[str]:
    """All their tags, once each, in order."""
    return sorted({str(tag) for each in found for tag in each.document.get("tags") or []})
