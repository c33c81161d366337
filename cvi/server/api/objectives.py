"""`/v2/objectives`: sets of objectives, which a persona refers to by `objectives_id`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response

from cvi.persona.policy import Objective
from cvi.server.answers import HttpProblem, Page, empty, listing, page_from_one
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.json_patch import PatchError, apply_patch
from cvi.server.services import Services, ServicesDep
from cvi.server.store.resources import Resource, new_id
from cvi.server.vocabulary import Body

KIND = "objectives"
MOST = 50
router = APIRouter(prefix="/objectives", tags=["objectives"], route_class=JsonRoute)


class ObjectivesBody(Body):
    """A set of objectives; each item as in a persona's file."""

    name: Annotated[str, Field(max_length=100)] = ""
    data: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST)]
    allow_loops: bool = False


@router.post("", summary="Create a set of objectives")
async def create(body: ObjectivesBody, services: ServicesDep) -> dict[str, Any]:
    document = await checked(body.model_dump(), services)
    made = await stored.add(services, KIND, new_id("o"), document["name"], document)
    return _shown(made)


@router.post("/validate", summary="Check a set of objectives without keeping it")
async def validate(body: ObjectivesBody, services: ServicesDep) -> dict[str, Any]:
    await checked(body.model_dump(), services)
    return {"valid": True, "errors": []}


@router.get("", summary="List sets of objectives")
async def every(
    services: ServicesDep,
    page: Annotated[Page, Depends(page_from_one)],
    type: Annotated[str, Query(description="user, system or all; none are shipped.")] = "user",
    name_or_uuid: str = "",
) -> dict[str, Any]:
    if type == "system":
        return listing([], 0)
    return await stored.page_of(
        services, KIND, page, _shown, wanted=lambda each: stored.named(each, name_or_uuid)
    )


@router.get("/{objectives_id}", summary="Get a set of objectives")
async def one(objectives_id: str, services: ServicesDep) -> dict[str, Any]:
    return _shown(await stored.find(services, KIND, objectives_id, _missing()))


@router.patch("/{objectives_id}", summary="Change a set of objectives (JSON Patch)")
async def patch(objectives_id: str, body: list[dict[str, Any]], services: ServicesDep) -> Response:
    """Paths into the set, `/data/0/objective_prompt`; those of a single item mean the first one."""
    found = await stored.find(services, KIND, objectives_id, _missing())
    try:
        after = apply_patch(found.document, [_of_the_set(operation) for operation in body])
    except PatchError as error:
        raise HttpProblem(422, str(error), "message") from None
    if after == found.document:
        return empty(304)
    document = await checked(after, services)
    await stored.replace(services, found, document["name"], document)
    return JSONResponse({"message": "Objectives updated."})


@router.delete("/{objectives_id}", summary="Delete a set of objectives", status_code=204)
async def delete(objectives_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, KIND, objectives_id, _missing())
    return empty()


async def checked(document: Any, services: Services) -> dict[str, Any]:
    """The set as it is kept. Raises the contract's 400 for one that contradicts itself."""
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise HttpProblem(400, "A set of objectives has a list under data.", "message")
    if not 1 <= len(document["data"]) <= MOST:
        raise HttpProblem(400, f"A set has 1 to {MOST} objectives.", "message")
    items = []
    for number, item in enumerate(document["data"]):
        try:
            items.append(Objective.model_validate(_without_blanks(item)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in ("data", number, *first["loc"]))
            raise HttpProblem(400, f"{where}: {first['msg']}", "message") from None
    names = [item.objective_name for item in items]
    for item in items:
        if names.count(item.objective_name) > 1:
            raise HttpProblem(400, f"objective_name '{item.objective_name}' is used twice.", "message")
        for follower in item.followers:
            if follower == item.objective_name:
                raise HttpProblem(400, f"objective '{follower}' follows itself.", "message")
            if follower not in names:
                raise HttpProblem(400, f"There is no objective named '{follower}'.", "message")
        if item.callback_url:
            await services.guard.vet(item.callback_url)
    loops = bool(document.get("allow_loops"))
    if not loops:
        _no_circle({item.objective_name: item.followers for item in items})
    name = document.get("name")
    kept = [item.model_dump(mode="json", exclude_none=True, context={"secrets": True}) for item in items]
    return {"name": name if isinstance(name, str) and name else names[0], "allow_loops": loops, "data": kept}


def _no_circle(followers: dict[str, tuple[str, ...]]) -> None:
    done: set[str] = set()
    for start in followers:
        path, waiting = [start], [iter(followers[start])]
        while waiting:
            follower = next(waiting[-1], None)
            if follower is None:
                done.add(path.pop())
                waiting.pop()
            elif follower in path:
                raise HttpProblem(
                    400, f"'{follower}' follows itself in a circle; allow_loops is off.", "message"
                )
            elif follower not in done:
                path.append(follower)
                waiting.append(iter(followers[follower]))


def _of_the_set(operation: dict[str, Any]) -> dict[str, Any]:
    said = dict(operation)
    for key in ("path", "from"):
        text = said.get(key)
        if isinstance(text, str) and text.split("/")[1:2] and text.split("/")[1] in Objective.model_fields:
            said[key] = f"/data/0{text}"
    return said


def _without_blanks(item: Any) -> Any:
    """Clients send "" for an address that is not there."""
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if not (key == "callback_url" and value == "")}


def _shown(resource: Resource) -> dict[str, Any]:
    return {
        "objectives_id": resource.id,
        "uuid": resource.id,
        "objectives_name": resource.name,
        "objective_name": resource.name,
        "status": "active",
        **resource.document,
        **stored.times(resource),
    }


def _missing() -> HttpProblem:
    return HttpProblem(404, "Objectives not found")
