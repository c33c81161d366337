"""`/v2/pronunciation-dictionaries`: how words are spoken. Kept; no voice here uses them yet."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response

from cvi.server.answers import HttpProblem, Page, empty, not_found, page_from_zero
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.json_patch import PatchError, apply_patch
from cvi.server.services import ServicesDep
from cvi.server.store.resources import Resource, new_id
from cvi.server.vocabulary import Body

KIND = "dictionaries"
PATCHED = ("/name", "/rules")
router = APIRouter(
    prefix="/pronunciation-dictionaries", tags=["pronunciation dictionaries"], route_class=JsonRoute
)


class PronunciationRule(Body):
    text: Annotated[str, Field(min_length=1, max_length=200)]
    pronunciation: Annotated[str, Field(min_length=1, max_length=500)]
    type: Literal["alias", "ipa"]
    case_sensitive: bool = False
    word_boundaries: bool = True


class DictionaryBody(Body):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    rules: Annotated[list[PronunciationRule], Field(max_length=10_000)] = Field(default_factory=list)


@router.post("", summary="Create a pronunciation dictionary", status_code=201)
async def create(body: DictionaryBody, services: ServicesDep) -> Response:
    document = _checked(body)
    made = await stored.add(services, KIND, new_id("pd_"), body.name, document)
    return JSONResponse(_shown(made), 201)


@router.get("", summary="List pronunciation dictionaries")
async def every(services: ServicesDep, page: Annotated[Page, Depends(page_from_zero)]) -> dict[str, Any]:
    """Without their rules."""
    return await stored.page_of(services, KIND, page, _listed, echo=True)


@router.get("/{dictionary_id}", summary="Get a pronunciation dictionary")
async def one(dictionary_id: str, services: ServicesDep) -> dict[str, Any]:
    return _shown(await stored.find(services, KIND, dictionary_id, _missing()))


@router.patch("/{dictionary_id}", summary="Change a pronunciation dictionary (JSON Patch)")
async def patch(dictionary_id: str, body: list[dict[str, Any]], services: ServicesDep) -> Response:
    """Paths under /name and /rules."""
    found = await stored.find(services, KIND, dictionary_id, _missing())
    if any(not str(operation.get("path", "")).startswith(PATCHED) for operation in body):
        raise HttpProblem(422, "Only /name and /rules can be changed.", "message")
    try:
        after = DictionaryBody.model_validate(apply_patch(found.document, body))
    except PatchError as error:
        raise HttpProblem(422, str(error), "message") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HttpProblem(400, f"{where}: {first['msg']}") from None
    document = _checked(after)
    if document == found.document:
        return empty(304)
    return JSONResponse(_shown(await stored.replace(services, found, after.name, document)))


@router.delete("/{dictionary_id}", summary="Delete a pronunciation dictionary", status_code=204)
async def delete(dictionary_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, KIND, dictionary_id, _missing())
    return empty()


def _checked(body: DictionaryBody) -> dict[str, Any]:
    texts = [rule.text for rule in body.rules]
    if len(set(texts)) < len(texts):
        raise HttpProblem(400, "The same text stands in two rules.")
    return body.model_dump()


def _listed(resource: Resource) -> dict[str, Any]:
    return {
        "pronunciation_dictionary_id": resource.id,
        "uuid": resource.id,
        "name": resource.name,
        "rules_count": len(resource.document["rules"]),
        **stored.times(resource),
    }


def _shown(resource: Resource) -> dict[str, Any]:
    return {**_listed(resource), "rules": resource.document["rules"]}


def _missing() -> HttpProblem:
    return not_found("Pronunciation dictionary")
