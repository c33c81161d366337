"""A small model that judges whether turns are over, beside the one that answers.

One token's probability decides whether a turn's words are complete, which a model of 135 million
parameters tells in a fifth of the time of one of 1.5 billion; the large one reads the words meanwhile. An
endpoint, which cannot be asked for probabilities, gets a judge this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cvi.errors import EngineError
from cvi.llm.base import LlmEngine, Message, PausesStructured, Sampling

JUDGED_MESSAGES = 3
"""The judge is given the latest messages alone: whether words are complete hardly depends on older ones."""


class JudgedLlm:
    """Answers come from `main`, completeness from `judge`; each works on a thread of its own. Event loop
    only."""

    def __init__(self, main: LlmEngine, judge: LlmEngine) -> None:
        self.name = main.name
        self.main = main
        """The model that answers."""
        self._judge = judge
        self._prefilled: tuple[Message, ...] = ()
        self._reading: set[asyncio.Task[None]] = set()

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read the prompt into both models' caches. Raises EngineError."""
        await asyncio.gather(self.main.warm(messages), self._judge.warm(_latest(messages)))

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Read the unfinished turn into both models' caches."""
        self._prefilled = tuple(messages)
        await asyncio.gather(
            self.main.prefill(messages, partial), self._judge.prefill(_latest(messages), partial)
        )

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """The judge's probability that the turn is complete; the main model reads `text` at the same time."""
        reading = asyncio.create_task(self._read(self._as_prefilled(messages), text))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return await self._judge.completeness(_latest(messages), text)

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """The main model's reply."""
        return self.main.stream(messages, sampling)

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """The main model's answer as JSON."""
        return await self.main.structured(messages, schema, max_tokens=max_tokens)

    def pause_structured(self, paused: bool) -> None:
        """As the main model's."""
        if isinstance(self.main, PausesStructured):
            self.main.pause_structured(paused)

    async def close(self) -> None:
        """Free both models."""
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(self.main.close(), self._judge.close())

    def _as_prefilled(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages with the notes for this turn that stood behind them when its words so far were read:
        without these the main model would forget the notes, and read them again for its answer."""
        behind = self._prefilled[len(messages) :]
        same = self._prefilled[: len(messages)] == tuple(messages)
        return self._prefilled if same and all(each.role == "system" for each in behind) else messages

    async def _read(self, messages: Sequence[Message], text: str) -> None:
        with suppress(EngineError):  # a model that fails says so again when it is asked to answer
            await self.main.prefill(messages, text)


def _latest(messages: Sequence[Message]) -> list[Message]:
    """The last few messages, without the system's."""
    return [message for message in messages if message.role != "system"][-JUDGED_MESSAGES:]
