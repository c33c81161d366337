"""One conversation as a page: transcript, floor, voices, what was perceived, tools and events in time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from cvi.conversation import events as kinds
from cvi.conversation.events import Event
from cvi.conversation.journal import Record
from cvi.conversation.transcript import TranscriptEntry, transcript
from cvi.errors import MissingError
from cvi.files import write_text
from cvi.perception.analysis import Analysis, analyse_participant

_WIDE, _HIGH = 1000.0, 60.0
_TICKS = 8
_LONGEST = 300
"""Characters of a tool's answer that are shown."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something from `left` to `left + width`, per cent of the time line; `kind` chooses its colour."""

    left: float
    width: float
    says: str
    kind: str = ""


@dataclass(slots=True)
class Lane:
    """One row of the time line."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    curve: str = ""
    """Points of an SVG polyline, `_WIDE` by `_HIGH`."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the persona did beside talking: a tool, a rule that held, a step of an objective."""

    at_s: float
    what: str
    """`tool`, `rule` or `goal`."""
    says: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Everything the page shows; times are seconds of the conversation."""

    title: str
    facts: Sequence[tuple[str, str]]
    lanes: Sequence[Lane]
    ticks: Sequence[tuple[float, str]]
    lines: Sequence[tuple[TranscriptEntry, kinds.ParticipantHeard | None]]
    acts: Sequence[Act]
    analysis: Analysis
    recording: str


def write_conversation_page(record: Record, page: Path) -> None:
    """Write the page of a conversation. Raises CviError when it cannot, MissingError without jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingError("A report's page needs jinja2.", "pip install 'cvi-local[bench]'") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    here = files("cvi.bench.report")
    template = environment.from_string(here.joinpath("conversation.html").read_text(encoding="utf-8"))
    style = here.joinpath("style.css").read_text(encoding="utf-8")
    write_text(page, template.render(page=conversation_page(record), style=style, clock=_clock))


def conversation_page(record: Record) -> ConversationPage:
    """The page's content, from the journal."""
    events = record.events
    total_s = max(record.duration_s, max((event.happened_s for event in events), default=0.0), 1.0)
    heard = {event.turn: event for event in events if isinstance(event, kinds.ParticipantHeard)}
    lines = [(line, heard.get(line.number) if line.role == "user" else None) for line in transcript(events)]
    started = record.started
    facts = [
        ("persona", started.persona),
        ("replica", started.replica),
        ("profile", started.profile),
        ("began", started.began),
        ("length", _clock(total_s)),
    ]
    acts = _acts(events)
    step_s = next((step for step in _STEPS_S if total_s / step <= _TICKS), _STEPS_S[-1])
    return ConversationPage(
        title=f"{started.persona or 'A conversation'}: {record.conversation_id}",
        facts=[(name, value) for name, value in facts if value],
        lanes=[lane for lane in _lanes(events, lines, acts, total_s) if lane.bars or lane.curve],
        ticks=[(100 * n * step_s / total_s, _clock(n * step_s)) for n in range(int(total_s / step_s) + 1)],
        lines=lines,
        acts=acts,
        analysis=analyse_participant(events),
        recording=record.recording.name if record.recording is not None else "",
    )


def _lanes(
    events: Iterable[Event],
    lines: Sequence[tuple[TranscriptEntry, kinds.ParticipantHeard | None]],
    acts: Sequence[Act],
    total_s: float,
) -> list[Lane]:
    events = list(events)

    def bar(start_s: float, end_s: float, says: str, kind: str = "") -> Bar:
        left = 100 * min(max(start_s, 0.0), total_s) / total_s
        return Bar(left, max(100 * (min(end_s, total_s) - start_s) / total_s, 0.15), says, kind)

    you, persona, floor = Lane("you speak"), Lane("persona speaks"), Lane("floor passes")
    for line, heard in lines:
        lane = you if line.role == "user" else persona
        manner = f" ({', '.join(heard.manner)})" if heard is not None and heard.manner else ""
        lane.bars.append(bar(line.start_s, line.end_s, line.text + manner, line.role))
    looks, seen = Lane("eyes"), [event for event in events if isinstance(event, kinds.ParticipantSeen)]
    for look, after in zip_longest(seen, seen[1:]):
        end_s = after.t if after is not None else min(look.t + 5.0, total_s)
        looks.bars.append(bar(look.t, end_s, look.text, _look_kind(look)))
    voice, tools, policy, other = Lane("voice"), Lane("tools"), Lane("goals, rules"), Lane("events")
    for act in acts:
        lane = tools if act.what == "tool" else policy
        lane.bars.append(bar(act.at_s, act.at_s, act.says, act.kind))
    for event in events:
        at_s = event.happened_s
        match event:
            case kinds.TurnCommitted():
                floor.bars.append(bar(at_s, at_s, f"turn {event.turn}: {event.silence_ms} ms of silence"))
            case kinds.ParticipantHeard():
                says = " ".join(filter(None, (event.text, event.mismatch)))
                if says:
                    voice.bars.append(bar(at_s, at_s, says, "warn" if event.mismatch else ""))
            case (
                kinds.BargeIn()
                | kinds.Backchannel()
                | kinds.EchoHeard()
                | kinds.ReplyInterrupted()
                | kinds.EngineFailed()
            ):
                other.bars.append(bar(at_s, at_s, event.type.replace("_", " ")))
            case kinds.ContextProvided():
                other.bars.append(bar(at_s, at_s, f"told by {event.source}: {event.text}"))
    smile = Lane("smile", curve=_curve([(look.t, look.smile) for look in seen], total_s))
    brows = Lane("brows", curve=_curve([(look.t, (look.brows + 1) / 2) for look in seen], total_s))
    return [you, persona, floor, looks, smile, brows, voice, tools, policy, other]


def _acts(events: Iterable[Event]) -> list[Act]:
    acts = []
    for event in events:
        what, says, kind = "tool", "", ""
        match event:
            case kinds.ToolCalled() | kinds.PerceptionToolCalled():
                says = f"{event.name} is called: {json.dumps(event.arguments, ensure_ascii=False)}"
            case kinds.ToolResolved():
                says = f"{event.name} answers after {event.took_s:.1f} s: {event.output[:_LONGEST]}"
            case kinds.ToolFailed():
                says, kind = f"{event.name} fails: {event.message}", "warn"
            case kinds.ToolCancelled():
                says = f"{event.name} is cancelled: {event.reason}"
            case kinds.GuardrailTriggered():
                what, kind = "rule", "warn"
                says = f"{event.guardrail} ({event.action}): {event.text}"
            case kinds.HumanRequested():
                what, says, kind = "rule", f"a human is asked for by {event.source}", "warn"
            case kinds.ObjectiveActivated():
                what, says = "goal", f"{event.objective} activated"
            case kinds.ObjectivePending() | kinds.ObjectiveCompleted():
                values = "".join(f"; {name}: {value}" for name, value in event.output_variables.items())
                what = "goal"
                says = f"{event.objective} {event.type.removeprefix('objective_')}{values}"
        if says:
            acts.append(Act(event.happened_s, what, says, kind))
    return acts


def _look_kind(event: kinds.ParticipantSeen) -> str:
    if not event.people:
        return "none"
    return "on" if event.look in ("screen", "unknown") else "off"


def _curve(values: Sequence[tuple[float, float]], total_s: float) -> str:
    if len(values) < 2:
        return ""
    points = ((_WIDE * t_s / total_s, _HIGH * (1 - value)) for t_s, value in values)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
