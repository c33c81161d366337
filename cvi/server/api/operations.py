"""`/healthz`, `/readyz`, `/metrics`: for those who run the server."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from cvi.server.services import ServicesDep, allowed

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Whether the process answers")
async def healthz() -> dict[str, str]:
    """200 for as long as the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Whether it takes new conversations", responses={503: {"description": "It does not."}}
)
async def readyz(services: ServicesDep) -> Response:
    """503 while it stops or when the store cannot be read. Being full is no fault: see the counts."""
    try:
        await services.database.read(lambda connection: connection.execute("SELECT 1").fetchone())
        ready = not services.rooms.draining
    except (sqlite3.Error, AssertionError, RuntimeError):  # closed, or its thread is gone
        ready = False
    state = {
        "status": "ready" if ready else "not ready",
        "conversations": services.rooms.count,
        "max_conversations": services.rooms.most,
    }
    return JSONResponse(state, 200 if ready else 503)


@router.get("/metrics", summary="Figures for Prometheus", dependencies=[Depends(allowed)])
async def metrics(services: ServicesDep) -> Response:
    """Counts, and histograms of latency."""
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
