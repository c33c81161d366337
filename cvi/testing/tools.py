"""Tools for scripted conversations: a delivery that counts its calls, and a decision that is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cvi.llm.base import LlmEngine, Message, ToolRequest, ToolSpec
from cvi.tools.base import ToolAnswer, Toolbox, ToolCall, ToolDefinition, ToolError, Weighed
from cvi.tools.client import ClientDelivery


class FakeDelivery:
    """A `Delivery` that answers `answer` after `delay_s`, or raises it."""

    name = "api"

    def __init__(self, answer: Any = "done", delay_s: float = 0.1) -> None:
        self._answer = answer
        self._delay_s = delay_s
        self.calls: list[ToolCall] = []
        """Every call that was begun."""
        self.cancelled = 0
        self.closed = False

    async def call(self, call: ToolCall) -> ToolAnswer:
        """Keep the call, wait, answer."""
        self.calls.append(call)
        try:
            await asyncio.sleep(self._delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self._answer, ToolError):
            raise self._answer
        return ToolAnswer(self._answer)

    async def close(self) -> None:
        """Note it."""
        self.closed = True


class FakeDecision:
    """A `CallDecision`: what `calls` makes of the turn's words, after `delay_s`."""

    def __init__(
        self, calls: Callable[[str], Sequence[tuple[str, Mapping[str, Any]]]], delay_s: float = 0.01
    ) -> None:
        self._calls = calls
        self._delay_s = delay_s
        self.followed: list[str] = []
        self.decided: list[str] = []

    async def warm(self, llm: LlmEngine) -> None:
        """Nothing: it is always warm."""

    def follow(self, llm: LlmEngine, history: Sequence[Message], partial: str) -> None:
        """Note the words."""
        self.followed.append(partial)

    async def decide(self, llm: LlmEngine, history: Sequence[Message], text: str) -> Weighed:
        """The calls for the words."""
        self.decided.append(text)
        await asyncio.sleep(self._delay_s)
        requests = tuple(ToolRequest(name, arguments) for name, arguments in self._calls(text))
        return Weighed(requests[0].name, 1.0, 1.0, 1.0, requests) if requests else Weighed()


def fake_tool(name: str, delivery: Any, **declared: Any) -> ToolDefinition:
    """A tool of that name; `declared` are fields of `ToolDefinition`."""
    spec = ToolSpec(name, f"Do {name}.", {"type": "object", "properties": {"what": {"type": "string"}}})
    return ToolDefinition(spec, delivery, **declared)


def fake_toolbox(
    tools: Sequence[ToolDefinition],
    calls: Callable[[str], Sequence[tuple[str, Mapping[str, Any]]]],
    client: ClientDelivery | None = None,
    delay_s: float = 0.01,
) -> Toolbox:
    """A toolbox whose decision is `calls`: a turn's words -> names and arguments."""
    return Toolbox(tuple(tools), FakeDecision(calls, delay_s), client)
