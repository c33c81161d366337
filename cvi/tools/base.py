"""What a tool is, what a call of it is, and what came back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cvi.errors import CviError
from cvi.llm.base import LlmEngine, Message, ToolRequest, ToolSpec

OnCall = Literal["generate_filler", "static_filler", "silent", "passthrough"]
OnResolve = Literal["generate_response", "response_in_result", "add_to_context", "fire_and_forget"]
OnInterrupt = Literal["finish", "cancel"]

MOST_ANSWER_CHARACTERS = 8_000
"""A longer answer would fill a model's context; it counts as a failure."""


class ToolError(CviError):
    """A call failed; the conversation goes on, and the persona says so."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call. `key` is the same for every attempt to carry it out: the receiver may refuse a second one."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    key: str
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What came back: JSON, or text."""

    value: Any = None

    @property
    def text(self) -> str:
        """As the model reads it."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)

    @property
    def response(self) -> str:
        """The sentence to say, of tools that answer with one: a text, or `response` in an object; else ""."""
        value = self.value
        if isinstance(value, Mapping):
            value = value.get("response")
        return value.strip() if isinstance(value, str) else ""


class Delivery(Protocol):
    """How a call reaches what carries it out. Used on the event loop."""

    name: str
    """Written into the journal: `app_message`, `api`, `mcp`, `python`, `builtin`."""

    async def call(self, call: ToolCall) -> ToolAnswer:
        """Carry it out once. Raises ToolError, in time of its own. Cancelled, it should stop what it can."""

    async def close(self) -> None:
        """Free what it holds; safe to call twice."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that one conversation has.

    `examples` are things people say who want it. `on_call`: what is said where the answer takes a while;
    `on_resolve`: what becomes of it; `on_interrupt`: whether a call goes on whose reply is cut. Only a
    `read_only` tool may be called for a draft, which perhaps nobody hears. A `careful` one, which would do
    harm if nobody asked for it, needs more certainty.
    """

    spec: ToolSpec
    delivery: Delivery
    examples: tuple[str, ...] = ()
    on_call: OnCall = "silent"
    static_filler: str = ""
    on_resolve: OnResolve = "generate_response"
    on_interrupt: OnInterrupt = "finish"
    read_only: bool = False
    careful: bool = False
    ends_conversation: bool = False

    @property
    def name(self) -> str:
        """As the model calls it."""
        return self.spec.name

    @property
    def is_awaited(self) -> bool:
        """Whether the reply needs the answer."""
        return self.on_resolve in ("generate_response", "response_in_result")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A decision: the tool it is about, how much liker the words are to it than to turns that need none (-1
    to 1), the model's probability of a call and that of both signs together, None where it was not asked."""

    nearest: str = ""
    likeness: float = 0.0
    model: float | None = None
    probability: float | None = None
    requests: tuple[ToolRequest, ...] = ()
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Tools that the turn asks for without saying what they need: their names and those of the arguments."""


class CallDecision(Protocol):
    """Decides whether a turn calls tools, for models that do not do so themselves. Event loop."""

    async def warm(self, llm: LlmEngine) -> None:
        """Get ready before the conversation begins. Raises EngineError, MissingError."""

    def follow(self, llm: LlmEngine, history: Sequence[Message], partial: str) -> None:
        """The words so far, while they are spoken; returns at once."""

    async def decide(self, llm: LlmEngine, history: Sequence[Message], text: str) -> Weighed:
        """What the turn calls, with arguments that fit the tools' schemas. Raises EngineError."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one conversation. `decision` is for models whose engine does not choose calls itself."""

    tools: tuple[ToolDefinition, ...]
    decision: CallDecision
    client: ClientAnswers | None = None
    _named: dict[str, ToolDefinition] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._named.update({tool.name: tool for tool in self.tools})

    def get(self, name: str) -> ToolDefinition | None:
        """The tool of that name."""
        return self._named.get(name)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What a model is told of them."""
        return tuple(tool.spec for tool in self.tools)

    async def close(self) -> None:
        """Close every delivery."""
        for delivery in {id(tool.delivery): tool.delivery for tool in self.tools}.values():
            await delivery.close()


class ClientAnswers(Protocol):
    """Takes the answers of tools that run at the client."""

    def answer(self, call_id: str, output: Any, ok: bool) -> None:
        """Raises UsageError where no such call waits."""


def argument_key(name: str, arguments: Mapping[str, Any]) -> str:
    """The same for two calls that ask for the same."""
    return f"{name} {json.dumps(arguments, sort_keys=True, ensure_ascii=False, default=str)}"
