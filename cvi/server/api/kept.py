"""Small resources of the contract that are kept here and not yet acted upon.

Deployments, skills and memories: what a client stores it finds again, and nothing claims to be live
that is not.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from cvi.server.answers import HttpProblem, Page, empty, listing, not_found, page_from_one, page_from_zero
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.json_patch import PatchError, apply_patch
from cvi.server.services import Services, ServicesDep
from cvi.server.store.resources import Resource, new_id
from cvi.server.vocabulary import Body, both

router = APIRouter(route_class=JsonRoute)
persona_skills = APIRouter(tags=["personas"], route_class=JsonRoute)
DEPLOYMENT_FIELDS = ("name", "status", "allowed_origins", "limits", "customization")


class DeploymentBody(Body):
    persona_id: Annotated[str, Field(min_length=1, max_length=100)]
    channel: Literal["landing-page", "embed", "widget"]
    name: Annotated[str, Field(max_length=255)] = ""
    allowed_origins: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    limits: dict[str, Any] = Field(default_factory=dict)
    customization: dict[str, Any] = Field(default_factory=dict)


class SkillBody(Body):
    config: dict[str, Any] = Field(default_factory=dict)


class SkillsBody(Body):
    skills: Annotated[dict[str, dict[str, Any]], Field(max_length=50)]


@router.post("/deployments", summary="Keep a deployment", tags=["deployments"])
async def deploy(body: DeploymentBody, services: ServicesDep) -> dict[str, Any]:
    """Kept as inactive: nothing here serves deployments. Embed a conversation's address instead."""
    persona = await asyncio.to_thread(services.personas.get, body.persona_id)
    document = {**body.model_dump(), "persona_id": persona.id, "status": "inactive"}
    made = await stored.add(services, "deployments", new_id("dep"), body.name or "Deployment", document)
    return _deployment(made)


@router.get("/deployments", summary="List deployments", tags=["deployments"])
async def deployments(
    services: ServicesDep,
    page: Annotated[Page, Depends(page_from_zero)],
    pal_id: str = "",
    persona_id: str = "",
    channel: str = "",
    status: str = "",
) -> dict[str, Any]:
    persona = pal_id or persona_id

    def wanted(each: Resource) -> bool:
        pairs = ((persona, "persona_id"), (channel, "channel"), (status, "status"))
        return all(not value or each.document[key] == value for value, key in pairs)

    answer = await stored.page_of(services, "deployments", page, _deployment, wanted=wanted, echo=True)
    return {**answer, "total": answer["total_count"]}


@router.get("/deployments/{deployment_id}", summary="Get a deployment", tags=["deployments"])
async def deployment(deployment_id: str, services: ServicesDep) -> dict[str, Any]:
    return _deployment(await stored.find(services, "deployments", deployment_id, not_found("Deployment")))


@router.patch(
    "/deployments/{deployment_id}", summary="Change a deployment (JSON Patch)", tags=["deployments"]
)
async def redeploy(deployment_id: str, body: list[dict[str, Any]], services: ServicesDep) -> Response:
    found = await stored.find(services, "deployments", deployment_id, not_found("Deployment"))
    try:
        after = apply_patch(found.document, body)
    except PatchError as error:
        raise HttpProblem(422, str(error), "message") from None
    if not isinstance(after, dict):
        raise HttpProblem(422, "A deployment is an object.", "message")
    kept = {
        key: after[key] for key in DEPLOYMENT_FIELDS if isinstance(after.get(key), type(found.document[key]))
    }
    document = {**found.document, **kept, "status": "inactive"}
    if document == found.document:
        return empty(304)
    changed = await stored.replace(services, found, str(document["name"]), document)
    return JSONResponse(_deployment(changed))


@router.delete(
    "/deployments/{deployment_id}", summary="Delete a deployment", tags=["deployments"], status_code=204
)
async def undeploy(deployment_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, "deployments", deployment_id, not_found("Deployment"))
    return empty()


@router.get("/skills", summary="List skills", tags=["skills"])
async def skills(services: ServicesDep) -> dict[str, Any]:
    """None: this version has no skills of its own."""
    return listing([], 0)


