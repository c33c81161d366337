"""`/v2/uploads`: films from somebody's disk, for `POST /v2/replicas`. Ours, not the contract's."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from cvi.server.answers import HttpProblem, empty, iso
from cvi.server.jobs.received_files import KEEP_UPLOADS_S, UPLOAD_SCHEME
from cvi.server.services import ServicesDep

router = APIRouter(prefix="/uploads", tags=["replicas"])
_FILM = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", summary="Send a film", openapi_extra=_FILM)
async def receive(request: Request, services: ServicesDep) -> dict[str, Any]:
    """The body is the film. Its `upload_url` is one `train_video_url` or `consent_video_url`, for a day."""
    try:
        address, size = await services.training.uploads.receive(request.stream())
    except ClientDisconnect:
        raise HttpProblem(400, "The film broke off.") from None
    return {
        "upload_id": address.removeprefix(UPLOAD_SCHEME),
        "upload_url": address,
        "bytes": size,
        "expires_at": iso(services.wall() + KEEP_UPLOADS_S),
    }


@router.delete("/{upload_id}", summary="Delete a film that was sent", status_code=204)
async def delete(upload_id: str, services: ServicesDep) -> Response:
    services.training.uploads.remove(f"{UPLOAD_SCHEME}{upload_id}")
    return empty()
