"""Tokens that let somebody into a private room: shown once, stored as a digest, compared in constant time."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from cvi.server.store.keys import digest


@dataclass(frozen=True, slots=True)
class RoomLock:
    """What a private room's token is checked against. `until` is Unix seconds."""

    token_digest: bytes
    until: float

    def opens(self, token: str | None) -> bool:
        """Whether the token is this room's, however old."""
        return token is not None and hmac.compare_digest(digest(token), self.token_digest)

    def expired(self, now: float) -> bool:
        """Whether the token is too old at `now` to let somebody new in."""
        return now > self.until


def new_token() -> str:
    """A random token for a room's address."""
    return secrets.token_urlsafe(24)


def lock_with(token: str, until: float) -> RoomLock:
    """The lock that `token` opens until `until`, Unix seconds."""
    return RoomLock(digest(token), until)
