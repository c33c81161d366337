"""`cvi persona test`: scripted conversations with a persona, and what is expected of them.

With fakes the whole conversation runs in virtual time: the script says what the model writes (`model`), fills
in (`form`) and calls (`tool`), and what is tested is everything that is code: guardrails, objectives, tools,
disclosure, turn taking. With real engines the same turns are typed, and the model answers for itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvi.capabilities import NO_PERMISSIONS, build_capabilities, policy_capabilities
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import (
    Event,
    HumanRequested,
    ObjectiveCompleted,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyFirstClause,
    ReplyInterrupted,
    ToolCalled,
    TurnCommitted,
    TurnTyped,
)
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings, TextEngines
from cvi.engines import build_llm, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.llm.base import LlmEngine, Message, ToolRequest
from cvi.persona.policy import ToolDelivery
from cvi.persona.schema import Persona
from cvi.policy.objective_tracker import ObjectiveTracker
from cvi.testing.fakes import FakeLlm, FakeTts
from cvi.testing.script import Script
from cvi.tools.base import ToolAnswer, ToolCall, Weighed
from cvi.tools.declared import ToolPermissions, declared_tools
from cvi.transport.text import TextTransport
from cvi.yaml_document import read_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FakeToolCall(_Part):
    """A call that the fake model makes, and what the fake tool answers."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    answer: Any = "done"


class ScriptTurn(_Part):
    """What is said, what fakes do about it, and what is expected. Patterns ignore case."""

    user: str
    model: str = "I see."
    """What a fake model writes."""
    again: str = ""
    """What it writes when it is asked to say it differently; else the same."""
    form: dict[str, str] = Field(default_factory=dict)
    """What it fills in for objectives."""
    reached: bool = False
    """Whether it finds an objective without variables reached."""
    follower: str = ""
    """Which conditional objective it chooses."""
    tool: FakeToolCall | None = None
    says: list[str] = Field(default_factory=list)
    """All must be found in what is answered."""
    never_says: list[str] = Field(default_factory=list)
    calls: list[str] = Field(default_factory=list)
    """Tools that are called in this turn."""
    within_ms: float | None = None
    """From the end of speech to the first sound; when typed, to the first clause."""
    objective_completed: str = ""
    """Completed by the end of this turn."""
    escalates: bool | None = None
    """Whether a human is asked for."""


class ScriptedConversation(_Part):
    """One conversation; its `never_says` holds for every answer."""

    name: str
    turns: list[ScriptTurn] = Field(min_length=1)
    never_says: list[str] = Field(default_factory=list)


class PersonaScript(_Part):
    """The file of a persona's tests."""

    conversations: list[ScriptedConversation] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class ConversationVerdict:
    """What is wrong in one conversation, a line each; nothing when it passed."""

    name: str
    faults: tuple[str, ...] = field(default=())


def load_script(path: Path) -> PersonaScript:
    """The script of a file. Raises UsageError with what is wrong in it."""
    try:
        script = PersonaScript.model_validate(read_yaml(path))
        for conversation in script.conversations:
            for turn in conversation.turns:
                for pattern in (*turn.says, *turn.never_says, *conversation.never_says):
                    re.compile(pattern)
    except (ValidationError, re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{path} is no script of conversations: {error}", "See docs/policy.md.") from error
    return script


def run_with_fakes(persona: Persona, script: PersonaScript) -> list[ConversationVerdict]:
    """Every conversation in virtual time. Call it where no event loop is running."""
    return [_with_fakes(persona, each) for each in script.conversations]


async def run_with_engines(
    persona: Persona,
    script: PersonaScript,
    profile: str = "auto",
    permissions: ToolPermissions = NO_PERMISSIONS,
) -> list[ConversationVerdict]:
    """Every conversation typed, with the persona's real model, and its tools as far as `permissions` go.

    Raises MissingError, EngineError, UsageError for a tool that is not allowed.
    """
    config = resolve(persona, profile=profile)
    llm = await build_llm(config)
    verdicts = []
    try:
        for each in script.conversations:
            settings = conversation_settings(config, "test", typed=True)
            capabilities = await build_capabilities(config, permissions)
            verdicts.append(await _typed(each, settings, llm, capabilities))
    finally:
        await llm.close()
    return verdicts


def junit(name: str, verdicts: Sequence[ConversationVerdict]) -> str:
    """The verdicts as JUnit's XML: a suite of the persona, a case a conversation."""
    failed = sum(bool(each.faults) for each in verdicts)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(verdicts)), failures=str(failed), errors="0"
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=verdict.name)
        if verdict.faults:
            failure = ElementTree.SubElement(case, "failure", message=verdict.faults[0])
            failure.text = "\n".join(verdict.faults)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


