"""STUN and TURN servers as one participant is told of them.

With the TURN server's secret everybody gets a name and password of their own, good for a while, so that a
room's address does not give away a relay for ever (the "TURN REST API" draft, coturn's `use-auth-secret`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from cvi.server.settings import ServerSettings

GOOD_FOR_S = 2 * 3600
"""Longer than any conversation: a relay is asked again while it is used."""


def ice_servers_for(settings: ServerSettings, who: str, now: float) -> list[dict[str, Any]]:
    """As `RTCPeerConnection` takes them. `who` is anything that tells users of the relay apart."""
    if not settings.turn_secret:
        return list(settings.ice_servers)
    name = f"{int(now) + GOOD_FOR_S}:{who}"
    key = hmac.digest(settings.turn_secret.encode(), name.encode(), hashlib.sha1)
    own = {"username": name, "credential": base64.b64encode(key).decode()}
    return [{**server, **own} if _is_relay(server) else server for server in settings.ice_servers]


def _is_relay(server: dict[str, Any]) -> bool:
    return any(url.startswith("turn") for url in server["urls"])
