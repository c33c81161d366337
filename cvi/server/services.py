"""What the routes of one server share, how it is opened and closed, and who may call the API.

A server that only this machine can reach asks for no key; but pages of the web are shown on this machine
too. Without a key a request must therefore name this machine as its host (a foreign name that resolves to
127.0.0.1 does not) and come from no page, or from one of our own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.models.profiles import Profile
from cvi.server.catalog.persona_store import PersonaStore
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.catalog.thumbnails import Thumbnails
from cvi.server.contract import HttpProblem
from cvi.server.jobs.queue import JobQueue
from cvi.server.jobs.recording_upload import RecordingUpload
from cvi.server.jobs.render_job import FilmOrders, RenderJob
from cvi.server.jobs.training_job import TrainingJob
from cvi.server.jobs.training_orders import TrainingOrders
from cvi.server.jobs.webhook_delivery import KIND as WEBHOOKS
from cvi.server.jobs.webhook_delivery import WebhookDelivery
from cvi.server.rooms.admission import AdmissionControl
from cvi.server.rooms.event_store import add_event
from cvi.server.rooms.rooms import Rooms
from cvi.server.settings import ServerSettings, is_loopback
from cvi.server.store.database import Database, database_path
from cvi.server.store.keys import find_key
from cvi.server.telemetry import Metrics, tracer

FLUSH_S = 5.0


@dataclass(slots=True)
class Services:
    """One server's parts. `wall` is the time of day in Unix seconds."""

    settings: ServerSettings
    database: Database
    rooms: Rooms
    jobs: JobQueue
    caller: OutboundClient
    url_policy: OutboundPolicy
    personas: PersonaStore
    replicas: ReplicaStore
    films: FilmOrders
    training: TrainingOrders
    thumbnails: Thumbnails
    metrics: Metrics
    profile: Profile
    wall: Callable[[], float] = time.time

    async def close(self) -> None:
        """End conversations and jobs in order, deliver webhooks for a few seconds, close the database."""
        await self.rooms.drain(0.0)
        await self.rooms.stop()
        await self.thumbnails.stop()
        await self.jobs.stop(flush={WEBHOOKS}, within_s=FLUSH_S)
        await self.caller.close()
        await self.database.close()


async def open_services(settings: ServerSettings, metrics: Metrics) -> Services:
    """Raises `CviError` when the database cannot be used or the profile is not installed."""
    import asyncio

    from cvi.models.hardware import detect
    from cvi.models.profiles import resolve_profile

    resolution = await asyncio.to_thread(resolve_profile, settings.profile)
    hardware = await asyncio.to_thread(detect)
    database = Database(database_path())
    await database.open()
    url_policy = OutboundPolicy(settings.urls_to)
    caller = OutboundClient(url_policy)
    replicas = ReplicaStore(settings.url, strict=settings.strict_ids)
    llm = resolution.profile.choices["llm"]
    small_model = llm.engine == "llama-cpp" and llm.model is None
    personas = PersonaStore(replicas, small_model=small_model, strict=settings.strict_ids)
    jobs = JobQueue(
        database,
        [
            WebhookDelivery(database, caller),
            RecordingUpload(database, add_event),
            RenderJob(caller, url=settings.url, profile=settings.profile),
            TrainingJob(database, caller, replicas),
        ],
    )
    rooms = Rooms(
        settings,
        database,
        AdmissionControl(hardware.cores),
        metrics,
        max_rooms=settings.max_conversations or max(1, hardware.cores // 2),
        wake_jobs=jobs.wake,
        tracer=tracer(),
    )
    await asyncio.to_thread(personas.every)
    await jobs.start()
    await rooms.start()
    return Services(
        settings=settings,
        database=database,
        rooms=rooms,
        jobs=jobs,
        caller=caller,
        url_policy=url_policy,
        personas=personas,
        replicas=replicas,
        films=FilmOrders(database, jobs, settings.url),
        training=TrainingOrders(database, jobs, replicas),
        thumbnails=Thumbnails(),
        metrics=metrics,
        profile=resolution.profile,
    )


def get_services(request: Request) -> Services:
    """The server's parts, as a dependency of a route."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]


_header = APIKeyHeader(name="x-api-key", auto_error=False, description="A key made by `cvi keys create`.")


async def allowed(
    request: Request,
    key: Annotated[str | None, Security(_header)],
    services: ServicesDep,
) -> None:
    """Raises the contract's 401 for a request that may not be answered."""
    if key and await services.database.read(lambda connection: find_key(connection, key)) is not None:
        return
    if services.settings.asks_for_keys:
        raise HttpProblem(401, "Invalid access token", "message")
    if not _from_here(request, services):
        raise HttpProblem(401, _stranger(request), "message")


def _stranger(request: Request) -> str:
    """Why a request without a key is refused where none is asked for."""
    origin = request.headers.get("origin", "")[:200]
    if origin and origin != "null":
        return f"Pages of {origin} may not call this server. Allow it: cvi serve --cors-origin {origin}"
    return "Invalid access token"


def _from_here(request: Request, services: Services) -> bool:
    known = {urlsplit(services.settings.url).hostname}
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not is_loopback(host) and host not in known:
        return False
    origin = request.headers.get("origin")
    if origin is None or origin in services.settings.cors_origins:
        return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin") or origin is not None
    return urlsplit(origin).netloc == request.headers.get("host", "")
