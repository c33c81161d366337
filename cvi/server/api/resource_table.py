"""The resources that are stored and partly executed: a table of kinds, and the routes made from it.

To add a resource: write its body, a check that turns a body into the document to store, and a row in `KINDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from cvi.persona.field_effects import EFFECTS, not_in_effect
from cvi.server.api.resource_bodies import (
    DeploymentBody,
    DictionaryBody,
    DocumentBody,
    DocumentChange,
    GuardrailBody,
    ObjectivesBody,
    RecrawlBody,
    ToolBody,
    check_deployment,
    check_dictionary,
    check_document,
    check_guardrail,
    check_objectives,
    check_tool,
    masked_tool,
    objective_operation,
    only_name_and_rules,
)
from cvi.server.api.resource_routes import (
    Document,
    ResourceKind,
    Wanted,
    is_named,
    is_tagged,
    router_of,
    tags_of,
)
from cvi.server.contract import (
    HttpProblem,
    PageRange,
    in_both_vocabularies,
    listing,
    not_found,
    page_from_one,
    page_from_zero,
)
from cvi.server.jobs.document_job import KIND as DOCUMENT_JOB
from cvi.server.jobs.document_job import RECRAWL_AFTER_S, queue_document, served_chunks, show_document
from cvi.server.jobs.document_job import RESOURCES as DOCUMENT_RESOURCES
from cvi.server.json_bodies import JsonRoute
from cvi.server.secret_fields import with_secrets
from cvi.server.services import Services, ServicesDep
from cvi.server.store import jobs
from cvi.server.store.resources import Resource

_Type = Annotated[Literal["user", "system", "all"], Query(description="None are shipped.")]
_TagQuery = Annotated[str, Query(description="Any of these, separated by commas.")]
DEPLOYMENTS_STAY = "deployments are not served in this version"


# -- how they are shown ---------------------------------------------------------------------------


def _show_objectives(resource: Resource) -> Document:
    names = {"objectives_name": resource.name, "objective_name": resource.name}
    ids = {"objectives_id": resource.id, "uuid": resource.id}
    return {**ids, **names, "status": "active", **resource.document}


def _show_guardrail(resource: Resource) -> Document:
    ids = {"uuid": resource.id, "guardrails_id": resource.id, "guardrail_id": resource.id}
    names = {"guardrails_name": resource.name, "guardrail_name": resource.name, "status": "active"}
    return {**ids, **names, "type": "user", **resource.document}


def _show_tool(resource: Resource) -> Document:
    ids = {"tool_id": resource.id, "uuid": resource.id}
    return {**ids, **masked_tool(resource.document), "type": "user"}


def _summarize_dictionary(resource: Resource) -> Document:
    ids = {"pronunciation_dictionary_id": resource.id, "uuid": resource.id}
    return {**ids, "name": resource.name, "rules_count": len(resource.document["rules"])}


def _show_dictionary(resource: Resource) -> Document:
    return {**_summarize_dictionary(resource), "rules": resource.document["rules"]}


def _show_deployment(resource: Resource) -> Document:
    return in_both_vocabularies({"deployment_id": resource.id, **resource.document, "name": resource.name})


def _wholly(field: str, path: str) -> Callable[[Document], list[Document]]:
    """The whole resource does nothing, for the reason of the persona's field that would refer to it."""
    effect = EFFECTS[path]
    return lambda document: [{"field": field, "why": effect.why, "remedy": effect.remedy}]


def _in_part(at: str) -> Callable[[Document], list[Document]]:
    """Some fields do nothing, as those of the persona's section `at`; of a set, those of its items."""

    def rows(document: Document) -> list[Document]:
        items = document.get("data")
        parts = [("", document)] if items is None else [(f"data[{i}].", item) for i, item in enumerate(items)]
        return [
            {"field": place + each.field.removeprefix(f"{at}."), "why": each.why, "remedy": each.remedy}
            for place, part in parts
            for each in not_in_effect(part, served=True, at=at)
        ]

    return rows


def _only_stored(document: Document) -> list[Document]:
    why = "it is kept, and nothing asks for it"
    given = [field for field in ("participant_tags", "custom_description") if document.get(field)]
    return [{"field": field, "why": why, "remedy": ""} for field in given]


# -- which ones a list shows ----------------------------------------------------------------------


def _named_objectives(type: _Type = "user", name_or_uuid: str = "") -> Wanted:
    return lambda each: type != "system" and is_named(each, name_or_uuid)


