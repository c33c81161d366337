"""The server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.staticfiles import StaticFiles

from cvi import __version__
from cvi.server import answers
from cvi.server.access import allowed
from cvi.server.api import (
    conversations,
    dictionaries,
    documents,
    guardrails,
    kept,
    objectives,
    operations,
    pages,
    personas,
    reference,
    replicas,
    signalling,
    tools,
    uploads,
    videos,
)
from cvi.server.gate.log import RequestLog
from cvi.server.gate.origins import Origins, SafeHeaders
from cvi.server.gate.rate import RateGate, RateLimit
from cvi.server.gate.size import OneSlashForm, SizeGate
from cvi.server.measures import Measures
from cvi.server.services import Services, open_services
from cvi.server.settings import ServerSettings
from cvi.server.training.footage import MOST_BYTES as MOST_UPLOADED_BYTES

UPLOADS = "/v2/uploads"

Open = Callable[[ServerSettings, Measures], Coroutine[Any, Any, Services]]


def create_app(settings: ServerSettings, *, open: Open = open_services) -> FastAPI:
    """The application; its services are opened when it starts and closed when it stops.

    Serve it with one process: rooms live in it. `app.state.services` holds its parts while it runs.
    """
    measures = Measures()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = await open(settings, measures)
        try:
            yield
        finally:
            await app.state.services.close()

    app = FastAPI(
        title="cvi",
        version=__version__,
        summary="Conversational video, on your own machine.",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=answers.ERRORS,
    )
    app.state.joins = RateLimit(settings.joins_per_minute)
    answers.install(app)
    app.include_router(_api())
    app.include_router(operations.router)
    app.include_router(signalling.router)
    app.include_router(pages.router)
    app.include_router(reference.router)
    app.mount("/static", StaticFiles(directory=pages.WEB, check_dir=False), name="static")
    _name_the_error(app)
    secure = settings.url.startswith("https://")
    # The last one added is the first one passed.
    app.add_middleware(SizeGate, most_bytes=settings.body_bytes, larger={UPLOADS: MOST_UPLOADED_BYTES})
    app.add_middleware(RateGate, limit=RateLimit(settings.rate_per_minute))
    app.add_middleware(Origins, api_origins=settings.cors_origins)
    app.add_middleware(SafeHeaders, frame_ancestors=settings.frame_ancestors, secure=secure)
    app.add_middleware(RequestLog, measures=measures)
    app.add_middleware(OneSlashForm)
    return app


def _api() -> APIRouter:
    api = APIRouter(prefix="/v2", dependencies=[Depends(allowed)])
    api.include_router(conversations.router)
    for noun in ("/personas", "/pals"):
        api.include_router(personas.router, prefix=noun)
        api.include_router(kept.persona_skills, prefix=noun)
    for noun in ("/replicas", "/faces"):
        api.include_router(replicas.router, prefix=noun)
    api.include_router(replicas.voices, prefix="/voices")
    for room in (documents, objectives, guardrails, tools, dictionaries, videos, uploads, kept):
        api.include_router(room.router)
    return api


def _name_the_error(app: FastAPI) -> None:
    """Every route's errors refer to one schema."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        document.setdefault("components", {}).setdefault("schemas", {})["Error"] = answers.ERROR_SCHEMA
        return document

    app.openapi = openapi  # type: ignore[method-assign]
