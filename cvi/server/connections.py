"""Limits on connections that make the server wait: for a request's head, or for somebody who does not read.

uvicorn's own limit begins with the first answer, and each byte that comes starts it anew.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN_S = 20.0
"""From the connection, or the last answer, to the end of the next request's head."""
STALLED_S = 60.0
"""For which nothing of an answer is taken."""
MOST_WAITING = 500
"""Connections without a whole head; one more, and the one that has waited longest is closed."""


class LimitedHttp(H11Protocol):
    """HTTP/1.1 whose connections are dropped when they make the server wait too long. Event loop only."""

    waiting: ClassVar[dict[LimitedHttp, asyncio.TimerHandle]] = {}
    """Those without a whole head, longest first."""
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio has it."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """As uvicorn has it."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._forget()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """As asyncio has it."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """As asyncio has it."""
        self._flows()
        super().resume_writing()

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self not in self.waiting:
            if len(self.waiting) >= MOST_WAITING:
                next(iter(self.waiting))._drop()
            self.waiting[self] = self.loop.call_later(HEAD_WITHIN_S, self._drop)

    def _drop(self) -> None:
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        if (timer := self.waiting.pop(self, None)) is not None:
            timer.cancel()
