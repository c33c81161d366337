"""`cvi bench tools`: whether a local model calls the right tool, with the right arguments, or none.

Each request is a turn of its own. Graded by rules: the tool's name, or none; every argument that the set of
requests names must hold its words; all arguments must fit the tool's schema. Nothing is carried out.
"""

from __future__ import annotations

import asyncio
import json as json_text
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema.validators import validator_for
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.markup import escape

from cvi.bench.layers.measurement import finish, llm_name, milliseconds, proportion, show_progress
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.engines import build_llm, resolve
from cvi.llm.base import LlmEngine, Message, ToolSpec
from cvi.persona.schema import Persona
from cvi.tools.base import ToolDefinition, Weighed
from cvi.tools.builtin import END_CALL, HAND_OVER, end_call, hand_over
from cvi.tools.client import ClientDelivery
from cvi.tools.decision import LikenessAndOdds

GRADED = "tools"
DEVELOPMENT = "tools_development"
ANSWERS_NAME = "calls.json"
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_BUILTIN = {END_CALL: end_call, HAND_OVER: hand_over}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(_Part):
    """What is said, the tool it asks for (None for none), and words that its arguments must hold."""

    say: str
    tool: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)


class OfferedTool(_Part):
    """A tool, as in a persona's file."""

    name: str
    description: str
    parameters: dict[str, Any]
    examples: list[str]


class RequestSet(_Part):
    """The tools, and the requests to a persona that has them."""

    system: str
    builtin: list[str]
    tools: list[OfferedTool]
    requests: list[Request]

    def definitions(self) -> list[ToolDefinition]:
        """The tools, which nobody carries out."""
        nobody = ClientDelivery(connected=False)
        own = [
            ToolDefinition(
                ToolSpec(tool.name, tool.description, tool.parameters), nobody, tuple(tool.examples)
            )
            for tool in self.tools
        ]
        return [*own, *(_BUILTIN[name]() for name in self.builtin)]


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided for one request: `likeness` to the `nearest` tool, the model's probability of a call
    (None where it was not asked), the tool called, and how much processor time that took."""

    say: str
    wanted: str | None
    nearest: str
    likeness: float
    model: float | None
    probability: float | None
    called: str | None
    arguments: Mapping[str, Any] | None
    parsable: bool
    right_tool: bool
    right_arguments: bool
    cpu_ms: float


def load_requests(name: str) -> RequestSet:
    """A set of requests beside this file."""
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    return RequestSet.model_validate(yaml.safe_load(text))


async def decide_all(llm: LlmEngine, requests: RequestSet, language: str = "en") -> list[Decided]:
    """Every request, each as a first turn of its own."""
    tools = {tool.name: tool for tool in requests.definitions()}
    decision = LikenessAndOdds(list(tools.values()), language)
    await decision.warm(llm)
    tell = show_progress(len(requests.requests))
    decided: list[Decided] = []
    for request in requests.requests:
        began = time.process_time()
        weighed = await decision.decide(llm, [Message("system", requests.system)], request.say)
        decided.append(_graded(request, weighed, tools, (time.process_time() - began) * 1000))
        tell(request.say[:40])
    return decided


def measure_tools(
    *, development: bool, profile: str, model: str | None, output: Path | None, json: bool
) -> None:
    """Decide and grade, write the run and print it. Raises MissingError, EngineError."""
    name = DEVELOPMENT if development else GRADED
    layers = {"llm": {"engine": "llama-cpp", "model": model}} if model else {}
    document = {"persona_name": "Tools", "system_prompt": "Be brief.", "layers": layers}
    persona = Persona.model_validate(document)
    config = resolve(persona, profile=profile)
    recorder = RunRecorder("tools", {"requests": name}, profile=config.profile.name, output=output)

    async def run() -> list[Decided]:
        llm = await build_llm(config)
        try:
            return await decide_all(llm, load_requests(name))
        finally:
            await llm.close()

    decided = asyncio.run(run())
    recorder.write(ANSWERS_NAME, [asdict(each) for each in decided])
    if not json:
        _print_mistakes(decided)
    about = llm_name(config)
    finish(recorder, [Variant("cvi", about, {"llm": about}, figures=tuple(_figures(decided)))], json)


def _graded(
    request: Request, weighed: Weighed, tools: Mapping[str, ToolDefinition], cpu_ms: float
) -> Decided:
    call = weighed.requests[0] if len(weighed.requests) == 1 else None
    called = "+".join(each.name for each in weighed.requests) or None
    parsable = all(
        validator_for(tools[each.name].spec.parameters)(tools[each.name].spec.parameters).is_valid(
            dict(each.arguments)
        )
        for each in weighed.requests
    )
    right_tool = called == request.tool
    given = dict(call.arguments) if call is not None else None
    right_arguments = right_tool and all(
        _holds((given or {}).get(name), value) for name, value in request.arguments.items()
    )
    return Decided(
        request.say,
        request.tool,
        weighed.nearest,
        round(weighed.likeness, 4),
        weighed.model,
        weighed.probability,
        called,
        given,
        parsable,
        right_tool,
        right_arguments,
        round(cpu_ms, 2),
    )


def _holds(given: Any, wanted: Any) -> bool:
    """Numbers must be equal; of texts the given one holds the wanted one, ignoring case and blanks, and
    numbers up to twelve may be words or digits."""
    if isinstance(wanted, int | float):
        return bool(given == wanted)
    return _plain(str(wanted)) in _plain(given if isinstance(given, str) else json_text.dumps(given))


def _plain(text: str) -> str:
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    return "".join(str(_NUMBERS.index(word)) if word in _NUMBERS else word for word in words)


def _figures(decided: Sequence[Decided]) -> Iterable[Figure]:
    needing = [each for each in decided if each.wanted is not None]
    others = [each for each in decided if each.wanted is None]

    def share(name: str, label: str, hits: Iterable[bool]) -> Figure:
        return proportion(name, label, hits, lower_is_better=False)

    yield share("right_tool", "the right tool, or none", (each.right_tool for each in decided))
    yield share("right_where_needed", "the right one where one is needed", (e.right_tool for e in needing))
    yield share("none_where_none", "none where none is needed", (each.right_tool for each in others))
    yield share("right_arguments", "and the right arguments", (each.right_arguments for each in needing))
    yield share("parsable", "arguments that fit the schema", (e.parsable for e in decided if e.called))
    yield share("not_asked", "settled without the model, none due", (each.model is None for each in others))
    yield milliseconds(
        "decision_cpu_ms", "processor time of the decision, none needed", (e.cpu_ms / 1000 for e in others)
    )


def _print_mistakes(decided: Sequence[Decided]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for each in decided:
        if each.right_tool and (each.right_arguments or each.wanted is None):
            continue
        console.print(
            f"{escape(each.say)}\n  wanted {each.wanted or 'none'}, called [red]{each.called or 'none'}[/] "
            f"{escape(str(dict(each.arguments or {})))}"
        )
