"""The Protocol of language models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """`model` is a GGUF path or an endpoint's model name, None for the engine's default.

    `base_url`, `api_key`, `headers`, `extra_body`, `default_query` are for OpenAI-compatible
    endpoints. `gpu_layers` -1 is all of them, 0 none, None as many as there is a device for.
    """

    model: str | None = None
    context_tokens: int = 4096
    threads: int | None = None
    gpu_layers: int | None = None
    base_url: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    default_query: Mapping[str, str] = field(default_factory=dict)
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
