"""`/v2/personas` and `/v2/pals`: one resource under two names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import JSONResponse, Response

from cvi.persona.field_effects import EFFECTS
from cvi.persona.json_schema import json_schema
from cvi.server.api.resource_table import TOOLS
from cvi.server.catalog.persona_document import check_document, shown, spelling, vet_endpoints
from cvi.server.catalog.persona_store import StoredPersona
from cvi.server.contract import Body, HttpProblem, PageRange, empty, listing, not_found, page_from_one
from cvi.server.json_bodies import JsonRoute
from cvi.server.json_patch import PatchError, patched
from cvi.server.secret_fields import with_secrets
from cvi.server.services import Services, ServicesDep
from cvi.server.store import resources

Kind = Annotated[Literal["user", "system"] | None, Query(description="Own ones, or those that ship.")]
MAX_TOOLS = 50


class PersonaBody(Body):
    """A persona; `pal_name` and `default_face_id` are read as well. All of it: `cvi persona schema`."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    persona_name: Annotated[str, Field(max_length=255)] = ""
    system_prompt: str | None = None
    context: str | None = None
    greeting: str | None = None
    pipeline_mode: Literal["full", "echo", "speech-to-speech"] = "full"
    default_replica_id: str | None = None
    layers: dict[str, Any] = Field(default_factory=dict)


class ToolIds(Body):
    """Tools to attach."""

    tool_ids: Annotated[list[str], Field(max_length=MAX_TOOLS)]


class SkillBody(Body):
    """How a skill is set up."""

    config: dict[str, Any] = Field(default_factory=dict)


class SkillsBody(Body):
    """All skills of a persona by name."""

    skills: Annotated[dict[str, dict[str, Any]], Field(max_length=50)]


async def _editing(persona_id: str, services: ServicesDep) -> AsyncIterator[None]:
    async with services.editing(persona_id):
        yield


router = APIRouter(tags=["personas"], route_class=JsonRoute)
EDITING = [Depends(_editing)]
"""Of routes that read a persona, change it and store it."""


@router.post("", summary="Create a persona")
async def create(body: PersonaBody, services: ServicesDep) -> dict[str, Any]:
    """Written as a persona file that `cvi persona list` shows."""
    given = body.model_dump(exclude_unset=True)
    await _vet(given, {}, services)
    item = await asyncio.to_thread(services.personas.create, given)
    return await asyncio.to_thread(services.personas.show, item)


@router.get("", summary="List personas")
async def every(
    services: ServicesDep,
    page: Annotated[PageRange, Depends(page_from_one)],
    persona_type: Kind = None,
    pal_type: Kind = None,
) -> dict[str, Any]:
    """Own ones first, newest first."""
    wanted = persona_type or pal_type

    def look() -> dict[str, Any]:
        found = [
            item
            for item in services.personas.every()
            if wanted in (None, "system" if item.shipped else "user")
        ]
        if not page.descending:
            found.reverse()
        return listing([services.personas.show(item) for item in page.of(found)], len(found))

    return await asyncio.to_thread(look)


@router.get("/schema", summary="What a persona may say (JSON Schema)")
async def schema() -> dict[str, Any]:
    """Ours, not the contract's: that of persona files, as `cvi persona schema` prints it."""
    return await asyncio.to_thread(json_schema)


@router.post("/check", summary="Check a persona without storing it")
async def check(body: dict[str, Any], services: ServicesDep) -> dict[str, Any]:
    """Ours, not the contract's: what `cvi persona check` would say, by field.

    `persona_id` names the one that is to be changed.
    """
    id = str(body.get("persona_id") or "")

    def look() -> list[dict[str, str]]:
        stored = services.personas.find(id) if id else None
        return check_document(body, stored.document if stored is not None else {})

    findings = await asyncio.to_thread(look)
    errors = sum(row["severity"] == "error" for row in findings)
    return {"errors": errors, "findings": findings}


@router.get("/{persona_id}", summary="Get a persona")
async def one(persona_id: str, services: ServicesDep) -> dict[str, Any]:
    """Flat, and under `data` once more: both are documented, and both are read."""

    def look() -> dict[str, Any]:
        return services.personas.show(services.personas.get(persona_id))

    answer = await asyncio.to_thread(look)
    return {**answer, "data": [answer]}


@router.patch("/{persona_id}", summary="Change a persona (JSON Patch)", dependencies=EDITING)
async def patch(persona_id: str, body: list[dict[str, Any]], services: ServicesDep) -> Response:
    """304 for a patch that changes nothing, 422 for one that cannot be applied."""
    return await change(persona_id, body, services)


async def change(persona_id: str, operations: list[dict[str, Any]], services: Services) -> Response:
    """Apply a JSON Patch to a persona's file. Raises `HttpProblem`."""

    def changed() -> tuple[StoredPersona, dict[str, Any]]:
        item = services.personas.get(persona_id)
        try:
            after = patched(shown(item.document), operations, spelling)
        except PatchError as fault:
            raise HttpProblem(422, str(fault), "message") from None
        if not isinstance(after, dict):
            raise HttpProblem(422, "A persona is an object.", "message")
        return item, with_secrets(after, item.document)

    item, after = await asyncio.to_thread(changed)
    if after == item.document:
        return empty(304)
    await _vet(after, item.document, services)
    answer = await asyncio.to_thread(lambda: services.personas.show(services.personas.replace(item, after)))
    return JSONResponse({"message": "Persona updated.", **answer})


async def _vet(document: Mapping[str, Any], before: Mapping[str, Any], services: Services) -> None:
    """Where only this machine can reach the server, its user may name endpoints of this machine."""
    if services.settings.asks_for_keys:
        await vet_endpoints(document, before, services.url_policy)


