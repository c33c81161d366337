"""`/healthz`, `/readyz`, `/metrics`: for those who run the server."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cvi.server.services import ServicesDep

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Whether the process answers")
async def healthz() -> dict[str, str]:
    """200 for as long as the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Whether it takes new conversations", responses={503: {"description": "It does not."}}
)
async def readyz(services: ServicesDep) -> Response:
    """503 while it stops, and while a promise is at risk: the database cannot be written, the disk is full.

    `at_risk` says which. Being full is no fault: see the counts.
    """
    risks = services.health.risks
    try:
        await services.database.read(lambda connection: connection.execute("SELECT 1").fetchone())
        ready = not services.rooms.draining and not risks
    except (sqlite3.Error, AssertionError, RuntimeError):  # closed, or its thread is gone
        ready = False
    state = {
        "status": "ready" if ready else "not ready",
        "conversations": services.rooms.count,
        "max_conversations": services.rooms.most,
        "at_risk": risks,
    }
    return JSONResponse(state, 200 if ready else 503)


@router.get("/metrics", summary="Figures for Prometheus")
async def metrics(services: ServicesDep) -> Response:
    """Counts, and histograms of latency."""
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
