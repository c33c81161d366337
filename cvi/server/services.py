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
from cvi.server.films.darkroom import Darkroom
from cvi.server.metrics import Metrics
from cvi.server.recordings.carrier import Carrier
from cvi.server.rooms.admission import AdmissionControl
from cvi.server.rooms.rooms import Rooms
from cvi.server.settings import ServerSettings
from cvi.server.store.database import Database, database_path
from cvi.server.tracing import tracer
from cvi.server.training.atelier import Atelier
from cvi.server.training.orders import Orders
from cvi.server.webhooks.delivery import Delivery

FLUSH_S = 5.0


@dataclass(slots=True)
class Services:
    """One server's parts. `wall` is the time of day in Unix seconds."""

    settings: ServerSettings
    database: Database
    rooms: Rooms
    delivery: Delivery
    caller: OutboundClient
    guard: OutboundPolicy
    personas: PersonaStore
    replicas: ReplicaStore
    films: Darkroom
    training: Atelier
    recordings: Carrier
    thumbnails: Thumbnails
    metrics: Metrics
    profile: Profile
    wall: Callable[[], float] = time.time

    async def close(self) -> None:
        await self.rooms.drain(0.0)
        await self.rooms.stop()
        await self.films.stop()
        await self.training.stop()
        await self.recordings.stop()
        await self.thumbnails.stop()
        await self.delivery.flush(FLUSH_S)
        await self.delivery.stop()
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
    delivery = Delivery(database, caller)
    recordings = Carrier(database, webhooks_wait=delivery.wake)
    rooms = Rooms(
        settings,
        database,
        AdmissionControl(hardware.cores),
        metrics,
        max_rooms=settings.max_conversations or max(1, hardware.cores // 2),
        wake_webhooks=delivery.wake,
        wake_recordings=recordings.wake,
        tracer=tracer(),
    )
    films = Darkroom(
        database, caller, url=settings.url, profile=settings.profile, webhooks_wait=delivery.wake
    )
    replicas = ReplicaStore(settings.url)
    personas = PersonaStore(replicas)
    training = Atelier(Orders(database), caller, replicas, webhooks_wait=delivery.wake)
    await asyncio.to_thread(personas.every)
    await delivery.start()
    await rooms.start()
    await films.start()
    await training.start()
    await recordings.start()
    return Services(
        settings=settings,
        database=database,
        rooms=rooms,
        delivery=delivery,
        caller=caller,
        guard=guard,
        personas=personas,
        replicas=replicas,
        films=films,
        training=training,
        recordings=recordings,
        thumbnails=Thumbnails(),
        metrics=metrics,
        profile=resolution.profile,
    )


def get_services(request: Request) -> Services:
    """The server's parts, as a dependency of a route."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]
