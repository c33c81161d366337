"""How a server is set up: the options of `cvi serve`."""

from __future__ import annotations

import ipaddress
import re
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cvi.errors import UsageError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Video:
    """The face's picture."""

    width: int = 1280
    height: int = 720
    fps: int = 25


@dataclass(frozen=True, slots=True)
class Brand:
    """How rooms look by default: `logo` is a picture's address, `accent` a CSS colour."""

    name: str = "cvi"
    logo: str = ""
    accent: str = ""

    def __post_init__(self) -> None:
        if self.logo and not self.logo.startswith("https://"):
            raise UsageError(f"--brand-logo {self.logo} is no address of a picture.", "Begin with https://")
        if not re.fullmatch(r"[#\w(),.% /-]{0,64}", self.accent):
            raise UsageError(f"--brand-accent {self.accent} is no colour.", "For example: #0a7d6c")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All of a server's choices; the defaults serve this machine alone.

    `tool_modules` are the Python modules whose functions may be tools, `mcp_commands` whether MCP servers may
    be started as programs.
    `urls_to`: hosts, addresses or networks that clients' URLs may lead to although they are private,
    `*` for any. `cors_origins`: origins whose pages may call the API, `*` for any. `drain_s`: how long
    a server that is told to stop lets conversations go on. `worker`: the command of a conversation's
    process. `max_conversations` None: as many as the processors carry. `strict_ids`: an
    unknown id of a persona or replica is refused, and no stock one stands for it. `relay_only`: browsers
    reach it through its TURN server alone. `turn_secret`: what the TURN server makes passwords from.
    `recording_buckets`: where in S3-compatible storage recordings may be
    put, `*` for anywhere.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    public_url: str = ""
    profile: str = "auto"
    max_conversations: int | None = None
    require_key: bool = False
    strict_ids: bool = False
    cors_origins: tuple[str, ...] = ()
    frame_ancestors: tuple[str, ...] = ("*",)
    urls_to: tuple[str, ...] = ()
    tool_modules: tuple[str, ...] = ()
    mcp_commands: bool = False
    ice_servers: tuple[dict[str, Any], ...] = ()
    turn_secret: str = field(default="", repr=False)
    relay_only: bool = False
    recording_buckets: tuple[str, ...] = ()
    brand: Brand = Brand()
    video: Video = Video()
    drain_s: float = 60.0
    rate_per_minute: int = 3000
    joins_per_minute: int = 60
    body_bytes: int = 4 * MIB
    worker: tuple[str, ...] = (sys.executable, "-m", "cvi.server.worker")
    ready_within_s: float = 120.0
    tls_cert: str | None = None
    tls_key: str | None = None

    def __post_init__(self) -> None:
        if self.public_url:
            try:
                parts = urlsplit(self.public_url)
                good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                good = False
            if not good:
                raise UsageError(
                    f"--public-url {self.public_url} is no address.", "For example: https://talk.example.org"
                )
        urls = [url for server in self.ice_servers for url in server["urls"]]
        if self.relay_only and not any(url.startswith("turn") for url in urls):
            raise UsageError(
                "--relay-only needs a TURN server.", "Name it: --ice-server turn:USER:PASSWORD@HOST:3478"
            )
        if self.max_conversations is not None and self.max_conversations < 1:
            raise UsageError("--max-conversations must be at least 1.", "Leave it out for what fits here.")

    @property
    def url(self) -> str:
        """The server's address as others know it, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        name = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 (compared, not bound)
        name = f"[{name}]" if ":" in name else name
        return f"{'https' if self.tls_cert else 'http'}://{name}:{self.port}"

    @property
    def asks_for_keys(self) -> bool:
        """Whether a request needs an API key: always, unless only this machine can reach the server."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        return self.require_key or not is_loopback(self.host) or not (public is None or is_loopback(public))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
