"""`/v2/tools`: functions that personas may call, kept once and attached by id."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, ValidationError
from starlette.responses import Response

from cvi.persona.policy import Tool
from cvi.server.answers import HttpProblem, Page, empty, listing, not_found, page_from_one
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.services import Services, ServicesDep
from cvi.server.store.resources import new_id
from cvi.server.vocabulary import Body

KIND = "tools"
LONGEST = 10_000
router = APIRouter(prefix="/tools", tags=["tools"], route_class=JsonRoute)


class ToolBody(Body):
    """A tool as in a persona's file; see `cvi persona schema`."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    name: str = ""
    description: str = ""


@router.post("", summary="Create a tool")
async def create(body: ToolBody, services: ServicesDep) -> dict[str, Any]:
    document = _checked(body.model_dump(exclude_unset=True), services)
    made = await stored.add(services, KIND, new_id("t"), document["name"], document)
    return stored.shown_tool(made)


@router.get("", summary="List tools")
async def every(
    services: ServicesDep,
    page: Annotated[Page, Depends(page_from_one)],
    type: Annotated[Literal["user", "system", "all"], Query(description="None are shipped.")] = "user",
) -> dict[str, Any]:
    if type == "system":
        return listing([], 0)
    return await stored.page_of(services, KIND, page, stored.shown_tool)


@router.get("/{tool_id}", summary="Get a tool")
async def one(tool_id: str, services: ServicesDep) -> dict[str, Any]:
    return stored.shown_tool(await stored.find(services, KIND, tool_id, not_found("Tool")))


@router.patch("/{tool_id}", summary="Change a tool (fields)")
async def patch(tool_id: str, body: ToolBody, services: ServicesDep) -> dict[str, Any]:
    """The fields given replace those kept; asterisks, which stand for a secret, change nothing."""
    found = await stored.find(services, KIND, tool_id, not_found("Tool"))
    given = _unmasked(body.model_dump(exclude_unset=True), found.document)
    document = _checked({**found.document, **given}, services)
    return stored.shown_tool(await stored.replace(services, found, document["name"], document))


@router.delete("/{tool_id}", summary="Delete a tool", status_code=204)
async def delete(tool_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, KIND, tool_id, not_found("Tool"))
    return empty()


def _checked(document: dict[str, Any], services: Services) -> dict[str, Any]:
    try:
        tool = Tool.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "tool"
        raise HttpProblem(400, f"{where}: {first['msg']}") from None
    kept = tool.model_dump(mode="json", exclude_none=True, context={"secrets": True})
    if len(tool.description) + len(str(tool.parameters)) > LONGEST:
        raise HttpProblem(400, f"description and parameters together are longer than {LONGEST} characters.")
    properties = tool.parameters.get("properties")
    if isinstance(properties, dict) and any(str(name).startswith("tavus_") for name in properties):
        raise HttpProblem(400, "Parameters whose names begin with tavus_ are reserved.")
    if tool.delivery.api is not None:
        services.guard.read(tool.delivery.api.url.replace("{", "").replace("}", ""))
    return kept


def _unmasked(given: Any, before: Any) -> Any:
    """What was given, with each masked value taken from what is kept."""
    if given == "********" and isinstance(before, str):
        return before
    if isinstance(given, dict):
        kept = before if isinstance(before, dict) else {}
        return {key: _unmasked(value, kept.get(key)) for key, value in given.items()}
    return given
