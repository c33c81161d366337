"""Who may call the API.

A server that only this machine can reach asks for no key; but a page of the web runs on this machine
too. So without a key a request must name this machine as its host (a name that was bent to 127.0.0.1
does not) and come from no page, or from one of our own.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from cvi.server.answers import HttpProblem
from cvi.server.services import Services, ServicesDep
from cvi.server.settings import is_loopback
from cvi.server.store.keys import find_key

_header = APIKeyHeader(name="x-api-key", auto_error=False, description="A key made by `cvi keys create`.")


async def allowed(
    request: Request,
    key: Annotated[str | None, Security(_header)],
    services: ServicesDep,
) -> None:
    """Raises the contract's 401 for a request that may not be answered."""
    if key and await services.database.read(lambda connection: find_key(connection, key)) is not None:
        return
    if services.settings.asks_for_keys or not _from_here(request, services):
        raise HttpProblem(401, "Invalid access token", "message")


def _from_here(request: Request, services: Services) -> bool:
    known = {urlsplit(services.settings.url).hostname}
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not is_loopback(host) and host not in known:
        return False
    origin = request.headers.get("origin")
    if origin is None or origin in services.settings.cors_origins:
        return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin") or origin is not None
    return urlsplit(origin).netloc == request.headers.get("host", "")