# -- with fakes -----------------------------------------------------------------------------------


class _ScriptedDecision:
    """A `CallDecision` that calls what the script says."""

    def __init__(self, turns: Mapping[str, ScriptTurn]) -> None:
        self._turns = turns

    async def warm(self, llm: LlmEngine) -> None:
        """Nothing to warm."""

    def follow(self, llm: LlmEngine, history: Sequence[Message], partial: str) -> None:
        """Nothing to read."""

    async def decide(self, llm: LlmEngine, history: Sequence[Message], text: str) -> Weighed:
        """The turn's call."""
        turn = self._turns.get(text)
        if turn is None or turn.tool is None:
            return Weighed()
        return Weighed(requests=(ToolRequest(turn.tool.name, turn.tool.arguments),))


class _FakeDelivery:
    name = "fake"

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    async def call(self, call: ToolCall) -> ToolAnswer:
        """The script's answer."""
        return ToolAnswer(self._answers.get(call.name, "done"))

    async def close(self) -> None:
        """Nothing to free."""


def _with_fakes(persona: Persona, conversation: ScriptedConversation) -> ConversationVerdict:
    script = Script()
    turns = {_spoken(turn.user): turn for turn in conversation.turns}
    at_s = 0.5 + 0.4 * len((persona.greeting or "").split()) + 3.0
    for turn in conversation.turns:
        ends_s = script.user_says(at_s, _spoken(turn.user))
        at_s = ends_s + 6.0 + 0.35 * max(len(turn.model.split()), 60)
    script.app_does(at_s, lambda _: None)
    told = persona.disclosure
    settings = ConversationSettings(
        "test",
        persona.system_prompt or "",
        greeting=f"{told.verbal} {persona.greeting or ''}".strip(),
        persona_name=persona.spoken_name,
        max_sentences=6,
    )
    capabilities = policy_capabilities(
        persona, persona.language_code or "en", small_model=False, virtual_time=True
    )
    if persona.tools or persona.builtin_tools:
        at_client = {"delivery": ToolDelivery(app_message=True)}  # nothing is called, so nothing is needed
        tools_alone = persona.model_copy(
            update={"mcp_servers": [], "tools": [tool.model_copy(update=at_client) for tool in persona.tools]}
        )
        toolbox = asyncio.run(declared_tools(tools_alone, ToolPermissions(client=True), "en"))
        answers = {turn.tool.name: turn.tool.answer for turn in conversation.turns if turn.tool}
        fake = _FakeDelivery(answers)
        if toolbox is not None:
            tools = tuple(replace(tool, delivery=fake) for tool in toolbox.tools)
            capabilities = replace(
                capabilities,
                toolbox=replace(toolbox, tools=tools, decision=_ScriptedDecision(turns), _named={}),
            )
    outcome = script.play(
        FakeLlm(_answers(turns), structured=_forms(turns)),
        tts=FakeTts(),
        settings=settings,
        capabilities=capabilities,
    )
    return _judged(conversation, outcome.events, spoken=True)


def _spoken(text: str) -> str:
    """As a recognizer hears it."""
    return " ".join(re.findall(r"[\w'@.-]*\w", text.lower().replace("’", "'")))


def _answers(turns: Mapping[str, ScriptTurn]) -> Any:
    def answer(messages: Sequence[Message]) -> str:
        turn = turns.get(next((each.content for each in reversed(messages) if each.role == "user"), ""))
        if turn is None:
            return "I see."
        asked_again = any("breaks this rule" in message.content for message in messages)
        return turn.again if asked_again and turn.again else turn.model

    return answer


def _forms(turns: Mapping[str, ScriptTurn]) -> Any:
    def fill(messages: Sequence[Message], schema: Mapping[str, Any]) -> dict[str, Any]:
        prompt = messages[-1].content
        said = re.search(r'They said: "(.*?)"\n', prompt)
        turn = turns.get(said[1]) if said else list(turns.values())[-1]
        wanted = schema["properties"]
        values: dict[str, Any] = {name: (turn.form.get(name, "") if turn else "") for name in wanted}
        if "reached" in wanted:
            values["reached"] = turn is not None and turn.reached
        if "so" in wanted:
            chosen = next((each.follower for each in reversed(list(turns.values())) if each.follower), "")
            values["so"] = chosen or wanted["so"]["enum"][0]
        if "broken_rule" in wanted:
            values["broken_rule"] = 0
        return values

    return fill


