"""What a language model answered, kept in a file, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cvi.llm.base import LlmEngine, Message, Sampling


class KeptAnswers:
    """An `LlmEngine` whose answers are kept in a file, a line each, by model, messages and form.

    What is done with an answer afterwards can change without asking again. Replies come in one piece.
    """

    def __init__(self, model: LlmEngine, weights: str, path: Path) -> None:
        """`weights` tells models of one engine apart. `last` is the newest reply."""
        self.name = model.name
        self._model = model
        self._weights = weights
        self._path = path
        self.last = ""
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._kept: dict[str, str] = dict(map(json.loads, lines))

    async def warm(self, messages: Sequence[Message]) -> None:
        """Nothing: the model may never be asked."""

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Nothing: the model may never be asked."""

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """Every turn is complete."""
        return 1.0

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """The whole reply."""
        key = self._key(messages, sampling)
        if key not in self._kept:
            self._keep(key, "".join([piece async for piece in self._model.stream(messages, sampling)]))
        self.last = self._kept[key]
        yield self.last

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """The answer as JSON."""
        key = self._key(messages, json.dumps(schema), max_tokens)
        if key not in self._kept:
            answer = await self._model.structured(messages, schema, max_tokens=max_tokens)
            self._keep(key, json.dumps(answer))
        found: dict[str, Any] = json.loads(self._kept[key])
        return found

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    def _key(self, messages: Sequence[Message], *form: object) -> str:
        asked = repr((self.name, self._weights, tuple(messages), *form))
        return hashlib.sha256(asked.encode()).hexdigest()[:24]

    def _keep(self, key: str, answer: str) -> None:
        self._kept[key] = answer
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, answer], ensure_ascii=False) + "\n")
