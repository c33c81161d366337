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
_INSTRUCTIONS = Message("system", "You talk with somebody and answer in one or two short sentences.")
_GREETING = Message("assistant", "Hello. What would you like to know?")
# On the 84 pairs of scripts/turn_endings.tsv SmolLM2-135M has a log loss of 0.26 without either and of 0.10
# with both (`scripts/tune_completeness.py` fits with them): without, it takes first turns for unfinished.


class JudgedLlm:
    """Answers come from `main`, completeness from `judge`; each works on a thread of its own. Event loop
    only."""

    def __init__(self, main: LlmEngine, judge: LlmEngine) -> None:
        self.name = main.name
        self.main = main
        """The model that answers."""
        self._judge = judge
        self._reading: set[asyncio.Task[None]] = set()

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read the prompt into both models' caches. Raises EngineError."""
        await asyncio.gather(self.main.warm(messages), self._judge.warm(judged_messages(messages)))

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Read the unfinished turn into both models' caches."""
        await asyncio.gather(
            self.main.prefill(messages, partial), self._judge.prefill(judged_messages(messages), partial)
        )

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """The judge's probability that the turn is complete; the main model reads `text` at the same time."""
        reading = asyncio.create_task(self._read(messages, text))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        return await self._judge.completeness(judged_messages(messages), text)

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

    async def _read(self, messages: Sequence[Message], text: str) -> None:
        with suppress(EngineError):  # a model that fails says so again when it is asked to answer
            await self.main.prefill(messages, text)


def judged_messages(messages: Sequence[Message]) -> list[Message]:
    """What the judge reads before the turn: short instructions for the persona's long ones, and the last few
    messages, or a greeting where the persona has said nothing yet."""
    latest = [message for message in messages if message.role != "system"][-JUDGED_MESSAGES:]
    greeting = [] if any(message.role == "assistant" for message in latest) else [_GREETING]
    return [_INSTRUCTIONS, *greeting, *latest]