def _wanted_guardrails(
    legacy: Annotated[bool | None, Query(description="The sets alone, or the rules alone.")] = None,
    type: _Type = "user",
    name_or_uuid: str = "",
    tags: _TagQuery = "",
) -> Wanted:
    def wanted(each: Resource) -> bool:
        right_shape = legacy is None or ("data" in each.document) == legacy
        return type != "system" and right_shape and is_named(each, name_or_uuid) and is_tagged(each, tags)

    return wanted


def _own_tools(type: _Type = "user") -> Wanted:
    return lambda each: type != "system"


def _wanted_documents(
    status: str = "", name_or_uuid: str = "", tags: _TagQuery = "", participant_tags: str = ""
) -> Wanted:
    def wanted(each: Resource) -> bool:
        right = is_named(each, name_or_uuid) and status in ("", each.document.get("status", "started"))
        return right and is_tagged(each, tags) and is_tagged(each, participant_tags, "participant_tags")

    return wanted


def _wanted_deployments(
    pal_id: str = "", persona_id: str = "", channel: str = "", status: str = ""
) -> Wanted:
    asked = {"persona_id": pal_id or persona_id, "channel": channel, "status": status}
    return lambda each: all(not value or each.document[key] == value for key, value in asked.items())


# -- the table ------------------------------------------------------------------------------------

OBJECTIVES = ResourceKind(
    name="set of objectives",
    plural="sets of objectives",
    tag="objectives",
    kind="objectives",
    path="/objectives",
    parameter="objectives_id",
    prefix="o",
    body=ObjectivesBody,
    check=check_objectives,
    title=lambda document: str(document["name"]),
    show=_show_objectives,
    not_in_effect=_in_part("objectives"),
    missing=lambda: HttpProblem(404, "Objectives not found"),
    page=page_from_one,
    wanted=_named_objectives,
    patch_path=objective_operation,
    patched="Objectives updated.",
)
GUARDRAILS = ResourceKind(
    name="guardrail",
    kind="guardrails",
    path="/guardrails",
    parameter="guardrails_id",
    prefix="g",
    body=GuardrailBody,
    check=check_guardrail,
    title=lambda document: str(document.get("guardrail_name") or document.get("name") or ""),
    show=_show_guardrail,
    not_in_effect=_in_part("guardrails"),
    missing=lambda: HttpProblem(404, "Guardrail not found"),
    page=page_from_one,
    wanted=_wanted_guardrails,
    patched="Guardrail updated.",
)
TOOLS = ResourceKind(
    name="tool",
    kind="tools",
    path="/tools",
    parameter="tool_id",
    prefix="t",
    body=ToolBody,
    check=check_tool,
    title=lambda document: str(document["name"]),
    show=_show_tool,
    not_in_effect=_in_part("tools"),
    missing=lambda: not_found("Tool"),
    page=page_from_one,
    wanted=_own_tools,
    changed=ToolBody,
    change=lambda before, given: with_secrets({**before, **given}, before),
)
DICTIONARIES = ResourceKind(
    name="pronunciation dictionary",
    plural="pronunciation dictionaries",
    kind="dictionaries",
    path="/pronunciation-dictionaries",
    parameter="dictionary_id",
    prefix="pd_",
    body=DictionaryBody,
    check=check_dictionary,
    title=lambda document: str(document["name"]),
    show=_show_dictionary,
    summarize=_summarize_dictionary,
    not_in_effect=_wholly("rules", "layers.tts.pronunciation_dictionary_id"),
    missing=lambda: not_found("Pronunciation dictionary"),
    page=page_from_zero,
    patch_path=only_name_and_rules,
    echoes_page=True,
    created=201,
)


async def _forget_document(services: Services, id: str) -> None:
    await services.jobs.delete(DOCUMENT_JOB, id)


DOCUMENTS = ResourceKind(
    name="document",
    kind=DOCUMENT_RESOURCES,
    path="/documents",
    parameter="document_id",
    prefix="d",
    body=DocumentBody,
    check=check_document,
    title=lambda document: str(document["document_name"]),
    show=show_document,
    not_in_effect=_only_stored,
    missing=lambda: not_found("Document"),
    page=page_from_zero,
    wanted=_wanted_documents,
    changed=DocumentChange,
    echoes_page=True,
    added=queue_document,
    removed=_forget_document,
)
DEPLOYMENTS = ResourceKind(
    name="deployment",
    kind="deployments",
    path="/deployments",
    parameter="deployment_id",
    prefix="dep",
    body=DeploymentBody,
    check=check_deployment,
    title=lambda document: str(document["name"]),
    show=_show_deployment,
    not_in_effect=lambda document: [
        {"field": "status", "why": DEPLOYMENTS_STAY, "remedy": "Embed a conversation's conversation_url."}
    ],
    missing=lambda: not_found("Deployment"),
    page=page_from_zero,
    wanted=_wanted_deployments,
    echoes_page=True,
    extra_list=lambda answer: {**answer, "total": answer["total_count"]},
)
KINDS = (OBJECTIVES, GUARDRAILS, TOOLS, DICTIONARIES, DOCUMENTS, DEPLOYMENTS)


