"""Stored resources as clients send them: their bodies, what is wrong with them, and how they are stored."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cvi.errors import UsageError
from cvi.llm.base import ToolSpec
from cvi.persona.objective_graph import graph_fault
from cvi.persona.policy import Objective, Tool
from cvi.persona.section import MASK, masked
from cvi.server.api.resource_routes import Document, checked_by
from cvi.server.catalog.persona_document import refuse_references
from cvi.server.contract import Body, HttpProblem
from cvi.server.services import Services
from cvi.tools.declared import check_specs

MAX_OBJECTIVES = 50
MAX_TOOL_CHARS = 10_000
_SECRETS = ("token", "password", "value", "secret", "client_secret")
_Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)]
_Text = Annotated[str, Field(max_length=255)]
_Url = Annotated[str, Field(max_length=2048)]


class ObjectivesBody(Body):
    """A set of objectives; each item as in a persona's file."""

    name: Annotated[str, Field(max_length=100)] = ""
    data: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=50)]
    allow_loops: bool = False


class GuardrailBody(Body):
    """A rule, recognized by its `guardrail_name`, or a set of rules, by its `data`."""

    guardrail_name: str = ""
    guardrail_prompt: str = ""
    modality: str = "verbal"
    callback_url: str = ""
    tool_call: dict[str, Any] | None = None
    app_message: bool = True
    tags: list[str] = Field(default_factory=list)
    name: Annotated[str, Field(max_length=100)] = ""
    data: Annotated[list[dict[str, Any]], Field(max_length=50)] | None = None


class ToolBody(Body):
    """A tool as in a persona's file; see `cvi persona schema`."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    name: str = ""
    description: str = ""


class PronunciationRule(Body):
    """How one text is spoken."""

    text: Annotated[str, Field(min_length=1, max_length=200)]
    pronunciation: Annotated[str, Field(min_length=1, max_length=500)]
    type: Literal["alias", "ipa"]
    case_sensitive: bool = False
    word_boundaries: bool = True


class DictionaryBody(Body):
    """Rules by which a voice speaks words."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    rules: Annotated[list[PronunciationRule], Field(max_length=10_000)] = Field(default_factory=list)


class Crawl(Body):
    """How far a website is read."""

    depth: Annotated[int, Field(ge=1, le=10)] = 1
    max_pages: Annotated[int, Field(ge=1, le=100)] = 10


class DocumentBody(Body):
    """A document that personas shall know."""

    document_url: Annotated[str, Field(min_length=1, max_length=2048)]
    document_name: _Text = ""
    callback_url: _Url = ""
    tags: _Tags = Field(default_factory=list)
    participant_tags: _Tags = Field(default_factory=list)
    crawl: Crawl | None = None
    custom_description: Annotated[str, Field(max_length=10_000)] = ""


class DocumentChange(Body):
    """What can be changed of a document."""

    document_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    tags: _Tags | None = None


class RecrawlBody(Body):
    """How a website is read again."""

    crawl: Crawl | None = None


class DeploymentBody(Body):
    """A place where a persona shall be offered."""

    persona_id: Annotated[str, Field(min_length=1, max_length=100)]
    channel: Literal["landing-page", "embed", "widget"]
    name: _Text = ""
    allowed_origins: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    limits: dict[str, Any] = Field(default_factory=dict)
    customization: dict[str, Any] = Field(default_factory=dict)


class GuardrailRule(Body):
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


async def check_guardrail(document: Any, services: Services) -> Document:
    """A rule, or a set of rules under `data`, as it is stored. Raises `HttpProblem`."""
    if not isinstance(document, dict):
        raise HttpProblem(400, "A guardrail is an object.", "message")
    items = document.get("data")
    if "data" not in document or items is None:
        return await _check_rule(document, services)
    if not isinstance(items, list) or not items:
        raise HttpProblem(400, "A set of guardrails has a list under data, with one at least.", "message")
    rules = [await _check_rule(item, services) for item in items]
    name = document.get("name")
    return {"name": name if isinstance(name, str) and name else rules[0]["guardrail_name"], "data": rules}


async def _check_rule(item: Any, services: Services) -> Document:
    rule: GuardrailRule = checked_by(GuardrailRule, item, "message")
    if rule.callback_url:
        await services.url_policy.vet(rule.callback_url)
    return rule.model_dump(exclude_none=True)


async def check_objectives(document: Any, services: Services) -> Document:
    """A set of objectives as it is stored. Raises `HttpProblem` for one that contradicts itself."""
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise HttpProblem(400, "A set of objectives has a list under data.", "message")
    if not 1 <= len(document["data"]) <= MAX_OBJECTIVES:
        raise HttpProblem(400, f"A set has 1 to {MAX_OBJECTIVES} objectives.", "message")
    items = [_objective(number, item) for number, item in enumerate(document["data"])]
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
            await services.url_policy.vet(item.callback_url)
    loops = bool(document.get("allow_loops"))
    if (fault := graph_fault(items, may_loop=loops)) is not None:
        _, text, remedy = fault
        raise HttpProblem(400, f"{text}. {remedy}", "message")
    name = document.get("name")
    return {
        "name": name if isinstance(name, str) and name else names[0],
        "allow_loops": loops,
        "data": [_dumped(item) for item in items],
    }


