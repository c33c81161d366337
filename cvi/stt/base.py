"""What a recognizer must do.

One `SttStream` is opened for each turn. Audio is fed as it arrives; the conversation asks for
partial text now and then, and for final text at each pause, because the end of a turn is guessed
before it is known: `final` may be called, speech may go on, and `final` may be called again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cvi.audio.block import Pcm


@dataclass(frozen=True, slots=True)
class SttSettings:
    """`language` is a two-letter code; `model` a name or path, or None for the engine's default.

    `hotwords` are words to expect. `device` is auto, cpu or cuda. `base_url`, `api_key` and
    `headers` are for endpoints.
    """

    language: str = "en"
    model: str | None = None
    hotwords: tuple[str, ...] = ()
    device: str = "auto"
    base_url: str | None = None
    api_key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class SttStream(Protocol):
    """One turn. Called from the event loop; calls that overlap are served in order."""

    def feed(self, pcm: Pcm) -> None:
        """Take 16 kHz mono int16, any length. Returns at once; never blocks the loop."""

    async def partial(self) -> str:
        """The words so far, cheap and perhaps wrong at the end; "" when there are none."""

    async def final(self) -> str:
        """The best text for everything fed up to this call; "" when nothing was said.

        Feeding may go on afterwards; a later `final` covers the whole turn again.
        Raises EngineError.
        """

    def close(self) -> None:
        """Drop the turn, and any decoding under way."""


class SttEngine(Protocol):
    name: str

    async def warm(self) -> None:
        """Do whatever makes the first turn as fast as the second."""

    def open(self) -> SttStream: ...

    def close(self) -> None: ...