# -- with a real model ----------------------------------------------------------------------------


async def _typed(
    conversation: ScriptedConversation,
    settings: ConversationSettings,
    llm: LlmEngine,
    capabilities: Capabilities,
) -> ConversationVerdict:
    clock = Clock()
    journal = Journal(None, clock)
    transport = TextTransport(lambda text: None)
    held = Conversation(settings, TextEngines(llm), None, transport, journal, clock, capabilities)
    running = asyncio.create_task(held.run())
    trackers = [each for each in capabilities.observers if isinstance(each, ObjectiveTracker)]
    try:
        goes_on = await held.answered()
        for turn in conversation.turns:
            if goes_on:
                held.respond(turn.user)
                goes_on = await held.answered()
                for tracker in trackers:
                    await tracker.settled()
    finally:
        held.end("participant_left")
        await running
    assert journal.events is not None
    return _judged(conversation, journal.events, spoken=False)


# -- verdicts -------------------------------------------------------------------------------------


def _judged(
    conversation: ScriptedConversation, events: Sequence[Event], *, spoken: bool
) -> ConversationVerdict:
    starts = [index for index, event in enumerate(events) if isinstance(event, TurnCommitted | TurnTyped)]
    faults: list[str] = []
    for number, turn in enumerate(conversation.turns):
        if number >= len(starts):
            faults.append(f"“{turn.user}” was not answered: the conversation had ended.")
            continue
        end = starts[number + 1] if number + 1 < len(starts) else len(events)
        began, own = events[starts[number]], events[starts[number] : end]
        assert isinstance(began, TurnCommitted | TurnTyped)
        # One that changes nothing is called for a draft, before the turn is over.
        called = {e.name for e in events if isinstance(e, ToolCalled) and e.reply == began.reply}
        found = _turn_faults(turn, conversation, own, called, spoken)
        faults += [f"“{turn.user}”: {fault}" for fault in found]
        done = {event.objective for event in events[:end] if isinstance(event, ObjectiveCompleted)}
        if turn.objective_completed and turn.objective_completed not in done:
            faults.append(f"“{turn.user}”: objective_completed: '{turn.objective_completed}' is not.")
    return ConversationVerdict(conversation.name, tuple(faults))


def _turn_faults(
    turn: ScriptTurn,
    conversation: ScriptedConversation,
    events: Sequence[Event],
    called: Collection[str],
    spoken: bool,
) -> list[str]:
    said = " ".join(
        event.text if isinstance(event, ReplyFinished) else event.heard
        for event in events
        if isinstance(event, ReplyFinished | ReplyInterrupted)
    ).replace("’", "'")
    faults = [f"says: /{each}/ is missing in “{said}”." for each in turn.says if not _found(each, said)]
    faults += [
        f"never_says: /{each}/ is in “{said}”."
        for each in (*turn.never_says, *conversation.never_says)
        if _found(each, said)
    ]
    faults += [f"calls: '{name}' was not called." for name in turn.calls if name not in called]
    asked = any(isinstance(event, HumanRequested) for event in events)
    if turn.escalates is not None and asked != turn.escalates:
        faults.append("escalates: no human was asked for." if turn.escalates else "escalates: a human was.")
    if turn.within_ms is not None:
        took_ms = _took_ms(events, spoken)
        if took_ms is None or took_ms > turn.within_ms:
            shown = "no answer" if took_ms is None else f"{took_ms:.0f} ms"
            faults.append(f"within_ms: {shown}, and {turn.within_ms:.0f} are allowed.")
    return faults


def _took_ms(events: Sequence[Event], spoken: bool) -> float | None:
    first = events[0]
    if spoken:
        heard = next((each.at_s for each in events if isinstance(each, ReplyFirstAudio)), None)
        return (heard - first.speech_end_s) * 1000 if heard and isinstance(first, TurnCommitted) else None
    shown = next((each.t for each in events if isinstance(each, ReplyFirstClause)), None)
    return None if shown is None else (shown - first.t) * 1000


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
