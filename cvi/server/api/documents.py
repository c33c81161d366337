"""`/v2/documents`: what personas shall know. Kept as the contract keeps them; nothing reads them yet."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from cvi.server.answers import (
    HttpProblem,
    Page,
    empty,
    listing,
    not_found,
    not_here_yet,
    page_from_one,
    page_from_zero,
)
from cvi.server.api import stored
from cvi.server.json_body import JsonRoute
from cvi.server.services import ServicesDep
from cvi.server.store import resources
from cvi.server.store.resources import Resource, new_id
from cvi.server.vocabulary import Body

KIND = "documents"
router = APIRouter(prefix="/documents", tags=["documents"], route_class=JsonRoute)
_Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)]


class Crawl(Body):
    depth: Annotated[int, Field(ge=1, le=10)] = 1
    max_pages: Annotated[int, Field(ge=1, le=100)] = 10


class DocumentBody(Body):
    document_url: Annotated[str, Field(min_length=1, max_length=2048)]
    document_name: Annotated[str, Field(max_length=255)] = ""
    callback_url: Annotated[str, Field(max_length=2048)] = ""
    tags: _Tags = Field(default_factory=list)
    participant_tags: _Tags = Field(default_factory=list)
    crawl: Crawl | None = None
    custom_description: Annotated[str, Field(max_length=10_000)] = ""


class DocumentChange(Body):
    document_name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    tags: _Tags | None = None


class Recrawl(Body):
    crawl: Crawl | None = None


@router.post("", summary="Add a document")
async def create(body: DocumentBody, services: ServicesDep) -> dict[str, Any]:
    """Kept with the status `started`: this version stores documents and does not read them yet."""
    await services.guard.vet(body.document_url)
    if body.callback_url:
        await services.guard.vet(body.callback_url)
    name = body.document_name or body.document_url.split("?")[0].rstrip("/").rpartition("/")[2] or "document"
    document = {**body.model_dump(exclude={"crawl"}), "document_name": name}
    document["crawl_config"] = body.crawl.model_dump() if body.crawl else None
    return _shown(await stored.add(services, KIND, new_id("d"), name, document))


@router.get("", summary="List documents")
async def every(
    services: ServicesDep,
    page: Annotated[Page, Depends(page_from_zero)],
    status: str = "",
    name_or_uuid: str = "",
    tags: Annotated[str, Query(description="Any of these, separated by commas.")] = "",
    participant_tags: str = "",
) -> dict[str, Any]:
    asked = {tag.strip() for tag in participant_tags.split(",") if tag.strip()}

    def wanted(each: Resource) -> bool:
        about = set(each.document.get("participant_tags") or [])
        fits = stored.named(each, name_or_uuid) and stored.tagged(each, tags)
        return fits and status in ("", "started") and (not asked or bool(asked & about))

    return await stored.page_of(services, KIND, page, _shown, wanted=wanted, echo=True)


@router.get("/tags", summary="List the tags of all documents")
async def every_tag(
    services: ServicesDep, page: Annotated[Page, Depends(page_from_one)], search: str = ""
) -> dict[str, Any]:
    answer = stored.every_tag(
        await services.database.read(lambda connection: resources.every(connection, KIND))
    )
    tags = [tag for tag in answer["tags"] if search.lower() in tag.lower()]
    return {"tags": page.of(tags), **listing(page.of(tags), len(tags))}


@router.get("/{document_id}", summary="Get a document")
async def one(document_id: str, services: ServicesDep) -> dict[str, Any]:
    return _shown(await stored.find(services, KIND, document_id, not_found("Document")))


@router.patch("/{document_id}", summary="Change a document's name or tags")
async def patch(document_id: str, body: DocumentChange, services: ServicesDep) -> dict[str, Any]:
    found = await stored.find(services, KIND, document_id, not_found("Document"))
    document = {**found.document, **body.model_dump(exclude_none=True)}
    return _shown(await stored.replace(services, found, document["document_name"], document))


@router.delete("/{document_id}", summary="Delete a document", status_code=204)
async def delete(document_id: str, services: ServicesDep) -> Response:
    await stored.remove(services, KIND, document_id, not_found("Document"))
    return empty()


@router.get("/{document_id}/chunks", summary="What was read from a document")
async def chunks(document_id: str, services: ServicesDep) -> dict[str, Any]:
    """Empty as long as nothing reads documents."""
    await stored.find(services, KIND, document_id, not_found("Document"))
    return {**listing([], 0), "next_offset": None}


@router.post("/{document_id}/recrawl", summary="Read a website again", status_code=202)
async def recrawl(document_id: str, services: ServicesDep, body: Recrawl | None = None) -> Response:
    found = await stored.find(services, KIND, document_id, not_found("Document"))
    if found.document.get("crawl_config") is None and (body is None or body.crawl is None):
        raise HttpProblem(400, "The document has no crawl configuration.")
    raise not_here_yet("Reading websites", "The document is kept for the version that does.")


def _shown(resource: Resource) -> dict[str, Any]:
    return {
        "document_id": resource.id,
        "uuid": resource.id,
        **resource.document,
        "status": "started",
        "progress": 0,
        "error_message": None,
        "crawled_urls": None,
        "last_crawled_at": None,
        "crawl_count": None,
        **stored.times(resource),
    }
