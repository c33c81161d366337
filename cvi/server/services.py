"""What the routes of one server share, and how it is opened and closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, cast
from weakref import WeakValueDictionary

from fastapi import Depends, Request

from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.files import make_private
from cvi.models.profiles import Profile
from cvi.paths import home
from cvi.server.catalog.persona_store import PersonaStore
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.catalog.thumbnails import Thumbnails
from cvi.server.health import Health
from cvi.server.jobs.document_job import DocumentJob
from cvi.server.jobs.queue import JobQueue
from cvi.server.jobs.recording_erasure import RecordingErasure
from cvi.server.jobs.recording_upload import RecordingUpload
from cvi.server.jobs.render_job import FilmOrders, RenderJob
from cvi.server.jobs.training_job import TrainingJob
from cvi.server.jobs.training_orders import TrainingOrders
from cvi.server.jobs.webhook_delivery import KIND as WEBHOOKS
from cvi.server.jobs.webhook_delivery import WebhookDelivery
from cvi.server.rooms.admission import AdmissionControl
from cvi.server.rooms.event_store import add_event
from cvi.server.rooms.rooms import Rooms
from cvi.server.settings import ServerSettings
from cvi.server.store.database import Database, database_path
from cvi.server.store.keys import DEFAULT_OWNER
from cvi.server.store.owners import FileOwners
from cvi.server.telemetry import Metrics, tracer

FLUSH_S = 5.0
PERSONAL = ("conversations", "personas", "replicas", "footage", "uploads", "films", "training", "thumbnails")
"""Folders of the data folder that earlier versions left readable for everybody on the machine."""


class NamedLocks:
    """One lock a name, kept while somebody holds or waits for it. Event loop only."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __call__(self, name: str) -> asyncio.Lock:
        """For `async with`."""
        return self._locks.setdefault(name, asyncio.Lock())


@dataclass(slots=True)
class Services:
    """One server's parts. `wall` is the time of day in Unix seconds.

    `seen_by` gives them as one owner sees them: what new things belong to, and the only ones that are found.
    """

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
    owners: FileOwners
    health: Health
    editing: NamedLocks = field(default_factory=NamedLocks)
    """By id; held while something stored is read, changed and stored, so that of two changes both stand."""
    owner: str = DEFAULT_OWNER
    wall: Callable[[], float] = time.time

    def seen_by(self, owner: str) -> Services:
        """The parts of one owner; the rest is shared."""
        return replace(
            self,
            owner=owner,
            personas=self.personas.seen_by(owner),
            replicas=self.replicas.seen_by(owner),
            films=self.films.seen_by(owner),
            training=self.training.seen_by(owner),
        )

    async def close(self) -> None:
        """End conversations and jobs in order, deliver webhooks for a few seconds, close the database."""
        await self.health.stop()
        await self.rooms.drain(0.0)
        await self.rooms.stop()
        await self.thumbnails.stop()
        await self.jobs.stop(flush={WEBHOOKS}, within_s=FLUSH_S)
        await self.caller.close()
        await self.database.close()


async def open_services(settings: ServerSettings, metrics: Metrics) -> Services:
    """Raises `CviError` when the database cannot be used or the profile is not installed."""
    from cvi.models.hardware import detect
    from cvi.models.profiles import resolve_profile

    resolution = await asyncio.to_thread(resolve_profile, settings.profile)
    hardware = await asyncio.to_thread(detect)
    for name in PERSONAL:
        await asyncio.to_thread(make_private, home() / name)
    database = Database(database_path())
    await database.open()
    owners = FileOwners()
    await asyncio.to_thread(owners.load)
    url_policy = OutboundPolicy(settings.urls_to)
    caller = OutboundClient(url_policy)
    replicas = ReplicaStore(settings.url, owners, strict=settings.strict_ids)
    llm = resolution.profile.choices["llm"]
    small_model = llm.engine == "llama-cpp" and llm.model is None
    personas = PersonaStore(replicas, owners, small_model=small_model, strict=settings.strict_ids)
    jobs = _job_queue(settings, database, caller, replicas)
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
    health = Health(database)
    await health.look()
    await jobs.start()
    await rooms.start()
    health.start()
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
        training=TrainingOrders(database, jobs, replicas, owners),
        thumbnails=Thumbnails(),
        metrics=metrics,
        profile=resolution.profile,
        owners=owners,
        health=health,
    )


def _job_queue(
    settings: ServerSettings, database: Database, caller: OutboundClient, replicas: ReplicaStore
) -> JobQueue:
    kinds = [
        WebhookDelivery(database, caller),
        RecordingUpload(database, add_event),
        RecordingErasure(),
        RenderJob(caller, url=settings.url, profile=settings.profile),
        TrainingJob(database, caller, replicas),
        DocumentJob(database, allowed=settings.urls_to),
    ]
    return JobQueue(database, kinds)


def get_services(request: Request) -> Services:
    """The server's parts as the caller may see them, as a dependency of a route."""
    services = cast(Services, request.app.state.services)
    caller = request.scope.get("state", {}).get("caller")
    return services if caller is None else services.seen_by(caller.owner)


ServicesDep = Annotated[Services, Depends(get_services)]