@router.get("/skills/{skill_id}", summary="Get a skill", tags=["skills"])
async def skill(skill_id: str, services: ServicesDep) -> dict[str, Any]:
    raise not_found("Skill")


@persona_skills.get("/{persona_id}/skills", summary="List a persona's skills")
async def attached(persona_id: str, services: ServicesDep) -> dict[str, Any]:
    found = await _skills(persona_id, services)
    rows = [{"skill_id": name, "config": config} for name, config in found.items()]
    return listing(rows, len(rows))


@persona_skills.put("/{persona_id}/skills", summary="Replace a persona's skills")
async def replace(persona_id: str, body: SkillsBody, services: ServicesDep) -> dict[str, Any]:
    """Kept in the persona's file, without effect here."""
    await _keep(persona_id, body.skills, services)
    return {"skills": body.skills}


@persona_skills.get("/{persona_id}/skills/{skill_id}", summary="Get a persona's skill")
async def attached_one(persona_id: str, skill_id: str, services: ServicesDep) -> dict[str, Any]:
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    return {"skill_id": skill_id, "config": found[skill_id]}


@persona_skills.put("/{persona_id}/skills/{skill_id}", summary="Attach a skill to a persona")
async def attach(persona_id: str, skill_id: str, body: SkillBody, services: ServicesDep) -> dict[str, Any]:
    await _keep(persona_id, {**await _skills(persona_id, services), skill_id: body.config}, services)
    return {"skill_id": skill_id, "config": body.config}


@persona_skills.patch("/{persona_id}/skills/{skill_id}", summary="Change a persona's skill")
async def change(persona_id: str, skill_id: str, body: SkillBody, services: ServicesDep) -> dict[str, Any]:
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    config = {**found[skill_id], **body.config}
    await _keep(persona_id, {**found, skill_id: config}, services)
    return {"skill_id": skill_id, "config": config}


@persona_skills.delete("/{persona_id}/skills/{skill_id}", summary="Detach a skill", status_code=204)
async def detach(persona_id: str, skill_id: str, services: ServicesDep) -> Response:
    found = await _skills(persona_id, services)
    if skill_id not in found:
        raise not_found("Skill")
    await _keep(persona_id, {name: config for name, config in found.items() if name != skill_id}, services)
    return empty()


@router.get("/memories/{memory_store}", summary="List what is remembered", tags=["memories"])
async def memories(
    memory_store: str, services: ServicesDep, page: Annotated[Page, Depends(page_from_one)]
) -> dict[str, Any]:
    def wanted(each: Resource) -> bool:
        return each.document.get("memory_store") == memory_store

    return await stored.page_of(services, "memories", page, _memory, wanted=wanted)


@router.delete(
    "/memories/{memory_store}/{memory_id}", summary="Forget one thing", tags=["memories"], status_code=204
)
async def forget(memory_store: str, memory_id: str, services: ServicesDep) -> Response:
    found = await stored.find(services, "memories", memory_id, not_found("Memory"))
    if found.document.get("memory_store") != memory_store:
        raise not_found("Memory")
    await stored.remove(services, "memories", memory_id, not_found("Memory"))
    return empty()


@router.get("/transcriptions", summary="List transcriptions", tags=["other"])
async def transcriptions(limit: Annotated[int, Query(ge=1, le=1000)] = 10) -> dict[str, Any]:
    """None: this version transcribes conversations, not files."""
    return listing([], 0)


async def _skills(persona_id: str, services: Services) -> dict[str, dict[str, Any]]:
    item = await asyncio.to_thread(services.personas.get, persona_id)
    found = item.document.get("skills")
    return dict(found) if isinstance(found, dict) else {}


async def _keep(persona_id: str, found: dict[str, dict[str, Any]], services: Services) -> None:
    item = await asyncio.to_thread(services.personas.get, persona_id)
    await asyncio.to_thread(services.personas.replace, item, {**item.document, "skills": found})


def _deployment(resource: Resource) -> dict[str, Any]:
    return both(
        {"deployment_id": resource.id, **resource.document, "name": resource.name, **stored.times(resource)}
    )


def _memory(resource: Resource) -> dict[str, Any]:
    return {"memory_id": resource.id, **resource.document, **stored.times(resource)}