def objective_operation(operation: Document) -> Document:
    """A JSON Patch's operation on a single objective as one on the first of the set."""
    changed = dict(operation)
    for key in ("path", "from"):
        text = changed.get(key)
        if isinstance(text, str) and text.split("/")[1:2] and text.split("/")[1] in Objective.model_fields:
            changed[key] = f"/data/0{text}"
    return changed


def _objective(number: int, item: Any) -> Objective:
    if isinstance(item, dict):  # clients send "" for an address that is not there
        item = {key: value for key, value in item.items() if not (key == "callback_url" and value == "")}
    try:
        found: Objective = checked_by(Objective, item, "message")
    except HttpProblem as problem:
        raise HttpProblem(400, f"data.{number}.{problem.text}", "message") from None
    return found


async def check_tool(document: Any, services: Services) -> Document:
    """A tool as it is stored, secrets included. Raises `HttpProblem`."""
    tool: Tool = checked_by(Tool, document)
    if len(tool.description) + len(str(tool.parameters)) > MAX_TOOL_CHARS:
        text = f"description and parameters together are longer than {MAX_TOOL_CHARS} characters."
        raise HttpProblem(400, text)
    properties = tool.parameters.get("properties")
    if isinstance(properties, dict) and any(str(name).startswith("tavus_") for name in properties):
        raise HttpProblem(400, "Parameters whose names begin with tavus_ are reserved.")
    refuse_references(_dumped(tool)["delivery"])
    try:
        check_specs([ToolSpec(tool.name, tool.description, tool.parameters)])
    except UsageError as error:
        raise HttpProblem(400, str(error)) from None
    if tool.delivery.python is not None and tool.delivery.python.partition(":")[0] not in (
        services.settings.tool_modules
    ):
        raise HttpProblem(400, "Python functions are tools only where the operator allowed their module.")
    if tool.delivery.api is not None:
        services.url_policy.read(tool.delivery.api.url.replace("{", "").replace("}", ""))
    return _dumped(tool)


def masked_tool(document: Document) -> Document:
    """A stored tool without what it authenticates itself with, and without its headers' values."""
    shown: Document = masked({key: value for key, value in document.items() if key != "parameters"})
    if "parameters" in document:
        shown["parameters"] = document["parameters"]
    api = (shown.get("delivery") or {}).get("api")
    if isinstance(api, dict):
        auth, headers = api.get("auth"), api.get("headers")
        if isinstance(auth, dict):
            api["auth"] = {key: MASK if key in _SECRETS and value else value for key, value in auth.items()}
        if isinstance(headers, dict):
            api["headers"] = dict.fromkeys(headers, MASK)
    return shown


def _dumped(model: BaseModel) -> Document:
    return model.model_dump(mode="json", exclude_none=True, context={"secrets": True})


async def check_dictionary(document: Document, services: Services) -> Document:
    """A dictionary as it is stored. Raises `HttpProblem`."""
    body: DictionaryBody = checked_by(DictionaryBody, document)
    texts = [rule.text for rule in body.rules]
    if len(set(texts)) < len(texts):
        raise HttpProblem(400, "The same text stands in two rules.")
    return body.model_dump()


async def check_document(document: Document, services: Services) -> Document:
    """A document as it is stored; its addresses are checked the first time. Raises `HttpProblem`."""
    if "crawl_config" in document:  # stored before, its addresses too
        return document
    body: DocumentBody = checked_by(DocumentBody, document)
    for url in filter(None, (body.document_url, body.callback_url)):
        await services.url_policy.vet(url)
    last = body.document_url.split("?")[0].rstrip("/").rpartition("/")[2]
    return {
        **body.model_dump(exclude={"crawl"}),
        "document_name": body.document_name or last or "document",
        "crawl_config": body.crawl.model_dump() if body.crawl else None,
    }


async def check_deployment(document: Document, services: Services) -> Document:
    """A deployment as it is stored, always inactive. Raises `HttpProblem`."""
    body: DeploymentBody = checked_by(DeploymentBody, document)
    id = body.persona_id
    if "status" not in document:
        id = (await asyncio.to_thread(services.personas.get, id)).id
    return {**body.model_dump(), "persona_id": id, "name": body.name or "Deployment", "status": "inactive"}


def only_name_and_rules(operation: Document) -> Document:
    """An operation of a JSON Patch on a dictionary. Raises `HttpProblem` for any other path."""
    if not str(operation.get("path", "")).startswith(("/name", "/rules")):
        raise HttpProblem(422, "Only /name and /rules can be changed.", "message")
    return operation
