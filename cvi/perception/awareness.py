"""Questions about the participant answered again and again, and tools called once when their condition holds.

The language model of the conversation judges, beside the conversation, from what was seen and heard in words;
a vision-language model, where there is one, answers questions about the picture. Nothing is asked while there
is nothing out of the ordinary, so that neutral footage calls no tool.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cvi.llm.base import LlmEngine, Message

Modality = Literal["vision", "audio"]
NOTHING = "none"
Nearness = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[float]]]
"""How near in meaning each of some texts is to each of others, -1..1: a row for each of the first. Blocks."""
NEAR = 0.32
"""With MiniLM, conditions and what fulfils them lie at 0.36 to 0.51, and what does not at 0.30 and below (7
conditions, 8 sights). Those that interpret ("looks confused") lie lower: they need a named expression, or a
larger model."""
_PARTS = re.compile(r"[.:]\s+| and |, ")
_SYSTEM = (
    "You judge what is known about the participant of a video call. Use only what is written here. "
    "Appearances are not feelings. If it is not known, say so."
)


@dataclass(frozen=True, slots=True)
class PerceptionTool:
    """A tool that perception calls: `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, declared: Mapping[str, Any]) -> PerceptionTool | None:
        """A tool as it stands in a persona, with or without `function` around it; None without a name."""
        about = declared.get("function", declared)
        name = about.get("name") if isinstance(about, Mapping) else None
        if not isinstance(name, str) or not name:
            return None
        parameters = about.get("parameters")
        schema = parameters if isinstance(parameters, Mapping) else {}
        return cls(name, str(about.get("description", "")), schema)


@dataclass(frozen=True, slots=True)
class AwarenessSettings:
    """What one persona wants to know of one modality."""

    modality: Modality
    queries: Sequence[str] = ()
    tools: Sequence[PerceptionTool] = ()
    tool_prompt: str = ""

    @property
    def anything(self) -> bool:
        """Whether there is something to ask at all."""
        return bool(self.queries or self.tools)


@dataclass(frozen=True, slots=True)
class Findings:
    """New answers by their question, and a tool with its arguments where one's condition holds."""

    answers: Mapping[str, str]
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Awareness:
    """Judges one modality. Event loop only; one judgement at a time."""

    def __init__(self, settings: AwarenessSettings, llm: LlmEngine, nearness: Nearness | None = None) -> None:
        """With `nearness`, the model is asked only of tools whose condition is near what was perceived: one
        of one or two billion parameters finds nearly every condition fulfilled."""
        self._settings = settings
        self._nearness = nearness
        self._llm = llm
        self._answers: dict[str, str] = {}
        self._called: set[str] = set()

    async def judge(self, known: str) -> Findings:
        """What follows from `known`, what was perceived in words. Raises EngineError."""
        answers = await self._answer(known) if self._settings.queries else {}
        new = {query: answer for query, answer in answers.items() if self._answers.get(query) != answer}
        self._answers.update(new)
        tool = await self._choose(known)
        if tool is None:
            return Findings(new)
        self._called.add(tool.name)
        return Findings(new, tool.name, await self._arguments(tool, known))

    async def _answer(self, known: str) -> dict[str, str]:
        queries = {f"q{number}": query for number, query in enumerate(self._settings.queries, 1)}
        schema = _object({key: {"type": "string", "maxLength": 120} for key in queries})
        asked = "\n".join(f"{key}: {query}" for key, query in queries.items())
        found = await self._ask(known, f"Answer each in at most ten words, as JSON:\n{asked}", schema)
        return {query: str(found.get(key, "")).strip() for key, query in queries.items()}

    async def _choose(self, known: str) -> PerceptionTool | None:
        left = [tool for tool in self._settings.tools if tool.name not in self._called]
        if left and self._nearness is not None:
            parts = [part for part in _PARTS.split(known) if part.strip()]
            conditions = [tool.description for tool in left]
            rows = await asyncio.to_thread(self._nearness, conditions, parts) if parts else []
            left = [tool for tool, row in zip(left, rows, strict=False) if max(row) >= NEAR]
        if not left:
            return None
        asked = "\n".join(f"- {tool.name}: {tool.description}" for tool in left)
        rule = f"{self._settings.tool_prompt}\n" if self._settings.tool_prompt else ""
        schema = _object({"tool": {"type": "string", "enum": [*(tool.name for tool in left), NOTHING]}})
        found = await self._ask(
            known,
            f"{rule}Tools, each with its condition:\n{asked}\nWhich condition is clearly fulfilled by what "
            f'is written above? Answer as JSON with "tool", "{NOTHING}" if none is.',
            schema,
        )
        return next((tool for tool in left if tool.name == found.get("tool")), None)

    async def _arguments(self, tool: PerceptionTool, known: str) -> Mapping[str, Any]:
        if not tool.parameters.get("properties"):
            return {}
        question = f"The arguments of {tool.name} ({tool.description}), as JSON."
        return await self._ask(known, question, tool.parameters)

    async def _ask(self, known: str, question: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        messages = [Message("system", _SYSTEM), Message("user", f"Known:\n{known}\n\n{question}")]
        return await self._llm.structured(messages, schema, max_tokens=160)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}
