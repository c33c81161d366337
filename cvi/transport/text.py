"""A typed conversation's transport: no sound, no picture, each clause of a reply as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from cvi.audio.block import AudioBlock
from cvi.media.frames import AVUnit


class TextTransport:
    """A `Transport` that calls `show` with each clause as it is written. It has no playout clock."""

    name = "text"
    fps = 25
    caller_over = False

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show

    async def open(self) -> None:
        """Nothing: there is no device."""

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """No block, and no end: the participant is there until the conversation ends."""
        await asyncio.Event().wait()
        yield  # type: ignore[misc]  # makes it an async generator

    async def due(self, index: int) -> float:
        """Never: no unit is presented."""
        await asyncio.Event().wait()
        return 0.0

    def present(self, unit: AVUnit) -> None:
        """Nothing: there is nothing to show it on."""

    def heard_s(self) -> float:
        """Always 0: no sound is presented."""
        return 0.0

    def flush(self) -> None:
        """Nothing: no sound waits."""

    def reply_ended(self) -> None:
        """Nothing: no caller waits."""

    def notify(self, event: str, text: str = "") -> None:
        """Show the clauses of replies."""
        if event == "clause":
            self._show(text)

    async def close(self) -> None:
        """Nothing: there is no device."""
