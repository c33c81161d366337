"""The Protocol of speech recognizers.

One `SttStream` is opened for each turn. Audio is fed as it arrives; the conversation asks for partial text
now and then, and for final text at each pause, because a turn may end there or go on: after a `final`,
feeding and another `final` may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    headers: Mapping[str, str] = field(default_factory=dict)
    private_hosts: tuple[str, ...] | None = None
    """Of an endpoint that a stranger named: which private hosts it may be; None for any address at all."""


class SttStream(Protocol):
    """One turn. Called from the event loop; calls that overlap are served in order."""

    def feed(self, pcm: Pcm) -> None:
        """Take mono int16 at HEARD_HZ, any length. Returns at once."""

    async def partial(self) -> str:
        """The words so far, at little cost, the last ones perhaps wrong; "" for none."""

    async def final(self) -> str:
        """The best text for everything fed up to this call; "" for no words.

        Feeding may go on afterwards; a later `final` covers the whole turn again. Raises EngineError.
        """

    def close(self) -> None:
        """End the turn, and any decoding under way; a waiting `final` returns the text it has."""


class SttEngine(Protocol):
    """A recognizer with its model read. Called from the event loop."""

    name: str
    """As in the entry point `stt.NAME`."""

    async def warm(self) -> None:
        """Run or connect once, so that the first turn is as fast as the second. Raises EngineError."""

    def open(self) -> SttStream:
        """Begin a turn. Raises EngineError after `close`."""

    def close(self) -> None:
        """Free the model or connection; safe to call twice."""
