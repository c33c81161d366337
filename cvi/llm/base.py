"""The Protocol of language models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a function: `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    def wire(self) -> dict[str, Any]:
        """As chat templates and endpoints write it."""
        about = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": about}


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that a model asks for. `arguments` fit the tool's schema. `id` is the endpoint's, or ""."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    `requests` are the calls of an assistant's message and `answers` the id of the one that a tool's message
    answers; only endpoints that choose calls themselves are given them.
    """

    role: Role
    content: str
    requests: tuple[ToolRequest, ...] = ()
    answers: str = ""


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """`model` is a GGUF path or an endpoint's model name, None for the engine's default.

    `base_url`, `api_key`, `headers`, `extra_body`, `default_query` are for OpenAI-compatible
    endpoints. `gpu_layers` -1 is all of them, 0 none, None as many as there is a device for. One that
    `only_judges` is never asked for a reply: it reads no further than a turn's words.
    """

    model: str | None = None
    context_tokens: int = 4096
    threads: int | None = None
    gpu_layers: int | None = None
    only_judges: bool = False
    base_url: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    default_query: Mapping[str, str] = field(default_factory=dict)
    private_hosts: tuple[str, ...] | None = None
    """Of an endpoint that a stranger named: which private hosts it may be; None for any address at all."""
    first_token_timeout_s: float = 10.0
    stall_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is sampled: up to `max_tokens` or a `stop` string; `temperature` 0 is greedy.

    `repeat_penalty` above 1.0 makes tokens of the reply less likely a second time, where the engine has it.
    """

    max_tokens: int = 160
    temperature: float = 0.6
    top_p: float = 0.9
    repeat_penalty: float = 1.12
    stop: tuple[str, ...] = ()
    seed: int = 0


@runtime_checkable
class PausesStructured(Protocol):
    """A model on this machine: its `structured` answers take the processor from recognizer and voice."""

    def pause_structured(self, paused: bool) -> None:
        """Let `structured` wait, or go on. Event loop only."""


class LlmEngine(Protocol):
    """A language model. Called from the event loop.

    Calls are served in order; a stream that is closed ends within one token.
    """

    name: str
    """As in the entry point `llm.NAME`."""

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read the prompt into the KV cache (endpoints: open the connection). Raises EngineError."""

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Read the history `messages` and the stable words `partial` of the user's unfinished turn into the
        KV cache, while the user still speaks. Does nothing where the engine has no such cache."""

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """Probability that the user's turn `text` is complete; None where the engine cannot tell."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """Pieces of the reply's text as they are made. Close the iterator to abort.

        Raises EngineError when the model or endpoint fails, also in the middle.
        """

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """A JSON object that fits the JSON Schema `schema` (of an object), as the model answers `messages`.

        For work beside the conversation (what was said, as fields): a local model does it while no turn
        needs it, in a cache of its own, and steps aside at once; it may take long. The last message should
        say what is wanted: the schema holds the answer to its form, but a local model does not read it.
        Cancel to abort.

        Raises EngineError when the model fails, UsageError for a schema it cannot follow.
        """

    async def close(self) -> None:
        """Free the model or connection; safe to call twice."""


@runtime_checkable
class ChoosesCalls(Protocol):
    """An engine that answers or calls tools as it sees fit, in one request: endpoints."""

    def stream_or_call(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[str | ToolRequest]:
        """The reply's text in pieces, and calls once their arguments are complete. As `LlmEngine.stream`.

        A call whose arguments do not fit its schema raises EngineError; so does one of a tool not given.
        """


@runtime_checkable
class MakesChoices(Protocol):
    """An engine that tells how likely each of a few answers is, and completes one: local models.

    Each `purpose` has a cache of its own, so that the conversation's stays; its prompts should begin alike.
    """

    async def read_question(self, purpose: str, messages: Sequence[Message], partial: str) -> None:
        """Read a question that the words so far, `partial`, end, while nobody waits."""

    async def choose(
        self, purpose: str, messages: Sequence[Message], options: Sequence[str]
    ) -> dict[str, float]:
        """The probability of each option as the answer to `messages`; together 1. Raises EngineError."""

    async def complete(
        self, purpose: str, messages: Sequence[Message], begun: str, schema: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The JSON object that an answer goes on with that begins with `begun`; it fits the schema.

        Raises EngineError, UsageError as `LlmEngine.structured`, but somebody waits for it.
        """


def tool_model(llm: LlmEngine) -> object:
    """The engine that calls tools, where another one judges beside it."""
    return getattr(llm, "main", llm)
