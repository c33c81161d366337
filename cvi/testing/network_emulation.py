"""A bad network emulated on one machine: a UDP relay that each end of a connection takes for the other."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from cvi.errors import UsageError

Address = tuple[str, int]
_CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ \S+ \d+) (\S+) (\d+) (typ host).*$")
_PART = re.compile(r"^(\d+(?:\.\d+)?)(kbit|%|ms)$")


@dataclass(frozen=True, slots=True)
class NetworkConditions:
    """`loss` 0..1 of all packets, up to `jitter_s` of delay each, `bps` in each direction (0: no limit)."""

    loss: float = 0.0
    jitter_s: float = 0.0
    bps: int = 0
    queue_s: float = 0.3
    """What a full queue of the limited link holds; more is dropped."""

    @property
    def loses(self) -> bool:
        """Packets may be lost: by chance, or when the link's queue is full."""
        return self.loss > 0 or self.bps > 0

    @staticmethod
    def of_text(text: str) -> NetworkConditions:
        """Parse `300kbit,5%,100ms`, of which any part may be left out. Raises UsageError."""
        values: dict[str, float] = {}
        for part in text.replace(" ", "").split(","):
            found = _PART.match(part)
            if found is None or found[2] in values:
                raise UsageError(
                    f"{text!r} is no network: {part!r} is not understood.",
                    "Give a rate, a share of lost packets and a jitter, for example 300kbit,5%,100ms.",
                )
            values[found[2]] = float(found[1])
        if values.get("%", 0.0) >= 100:
            raise UsageError(f"Nothing comes through {text!r}.", "Let less than 100 % be lost.")
        return NetworkConditions(
            values.get("%", 0.0) / 100, values.get("ms", 0.0) / 1000, round(values.get("kbit", 0.0) * 1000)
        )


class Relay:
    """Carries all packets of one connection under `conditions`; `offer` and `answer` rewrite the descriptions
    so that they pass here. Event loop only."""

    def __init__(self, conditions: NetworkConditions, seed: int = 1) -> None:
        self.conditions = conditions
        self.passed = self.lost = 0
        self._random = random.Random(seed)
        self._free_at = {"up": 0.0, "down": 0.0}
        self._host = ""
        self._client: _Socket
        self._server: _Socket

    async def open(self) -> None:
        """Bind both sockets to this machine's own address."""
        loop = asyncio.get_running_loop()
        probe = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("192.0.2.1", 9))
        self._host = probe[0].get_extra_info("sockname")[0]
        probe[0].close()
        local = (self._host, 0)
        _, self._client = await loop.create_datagram_endpoint(partial(_Socket, self, "up"), local_addr=local)
        _, self._server = await loop.create_datagram_endpoint(
            partial(_Socket, self, "down"), local_addr=local
        )

    def offer(self, sdp: str) -> str:
        """The offer for the server: the client appears at our server socket."""
        return self._changed(sdp, self._server.port)[0]

    def answer(self, sdp: str) -> str:
        """The answer for the client; notes where the server really is."""
        changed, real = self._changed(sdp, self._client.port)
        self._server.peer = real
        return changed

    def _changed(self, sdp: str, port: int) -> tuple[str, Address | None]:
        """One candidate a medium: ours. And the first real one of this machine's address."""
        real: Address | None = None
        lines: list[str] = []
        given = False
        for line in sdp.split("\r\n"):
            found = _CANDIDATE.match(line)
            if line.startswith("m="):
                given = False
            if not line.startswith("a=candidate:"):
                lines.append(line)
            elif found and found[2] == self._host and not given:
                real = real or (found[2], int(found[3]))
                lines.append(f"{found[1]} {self._host} {port} typ host")
                given = True
        return "\r\n".join(lines), real

    def forward(self, data: bytes, direction: str) -> None:
        """Lose, queue or delay one packet that came in `direction` ("up" to the server, or "down")."""
        to = self._server if direction == "up" else self._client
        loop, conditions = asyncio.get_running_loop(), self.conditions
        now = loop.time()
        if self._random.random() < conditions.loss:
            self.lost += 1
            return
        delay_s = 0.0
        if conditions.bps:
            waits_s = max(self._free_at[direction] - now, 0.0)
            if waits_s > conditions.queue_s:
                self.lost += 1
                return
            self._free_at[direction] = now + waits_s + len(data) * 8 / conditions.bps
            delay_s = self._free_at[direction] - now
        self.passed += 1
        loop.call_later(delay_s + self._random.random() * conditions.jitter_s, to.send, data)

    def close(self) -> None:
        """Close both sockets."""
        self._client.close()
        self._server.close()


class _Socket(asyncio.DatagramProtocol):
    """One socket; `peer` is the address of the end behind it."""

    def __init__(self, relay: Relay, direction: str) -> None:
        self.peer: Address | None = None
        self._relay, self._direction = relay, direction
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.peer = address[:2]
        self._relay.forward(data, self._direction)

    def send(self, data: bytes) -> None:
        if self.peer is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)

    def close(self) -> None:
        self._transport.close()
