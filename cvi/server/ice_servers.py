"""STUN and TURN servers: as `cvi serve` is given them, and as one participant is given them.

With the TURN server's secret each participant gets a name and password that expire, so that a room's address
does not give away a relay (the "TURN REST API" draft, coturn's `use-auth-secret`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from cvi.errors import UsageError
from cvi.server.settings import ServerSettings

GOOD_FOR_S = 2 * 3600
"""Longer than any conversation: a relay is asked again while it is used."""


def parse_ice_servers(texts: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """`stun:host:port` and `turn:user:password@host:port?transport=tcp` as WebRTC takes them.

    Raises `UsageError`.
    """
    found: list[dict[str, Any]] = []
    for text in texts:
        scheme, _, rest = text.partition(":")
        if scheme not in ("stun", "stuns", "turn", "turns") or not rest:
            raise UsageError(f"--ice-server {text} is no STUN or TURN server.", "For example: stun:HOST:3478")
        credentials, at, place = rest.rpartition("@")
        if not at:
            found.append({"urls": [text]})
            continue
        user, _, password = credentials.partition(":")
        found.append({"urls": [f"{scheme}:{place}"], "username": user, "credential": password})
    return tuple(found)


def ice_servers_for(settings: ServerSettings, user: str, now: float) -> list[dict[str, Any]]:
    """As `RTCPeerConnection` takes them. `user` is anything that tells users of the relay apart."""
    if not settings.turn_secret:
        return list(settings.ice_servers)
    name = f"{int(now) + GOOD_FOR_S}:{user}"
    key = hmac.digest(settings.turn_secret.encode(), name.encode(), hashlib.sha1)
    credentials = {"username": name, "credential": base64.b64encode(key).decode()}
    return [{**server, **credentials} if _is_relay(server) else server for server in settings.ice_servers]


def _is_relay(server: dict[str, Any]) -> bool:
    return any(url.startswith("turn") for url in server["urls"])
