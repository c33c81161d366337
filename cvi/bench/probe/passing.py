"""A transport around another one: hands everything on, for those who only want to see what passes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cvi.audio.block import AudioBlock
from cvi.media.frames import AVUnit
from cvi.transport.base import Transport


class ForwardingTransport:
    """A `Transport` that changes nothing. Event loop only, as the one inside."""

    def __init__(self, inner: Transport) -> None:
        self.name, self.fps = inner.name, inner.fps
        self.inner = inner

    @property
    def caller_over(self) -> bool:
        return self.inner.caller_over

    async def open(self) -> None:
        await self.inner.open()

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        async for block in self.inner.microphone():
            yield block

    async def due(self, index: int) -> float:
        return await self.inner.due(index)

    def present(self, unit: AVUnit) -> None:
        self.inner.present(unit)

    def heard_s(self) -> float:
        return self.inner.heard_s()

    def flush(self) -> None:
        self.inner.flush()

    def reply_ended(self) -> None:
        self.inner.reply_ended()

    def notify(self, event: str, text: str = "") -> None:
        self.inner.notify(event, text)

    async def close(self) -> None:
        await self.inner.close()
