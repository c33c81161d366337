"""Whether a turn calls a tool, for local models: a decision of its own, before a word is written.

Two signs, side by side. How like the words are to what a tool is for costs a few milliseconds and settles
most turns: those that are like none are answered at once. For the others the model is asked to sort them,
among the tools and `none`, with examples of each before its eyes: asked so, a model of 1.5 billion
parameters is right far more often than under its own format of tools. A logistic regression makes one
probability of both; a careful tool needs more of it. The arguments are written behind the same prompt,
under a grammar made from the schema.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cvi.errors import EngineError, MissingError
from cvi.llm.base import ChoosesCalls, LlmEngine, MakesChoices, Message, ToolRequest, tool_model
from cvi.tools.base import ToolDefinition, Weighed
from cvi.tools.grounding import invented, unfit
from cvi.tools.likeness import ToolLikeness

PURPOSE = "tools"
NONE = "none"
LATEST_MESSAGES = 4
"""Numbers and names may have been said a little earlier."""
MOST_ASKED = 8
"""More tools than these are not put before the model: those that the words are likest are."""
MOST_CALLS = 3
_SHORT_WORDS = 5
_DEMONSTRATIONS = (
    "Hello there.",
    "I was on holiday last week.",
    "What is your favourite colour?",
    "My aunt is a teacher.",
    "That is interesting, thank you.",
    "Do you like your work?",
    "I have always wanted to learn to swim.",
)
"""Turns that need no tool."""
_INSTRUCTION = "You sort what people say in a call by what has to be done for them."
_REST = (
    f"- {NONE}: Anything else, such as small talk, stories, opinions, remarks and questions that need no "
    "tool.\n"
    "Answer with one name from this list."
)
_PARTS = re.compile(r"[.;?!]+\s+|,?\s+\b(?:and then|and also|and|then|also)\b\s+", re.IGNORECASE)
_LEAST_PART_WORDS = 3


@dataclass(frozen=True, slots=True)
class DecisionWeights:
    """The regression: log-odds of calling = `likeness` * (likeness) + `odds` * (the model's log-odds) +
    `offset`.

    Below `least_likeness` the model is not asked. `calls_from` and `careful_from` are the probabilities
    from which a tool, or a careful one, is called. Parts of a turn that are as like two tools as
    `part_likeness` ask for both.
    """

    least_likeness: float
    part_likeness: float
    likeness: float
    odds: float
    offset: float
    calls_from: float = 0.5
    careful_from: float = 0.6

    def probability(self, likeness: float, model: float) -> float:
        """That the turn calls a tool, from both signs."""
        model = min(max(model, 1e-4), 1 - 1e-4)
        score = self.likeness * likeness + self.odds * math.log(model / (1 - model)) + self.offset
        return 1 / (1 + math.exp(-score))


# Fitted on cvi/bench/tools_development.yaml with Qwen2.5-Coder 1.5B, by `python scripts/tune_tools.py`.
WEIGHTS = {
    "minilm": DecisionWeights(-0.02, 0.05, 5.7, 0.57, -0.17),
    "e5": DecisionWeights(-0.01, 0.01, 18.1, 0.61, 0.28),
}


class LikenessAndOdds:
    """The decision of one conversation. Event loop; the embedder works on threads."""

    def __init__(
        self, tools: Sequence[ToolDefinition], language: str, embedder: Callable[[str], Any] | None = None
    ) -> None:
        """`embedder` builds one by its engine's name; the process's shared one by default."""
        self._tools = {tool.name: tool for tool in tools}
        self._engine = "minilm" if language == "en" else "e5"
        self._build = embedder
        self._weights = WEIGHTS[self._engine]
        self._likeness: ToolLikeness | None = None
        self._ready = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def warm(self, llm: LlmEngine) -> None:
        """Read what the tools are for; the model reads its question about them in the background."""
        if isinstance(tool_model(llm), ChoosesCalls):
            return
        engine = self._engine_of(llm)
        embedder = await asyncio.to_thread(self._build or _shared, self._engine)
        self._likeness = ToolLikeness(list(self._tools.values()), embedder)
        await self._likeness.warm()
        self._ready.set()
        await engine.read_question(PURPOSE, self._question(list(self._tools)), "")

    def follow(self, llm: LlmEngine, history: Sequence[Message], partial: str) -> None:
        """While the words are spoken: where they begin to be like a tool, the model reads them already."""
        if self._ready.is_set() and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow(llm, history, partial))

    async def decide(self, llm: LlmEngine, history: Sequence[Message], text: str) -> Weighed:
        """See `CallDecision`."""
        await self._ready.wait()
        if self._following is not None:
            self._following.cancel()
        text = _with_question(history, text)
        parts = await self._parts(text)
        before = " ".join(message.content for message in history[-LATEST_MESSAGES:] if message.role == "user")
        made = [await self._decide(llm, part, f"{before} {text}") for part in parts]
        requests = {str(request): request for each in made for request in each.requests}
        first = max(made, key=lambda each: each.probability or 0.0)
        return Weighed(
            first.nearest,
            first.likeness,
            first.model,
            first.probability,
            tuple(requests.values())[:MOST_CALLS],
            {name: lacking for each in made for name, lacking in each.lacking.items()},
        )

    async def _decide(self, llm: LlmEngine, text: str, said: str) -> Weighed:
        """One part of a turn; `said` is all that arguments may be taken from."""
        found = await self._found(text)
        nearest = max(found, key=lambda each: found[each])
        likeness = found[nearest]
        if likeness < self._weights.least_likeness:
            return Weighed(nearest, likeness)
        engine = self._engine_of(llm)
        names = self._asked(found)
        question = [*self._question(names), Message("user", text)]
        odds = await engine.choose(PURPOSE, question, [*names, NONE])
        name = max(names, key=lambda each: odds[each])
        model = 1 - odds[NONE]
        probability = self._weights.probability(found[name], model)
        tool = self._tools[name]
        least = self._weights.careful_from if tool.careful else self._weights.calls_from
        if probability < least:
            return Weighed(name, found[name], model, probability)
        arguments: Mapping[str, Any] = {}
        if tool.spec.parameters.get("properties"):
            arguments = await engine.complete(PURPOSE, question, f"{name} ", tool.spec.parameters)
        required = tool.spec.parameters.get("required") or []
        lacking = [
            *invented(arguments, required, said, tool.examples),
            *unfit(arguments, tool.spec.parameters),
        ]
        if set(lacking) & set(required):
            return Weighed(name, found[name], model, probability, lacking={name: lacking})
        arguments = {key: value for key, value in arguments.items() if key not in lacking}
        return Weighed(name, found[name], model, probability, (ToolRequest(name, arguments),))

    async def _parts(self, text: str) -> list[str]:
        """The turn, or its parts where they ask for tools of their own."""
        parts = [part.strip() for part in _PARTS.split(text)]
        parts = [part for part in parts if len(part.split()) >= _LEAST_PART_WORDS]
        if len(parts) < 2:
            return [text]
        wanted: dict[str, str] = {}
        for part in parts:
            found = await self._found(part)
            nearest = max(found, key=lambda each: found[each])
            if found[nearest] >= self._weights.part_likeness:
                wanted.setdefault(nearest, part)
        return list(wanted.values()) if len(wanted) > 1 else [text]

    async def _found(self, text: str) -> dict[str, float]:
        assert self._likeness is not None
        return await self._likeness.of(text)

    async def _follow(self, llm: LlmEngine, history: Sequence[Message], partial: str) -> None:
        with suppress(EngineError):  # a model that fails says so again when it is asked to decide
            found = await self._found(partial)
            if max(found.values()) >= self._weights.least_likeness:
                question = self._question(self._asked(found))
                await self._engine_of(llm).read_question(PURPOSE, question, partial)

    def _asked(self, found: Mapping[str, float]) -> list[str]:
        """The tools that are put before the model, in the persona's order, so that its cache stays."""
        likest = sorted(found, key=lambda each: -found[each])[:MOST_ASKED]
        return [name for name in self._tools if name in likest]

    def _question(self, names: Sequence[str]) -> list[Message]:
        """What the model is told and shown before the turn's words."""
        tools = [self._tools[name] for name in names]
        lines = [_INSTRUCTION, *map(_described, tools), _REST]
        messages = [Message("system", "\n".join(lines))]
        shown = [(tool.examples[0], tool.name) for tool in tools if tool.examples]
        for index in range(max(len(shown), len(_DEMONSTRATIONS))):
            if index < len(shown):
                messages += [Message("user", shown[index][0]), Message("assistant", shown[index][1])]
            if index < len(_DEMONSTRATIONS):
                messages += [Message("user", _DEMONSTRATIONS[index]), Message("assistant", NONE)]
        return messages

    def _engine_of(self, llm: LlmEngine) -> MakesChoices:
        engine = tool_model(llm)
        if not isinstance(engine, MakesChoices):
            raise MissingError(
                f"The language model's engine '{llm.name}' cannot call tools.",
                "Use llama-cpp or an OpenAI-compatible endpoint, or remove the persona's tools.",
            )
        return engine


def _described(tool: ToolDefinition) -> str:
    properties = tool.spec.parameters.get("properties") or {}
    described = ((name, each.get("description", "")) for name, each in properties.items())
    values = ", ".join(f"{name} ({text})" if text else name for name, text in described)
    said = " ".join(json.dumps(example, ensure_ascii=False) for example in tool.examples)
    line = f"- {tool.name}: {' '.join(tool.spec.description.split())[:400]}"
    return f"{line}{f' With {values}.' if values else ''}{f' Said for example: {said}' if said else ''}"


def _with_question(history: Sequence[Message], text: str) -> str:
    """A short answer together with the question it answers: "Shall I hang up?", "Yes please."."""
    if len(text.split()) > _SHORT_WORDS or not history or history[-1].role != "assistant":
        return text
    question = re.split(r"(?<=[.!?])\s+", history[-1].content.strip())[-1]
    return f"{question} {text}" if question.endswith("?") else text


def _shared(engine: str) -> Any:
    from cvi.embeddings.shared import shared_embedder

    return shared_embedder(engine)
