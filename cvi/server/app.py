"""The server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader
from starlette.staticfiles import StaticFiles

from cvi import __version__
from cvi.server import contract
from cvi.server.access import KeyCheck
from cvi.server.api import (
    conversations,
    memories,
    operations,
    pages,
    personas,
    reference,
    replicas,
    signalling,
    videos,
)
from cvi.server.api.resource_table import stored_resources
from cvi.server.jobs.received_files import MOST_FILM_BYTES
from cvi.server.middleware import (
    CrossOrigin,
    RateLimit,
    RateLimiter,
    RequestLog,
    SafeHeaders,
    SizeLimit,
    TrailingSlash,
)
from cvi.server.services import Services, open_services
from cvi.server.settings import ServerSettings
from cvi.server.telemetry import Metrics

UPLOADS = "/v2/uploads"

Open = Callable[[ServerSettings, Metrics], Coroutine[Any, Any, Services]]


def create_app(settings: ServerSettings, *, open: Open = open_services) -> FastAPI:
    """The application; its services are opened when it starts and closed when it stops.

    Serve it with one process: rooms live in it. `app.state.services` holds its parts while it runs.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = await open(settings, metrics)
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
        responses=contract.ERRORS,
    )
    contract.install(app)
    app.include_router(_api())
    app.include_router(operations.router)
    app.include_router(signalling.router)
    app.include_router(pages.router)
    app.include_router(reference.router)
    app.mount("/static", StaticFiles(directory=pages.WEB, check_dir=False), name="static")
    _add_error_schema(app)
    secure = settings.url.startswith("https://")
    # The last one added is the first one passed.
    app.add_middleware(KeyCheck, settings=settings)
    app.add_middleware(SizeLimit, max_bytes=settings.body_bytes, larger={UPLOADS: MOST_FILM_BYTES})
    limits = [RateLimit(per_minute) for per_minute in (settings.rate_per_minute, settings.joins_per_minute)]
    app.add_middleware(RateLimiter, limit=limits[0], joins=limits[1])
    app.add_middleware(CrossOrigin, api_origins=settings.cors_origins)
    app.add_middleware(SafeHeaders, frame_ancestors=settings.frame_ancestors, secure=secure)
    app.add_middleware(RequestLog, metrics=metrics)
    app.add_middleware(TrailingSlash)
    return app


def _api() -> APIRouter:
    # For the document alone: `KeyCheck` has checked the key before.
    header = APIKeyHeader(name="x-api-key", auto_error=False, description="A key made by `cvi keys create`.")
    api = APIRouter(prefix="/v2", dependencies=[Security(header)])
    api.include_router(conversations.router)
    api.include_router(conversations.interactions)
    for noun in ("/personas", "/pals"):
        api.include_router(personas.router, prefix=noun)
    for noun in ("/replicas", "/faces"):
        api.include_router(replicas.router, prefix=noun)
    api.include_router(replicas.voices, prefix="/voices")
    api.include_router(stored_resources())
    api.include_router(memories.router)
    api.include_router(videos.router)
    api.include_router(replicas.uploads)
    return api


def _add_error_schema(app: FastAPI) -> None:
    """Put the schema that every route's errors refer to into the OpenAPI document."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        document.setdefault("components", {}).setdefault("schemas", {})["Error"] = contract.ERROR_SCHEMA
        return document

    app.openapi = openapi  # type: ignore[method-assign]