@router.delete("/{persona_id}", summary="Delete a persona", status_code=204, dependencies=EDITING)
async def delete(persona_id: str, services: ServicesDep) -> Response:
    """Only own ones can be deleted."""
    await asyncio.to_thread(lambda: services.personas.delete(services.personas.get(persona_id)))
    return empty()


@router.get("/{persona_id}/tools", summary="List a persona's tools")
async def tools(persona_id: str, services: ServicesDep) -> dict[str, Any]:
    """The tools that are attached by id."""
    item = await asyncio.to_thread(services.personas.get, persona_id)
    ids = _tool_ids(item)
    found = await services.database.read(
        lambda connection: resources.get_many(connection, "tools", ids, services.owner)
    )
    return listing([TOOLS.shown(each) for each in found], len(found))


@router.post("/{persona_id}/tools", summary="Attach tools to a persona", dependencies=EDITING)
async def attach(persona_id: str, body: ToolIds, services: ServicesDep) -> dict[str, Any]:
    """Adds to those attached before."""
    item = await asyncio.to_thread(services.personas.get, persona_id)
    found = await services.database.read(
        lambda connection: resources.get_many(connection, "tools", body.tool_ids, services.owner)
    )
    if len(found) != len(body.tool_ids):
        raise HttpProblem(400, "Invalid tool_id")
    ids = list(dict.fromkeys([*_tool_ids(item), *body.tool_ids]))
    if len(ids) > MAX_TOOLS:
        raise HttpProblem(400, f"A persona has at most {MAX_TOOLS} tools.")
    await _replace(item, {"tool_ids": ids}, services)
    return {"tool_ids": ids, "not_in_effect": [_row("tool_ids")]}


@router.delete(
    "/{persona_id}/tools/{tool_id}", summary="Detach a tool", status_code=204, dependencies=EDITING
)
async def detach(persona_id: str, tool_id: str, services: ServicesDep) -> Response:
    """404 for one that is not attached."""
    item = await asyncio.to_thread(services.personas.get, persona_id)
    ids = _tool_ids(item)
    if tool_id not in ids:
        raise HttpProblem(404, "Tool not found", "message")
    await _replace(item, {"tool_ids": [each for each in ids if each != tool_id]}, services)
    return empty()


@router.get("/{persona_id}/skills", summary="List a persona's skills")
async def skills(persona_id: str, services: ServicesDep) -> dict[str, Any]:
    """As they are stored."""
    found = await _skills(persona_id, services)
    rows = [{"skill_id": name, "config": config} for name, config in found.items()]
    return listing(rows, len(rows))


@router.put("/{persona_id}/skills", summary="Replace a persona's skills", dependencies=EDITING)
async def replace_skills(persona_id: str, body: SkillsBody, services: ServicesDep) -> dict[str, Any]:
    """Stored in the persona's file; skills are not executed in this version."""
    await _store_skills(persona_id, body.skills, services)
    return {"skills": body.skills, "not_in_effect": [_row("skills")]}


@router.get("/{persona_id}/skills/{skill_id}", summary="Get a persona's skill")
async def skill(persona_id: str, skill_id: str, services: ServicesDep) -> dict[str, Any]:
    """404 for one that is not attached."""
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    return {"skill_id": skill_id, "config": found[skill_id]}


@router.put("/{persona_id}/skills/{skill_id}", summary="Attach a skill to a persona", dependencies=EDITING)
async def attach_skill(
    persona_id: str, skill_id: str, body: SkillBody, services: ServicesDep
) -> dict[str, Any]:
    """Replaces the skill of that name; skills are not executed in this version."""
    await _store_skills(persona_id, {**await _skills(persona_id, services), skill_id: body.config}, services)
    return {"skill_id": skill_id, "config": body.config, "not_in_effect": [_row("skills")]}


@router.patch("/{persona_id}/skills/{skill_id}", summary="Change a persona's skill", dependencies=EDITING)
async def change_skill(
    persona_id: str, skill_id: str, body: SkillBody, services: ServicesDep
) -> dict[str, Any]:
    """The fields given replace the stored ones."""
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    config = {**found[skill_id], **body.config}
    await _store_skills(persona_id, {**found, skill_id: config}, services)
    return {"skill_id": skill_id, "config": config, "not_in_effect": [_row("skills")]}


@router.delete(
    "/{persona_id}/skills/{skill_id}", summary="Detach a skill", status_code=204, dependencies=EDITING
)
async def detach_skill(persona_id: str, skill_id: str, services: ServicesDep) -> Response:
    """404 for one that is not attached."""
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    await _store_skills(
        persona_id, {name: config for name, config in found.items() if name != skill_id}, services
    )
    return empty()


def _row(field: str) -> dict[str, Any]:
    effect = EFFECTS[field]
    return {"field": field, "why": effect.why, "remedy": effect.remedy}


async def _skills(persona_id: str, services: Services) -> dict[str, dict[str, Any]]:
    item = await asyncio.to_thread(services.personas.get, persona_id)
    found = item.document.get("skills")
    return dict(found) if isinstance(found, dict) else {}


async def _store_skills(persona_id: str, found: dict[str, dict[str, Any]], services: Services) -> None:
    item = await asyncio.to_thread(services.personas.get, persona_id)
    await asyncio.to_thread(services.personas.replace, item, {**item.document, "skills": found})


async def _replace(item: StoredPersona, changed: dict[str, Any], services: Services) -> StoredPersona:
    return await asyncio.to_thread(services.personas.replace, item, {**item.document, **changed})


def _tool_ids(item: StoredPersona) -> list[str]:
    return [str(each) for each in item.document.get("tool_ids") or []]
