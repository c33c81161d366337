"""What the routes of one server share, and how it is opened and closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.models.profiles import Profile
from cvi.server.catalog.persona_store import PersonaStore
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.catalog.thumbnails import Thumbnails
from cvi.server.jobs.queue import JobQueue
from cvi.server.jobs.recording_upload import RecordingUpload
from cvi.server.jobs.render_job import FilmOrders, RenderJob
from cvi.server.jobs.training_job import TrainingJob
from cvi.server.jobs.training_orders import TrainingOrders
from cvi.server.jobs.webhook_delivery import KIND as WEBHOOKS
from cvi.server.jobs.webhook_delivery import WebhookDelivery
from cvi.server.metrics import Metrics
from cvi.server.rooms.admission import AdmissionControl
from cvi.server.rooms.event_store import add_event
from cvi.server.rooms.rooms import Rooms
from cvi.server.settings import ServerSettings
from cvi.server.store.database import Database, database_path
from cvi.server.tracing import tracer

FLUSH_S = 5.0


@dataclass(slots=True)
class Services:
    """One server's parts. `wall` is the time of day in Unix seconds."""

    settings: ServerSettings
    database: Database
    rooms: Rooms
    jobs: JobQueue
    caller: OutboundClient
    guard: OutboundPolicy
    personas: PersonaStore
    replicas: ReplicaStore
    films: FilmOrders
    training: TrainingOrders
    thumbnails: Thumbnails
    metrics: Metrics
    profile: Profile
    wall: Callable[[], float] = time.time

    async def close(self) -> None:
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
    guard = OutboundPolicy(settings.urls_to)
    caller = OutboundClient(guard)
    replicas = ReplicaStore(settings.url)
    llm = resolution.profile.choices["llm"]
    personas = PersonaStore(replicas, small_model=llm.engine == "llama-cpp" and llm.model is None)
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
        guard=guard,
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