# -- what some of them can besides ----------------------------------------------------------------

_objectives = APIRouter(route_class=JsonRoute)
_guardrails = APIRouter(route_class=JsonRoute)
_documents = APIRouter(route_class=JsonRoute)
_others = APIRouter(route_class=JsonRoute)


@_objectives.post("/validate", summary="Check a set of objectives without storing it")
async def validate_objectives(body: ObjectivesBody, services: ServicesDep) -> dict[str, Any]:
    """400 says what is wrong."""
    await check_objectives(body.model_dump(), services)
    return {"valid": True, "errors": []}


@_guardrails.get("/tags", summary="List the tags of all guardrails")
async def guardrail_tags(services: ServicesDep) -> dict[str, Any]:
    """Sorted, each once."""
    tags = tags_of(await GUARDRAILS.every(services))
    return {"tags": tags, "data": tags, "total_count": len(tags)}


@_documents.get("/tags", summary="List the tags of all documents")
async def document_tags(
    services: ServicesDep, page: Annotated[PageRange, Depends(page_from_one)], search: str = ""
) -> dict[str, Any]:
    """Sorted, each once; `search` is a part of the tag."""
    tags = [tag for tag in tags_of(await DOCUMENTS.every(services)) if search.lower() in tag.lower()]
    return {"tags": page.of(tags), **listing(page.of(tags), len(tags))}


@_documents.get("/{document_id}/chunks", summary="What was read from a document")
async def chunks(
    document_id: str,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """Its passages, in their order; none before it is `ready`."""
    await DOCUMENTS.find(services, document_id)
    found, total = await asyncio.to_thread(served_chunks, document_id, offset, limit)
    following = offset + len(found)
    return {**listing(found, total), "next_offset": following if following < total else None}


@_documents.post("/{document_id}/recrawl", summary="Read a website again", status_code=202)
async def recrawl(document_id: str, services: ServicesDep, body: RecrawlBody | None = None) -> dict[str, Any]:
    """400 without a crawl configuration, 409 while it is being read, 429 within an hour of the last time."""
    found = await DOCUMENTS.find(services, document_id)
    config = (
        body.crawl.model_dump() if body is not None and body.crawl else found.document.get("crawl_config")
    )
    if config is None:
        raise HttpProblem(400, "The document has no crawl configuration.")
    if found.document.get("status", "started") not in ("ready", "error"):
        raise HttpProblem(409, "The document is being read.")
    now = services.wall()
    if found.document.get("status") == "ready" and now - found.updated_at < RECRAWL_AFTER_S:
        raise HttpProblem(429, "The document was read within the last hour.")
    changed = await DOCUMENTS.replace(services, found, {**found.document, "crawl_config": config})
    await services.database.write(
        lambda connection: jobs.restart(connection, DOCUMENT_JOB, found.id, now, None)
    )
    services.jobs.wake()
    return DOCUMENTS.shown(changed)


@_others.get("/skills", summary="List skills", tags=["skills"])
async def skills() -> dict[str, Any]:
    """None: this version has no skills of its own."""
    return listing([], 0)


@_others.get("/skills/{skill_id}", summary="Get a skill", tags=["skills"])
async def skill(skill_id: str) -> dict[str, Any]:
    """404: this version has no skills of its own."""
    raise not_found("Skill")


@_others.get("/transcriptions", summary="List transcriptions", tags=["other"])
async def transcriptions(limit: Annotated[int, Query(ge=1, le=1000)] = 10) -> dict[str, Any]:
    """None: this version transcribes conversations, not files."""
    return listing([], 0)


def stored_resources() -> APIRouter:
    """The routes of all kinds."""
    own = {"objectives": _objectives, "guardrails": _guardrails, "documents": _documents}
    router = APIRouter()
    for kind in KINDS:
        router.include_router(router_of(kind, own.get(kind.kind)))
    router.include_router(_others)
    return router
