"""What a language model must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
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
    max_tokens: int = 160
    temperature: float = 0.6
    top_p: float = 0.9
    repeat_penalty: float = 1.12
    stop: tuple[str, ...] = ()
    seed: int = 0


class LlmEngine(Protocol):
    """Calls come from the event loop. A new call may find an older one still ending: it waits its turn,
    and a stream whose consumer went away ends within one token."""

    name: str

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read the prompt into the KV cache (endpoints: open the connection)."""

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Read the turn so far into the KV cache while it is being spoken; a no-op where impossible.

        `messages` is the history; `partial` the stable words of the user's unfinished turn.
        """

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """How likely the user's turn `text` is complete, 0 to 1; None when this engine cannot tell."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """Pieces of the reply's text as they are made. Close the iterator to abort.

        Raises EngineError when the model or endpoint fails, also in the middle.
        """

    async def close(self) -> None: ...
