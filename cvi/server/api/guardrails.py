"""`/v2/guardrails`: rules one by one, and the older sets of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response

from cvi.server.answers import HttpProblem, Page, empty, listing, page_from_one
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.json_patch import PatchError, apply_patch
from cvi.server.services import Services, ServicesDep
from cvi.server.store import resources
from cvi.server.store.resources import Resource, new_id
from cvi.server.vocabulary import Body

KIND = "guardrails"
router = APIRouter(prefix="/guardrails", tags=["guardrails"], route_class=JsonRoute)


class Rule(Body):
    """One rule: what the persona must or must not do."""

    guardrail_name: Annotated[str, Field(min_length=1, max_length=100)]
    guardrail_prompt: Annotated[str, Field(min_length=1, max_length=10_000)]
    modality: Literal["verbal", "visual", "audio"] = "verbal"
    callback_url: Annotated[str, Field(max_length=2048)] = ""
    tool_call: dict[str, Any] | None = None
    app_message: bool = True
    tags: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=32)] = Field(
        default_factory=list
    )


class GuardrailBody(Body):
    """A rule, told by its `guardrail_name`; or a set of rules, told by its `data`."""

    guardrail_name: str = ""
    guardrail_prompt: str = ""
    modality: str = "verbal"
    callback_url: str = ""
    tool_call: dict[str, Any] | None = None
    app_message: bool = True
    tags: list[str] = Field(default_factory=list)
    name: Annotated[str, Field(max_length=100)] = ""
    data: Annotated[list[dict[str, Any]], Field(max_length=50)] | None = None


@router.post("", summary="Create a guardrail")
async def create(body: GuardrailBody, services: ServicesDep) -> dict[str, Any]:
    given = body.model_dump(exclude={"name", "data"} if body.data is None else {"guardrail_name"})
    if body.data is not None:
        given = {"name": body.name, "data": body.data}
    document = await _checked(given, services)
    made = await stored.add(services, KIND, new_id("g"), _name(document), document)
    return _shown(made)


@router.get("", summary="List guardrails")
async def every(
    services: ServicesDep,
    page: Annotated[Page, Depends(page_from_one)],
    legacy: Annotated[bool, Query(description="The sets instead of the rules.")] = False,
    type: Annotated[Literal["user", "system", "all"], Query(description="None are shipped.")] = "user",
    name_or_uuid: str = "",
    tags: Annotated[str, Query(description="Any of these, separated by commas.")] = "",
) -> dict[str, Any]:
    if type == "system":
        return listing([], 0)

    def wanted(each: Resource) -> bool:
        is_set = "data" in each.document
        return is_set == legacy and stored.named(each, name_or_uuid) and stored.tagged(each, tags)

    return await stored.page_of(services, KIND, page, _shown, wanted=wanted)


@router.get("/tags", summary="List the tags of all guardrails")
async def every_tag(services: ServicesDep) -> dict[str, Any]:
    return stored.every_tag(
        await services.database.read(lambda connection: resources.every(connection, KIND))
    )


@router.get("/{guardrails_id}", summary="Get a guardrail")
async def one(guardrails_id: str, services: ServicesDep) -> dict[str, Any]:
    return _shown(await stored.find(services, KIND, guardrails_id, _missing()))


@router.patch("/{guardrails_id}", summary="Change a guardrail (JSON Patch)")
async def patch(guardrails_id: str, body: list[dict[str, Any]], services: ServicesDep) -> Response:
    found = await stored.find(services, KIND, guardrails_id, _missing())
    try:
        after = apply_patch(found.document, body)
    except PatchError as error:
        raise HttpProblem(422, str(error), "message") from None
    document = await _checked(after, services)
    if document == found.document:
        return empty(304)
    changed = await stored.replace(services, found, _name(document), document)
    return JSONResponse({"message": "Guardrail updated.", **_shown(changed)})


@router.delete("/{guardrails_id}", summary="Delete a guardrail", status_code=204)
async def delete(guardrails_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, KIND, guardrails_id, _missing())
    return empty()


async def _checked(document: Any, services: Services) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise HttpProblem(400, "A guardrail is an object.", "message")
    if "data" not in document:
        return await _rule(document, services)
    if not isinstance(document["data"], list) or not document["data"]:
        raise HttpProblem(400, "A set of guardrails has a list under data, with one at least.", "message")
    rules = [await _rule(item, services) for item in document["data"]]
    name = document.get("name")
    return {"name": name if isinstance(name, str) and name else rules[0]["guardrail_name"], "data": rules}


async def _rule(item: Any, services: Services) -> dict[str, Any]:
    try:
        rule = Rule.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "guardrail"
        raise HttpProblem(400, f"{where}: {first['msg']}", "message") from None
    if rule.callback_url:
        await services.guard.vet(rule.callback_url)
    return rule.model_dump(exclude_none=True)


def _name(document: dict[str, Any]) -> str:
    return str(document.get("guardrail_name") or document.get("name") or "")


def _shown(resource: Resource) -> dict[str, Any]:
    ids = {"uuid": resource.id, "guardrails_id": resource.id, "guardrail_id": resource.id}
    named = {"guardrails_name": resource.name, "guardrail_name": resource.name, "status": "active"}
    return {**ids, **named, "type": "user", **resource.document, **stored.times(resource)}


def _missing() -> HttpProblem:
    return HttpProblem(404, "Guardrail not found")
