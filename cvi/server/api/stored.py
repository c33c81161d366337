"""How a resource that is only stored is listed, found and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cvi.persona.section import masked
from cvi.server.answers import HttpProblem, Page, iso, listing
from cvi.server.services import Services
from cvi.server.store import resources
from cvi.server.store.resources import Resource

Show = Callable[[Resource], dict[str, Any]]


async def find(services: Services, kind: str, id: str, missing: HttpProblem) -> Resource:
    """Raises `missing` when there is none."""
    found = await services.database.read(lambda connection: resources.get(connection, kind, id))
    if found is None:
        raise missing
    return found


async def add(services: Services, kind: str, id: str, name: str, document: dict[str, Any]) -> Resource:
    now = services.wall()
    return await services.database.write(
        lambda connection: resources.add(connection, kind, id, name, document, now)
    )


async def replace(services: Services, resource: Resource, name: str, document: dict[str, Any]) -> Resource:
    now = services.wall()
    await services.database.write(
        lambda connection: resources.replace(connection, resource.kind, resource.id, name, document, now)
    )
    return Resource(resource.kind, resource.id, name, resource.created_at, now, document)


async def remove(services: Services, kind: str, id: str, missing: HttpProblem) -> None:
    if not await services.database.write(lambda connection: resources.remove(connection, kind, id)):
        raise missing


async def page_of(
    services: Services,
    kind: str,
    page: Page,
    show: Show,
    *,
    wanted: Callable[[Resource], bool] = lambda resource: True,
    echo: bool = False,
) -> dict[str, Any]:
    """One page of a kind, newest first unless asked otherwise."""
    found = [
        each
        for each in await services.database.read(lambda connection: resources.every(connection, kind))
        if wanted(each)
    ]
    if not page.descending:
        found.reverse()
    return listing([show(each) for each in page.of(found)], len(found), page if echo else None)


def named(resource: Resource, name_or_uuid: str) -> bool:
    """Whether a search for a name or an id finds it."""
    return not name_or_uuid or name_or_uuid == resource.id or name_or_uuid.lower() in resource.name.lower()


def tagged(resource: Resource, tags: str) -> bool:
    """Whether it has one of the tags, separated by commas; all do when none is asked for."""
    asked = {tag.strip() for tag in tags.split(",") if tag.strip()}
    return not asked or bool(asked & set(resource.document.get("tags") or []))


def every_tag(found: list[Resource]) -> dict[str, Any]:
    tags = sorted({str(tag) for each in found for tag in each.document.get("tags") or []})
    return {"tags": tags, "data": tags, "total_count": len(tags)}


def times(resource: Resource) -> dict[str, Any]:
    return {"created_at": iso(resource.created_at), "updated_at": iso(resource.updated_at)}


def shown_tool(resource: Resource) -> dict[str, Any]:
    """A tool with its secrets masked."""
    ids = {"tool_id": resource.id, "uuid": resource.id}
    return {**ids, **masked_tool(resource.document), "type": "user", **times(resource)}


def masked_tool(document: dict[str, Any]) -> dict[str, Any]:
    """What a tool sends to authenticate itself, and its headers, are not shown."""
    said: dict[str, Any] = masked({key: value for key, value in document.items() if key != "parameters"})
    if "parameters" in document:
        said["parameters"] = document["parameters"]
    api = (said.get("delivery") or {}).get("api")
    if isinstance(api, dict):
        auth, headers = api.get("auth"), api.get("headers")
        if isinstance(auth, dict):
            secret = ("token", "password", "value", "secret", "client_secret")
            api["auth"] = {
                key: "********" if key in secret and value else value for key, value in auth.items()
            }
        if isinstance(headers, dict):
            api["headers"] = dict.fromkeys(headers, "********")
    return said
