"""A receiver of webhooks that checks what it is sent, and can be down."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from json import loads
from typing import Any

from cvi.client.client import verify


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests; 204 when there are none left."""

    secret: str = ""
    answers: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    refused: int = 0
    port: int = 0
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?mine=1"

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            named = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(named["content-length"]))
            status = self.answers.pop(0) if self.answers else 204
            message_id = verify(self.secret, headers, body, time.time())
            if status < 300:
                self.ids.append(message_id)
                self.events.append(loads(body))
            else:
                self.refused += 1
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        finally:
            writer.close()

    def kinds(self, conversation_id: str) -> list[str]:
        """The events of a conversation in the order they arrived, each repetition left out."""
        seen: dict[str, str] = {}
        for message_id, event in zip(self.ids, self.events, strict=True):
            if event.get("conversation_id") == conversation_id:
                seen.setdefault(message_id, event["event_type"])
        return list(seen.values())
