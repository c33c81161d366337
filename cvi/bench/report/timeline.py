"""What happened when, turn by turn: a bar a turn for all, and lanes for whoever opens one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cvi.bench.quantities import ACCOUNT
from cvi.bench.report.axis import SPAN, Axis, around, number
from cvi.bench.report.html import Markup, join, tag
from cvi.bench.report.plot import box, vertical
from cvi.bench.run import Mark, TurnRecord, Variant

# What is shown of the caller's speech before its end, and of the reply after its beginning.
_BEFORE_MS, _AFTER_MS = 500.0, 300.0
# In the lanes: enough to see what led up to the answer, and that it went on.
_LANES_BEFORE_MS, _LANES_AFTER_MS = 1000.0, 600.0
# One very late answer must not squeeze all the others.
_LONGEST_MS = 6000.0
LANES = {
    "caller": "caller",
    "pause": "pause known",
    "transcript": "transcript",
    "judge": "end of turn?",
    "draft": "drafts",
    "floor": "the floor",
    "reply": "reply written, voiced",
    "persona": "persona heard",
    "mouth": "mouth seen",
    "barge_in": "barge-in",
}
_FALLBACK_LANES = {
    "transcript": "transcript",
    "floor": "floor",
    "first_token": "reply",
    "first_clause": "reply",
    "first_speech": "reply",
    "first_audio": "persona",
    "first_frame": "mouth",
}
_OUTCOMES = {
    "unanswered": "no answer",
    "cut_in": "cut in",
    "yielded": "yielded",
    "carried_on": "carried on",
    "missed": "missed",
}


@dataclass(frozen=True, slots=True)
class _Task:
    """What the caller said once, and each side's answer to it, by the side's place."""

    turns: tuple[tuple[int, TurnRecord], ...]

    @property
    def said(self) -> TurnRecord:
        return self.turns[0][1]


def timelines(variants: Sequence[Variant]) -> Markup:
    """A list of turns; each opens into lanes."""
    tasks = _tasks(variants)
    axis = _axis(task for task in tasks)
    rows = [_task(task, axis, [variant.name for variant in variants]) for task in tasks]
    return tag("div", _key(variants), _scale(axis), tag("ol", rows, class_="turns"), class_="timelines")


def _tasks(variants: Sequence[Variant]) -> list[_Task]:
    found: dict[tuple[str, int], list[tuple[int, TurnRecord]]] = {}
    for place, variant in enumerate(variants):
        met: dict[str, int] = {}
        for turn in variant.turns:
            met[turn.id] = met.get(turn.id, -1) + 1
            found.setdefault((turn.id, met[turn.id]), []).append((place, turn))
    return [_Task(tuple(turns)) for turns in found.values()]


def _axis(tasks: Iterator[_Task]) -> Axis:
    answers = [turn.first_audio_ms or 0.0 for task in tasks for _, turn in task.turns]
    end = min(max(answers, default=0.0) + _AFTER_MS, _LONGEST_MS)
    return Axis(-_BEFORE_MS, around(0.0, end).high)


def _task(task: _Task, axis: Axis, names: Sequence[str]) -> Markup:
    said = task.said
    bars = [
        tag(
            "span",
            _svg(list(_bar(turn, axis, place)), axis, f"{names[place]}: {_answer(turn)}"),
            tag("span", _answer(turn), class_=f"answer {turn.outcome}"),
            class_="bar",
        )
        for place, turn in task.turns
    ]
    label = tag(
        "span",
        tag("b", said.text or said.id),
        tag("small", " · ".join(_about(said))),
        class_="said",
    )
    near = _lanes_axis([turn for _, turn in task.turns])
    lanes = [_lanes(turn, near, place, names[place] if len(names) > 1 else "") for place, turn in task.turns]
    opened = tag("details", tag("summary", label, tag("span", bars, class_="bars")), lanes)
    return tag("li", opened)


def _about(turn: TurnRecord) -> Iterator[str]:
    yield turn.id
    if turn.kind and turn.kind != turn.id:
        yield turn.kind.replace("_", " ")
    for name, value in turn.conditions.items():
        shown = number(value) if isinstance(value, float | int) else value
        yield f"{name.replace('_', ' ')} {shown}"


def _answer(turn: TurnRecord) -> str:
    if turn.outcome == "answered" and turn.first_audio_ms is not None:
        return f"{number(turn.first_audio_ms)} ms"
    return _OUTCOMES.get(turn.outcome, "no answer")


def _bar(turn: TurnRecord, axis: Axis, place: int) -> Iterator[Markup]:
    yield _span(axis, axis.low, 0.0, "speech")
    heard = turn.first_audio_ms
    if heard is None:
        return
    floor = turn.journal.get("floor")
    waited = min(floor, heard) if floor is not None else heard
    yield _span(axis, 0.0, waited, f"waiting side-{place}")
    yield _span(axis, waited, heard, f"composing side-{place}")
    if heard < axis.high:
        yield _span(axis, heard, axis.high, f"heard side-{place}")


def _lanes_axis(turns: Sequence[TurnRecord]) -> Axis:
    """One axis for the lanes of all sides: from a little before the end of speech until all are heard."""
    low, high = -300.0, 600.0
    for turn in turns:
        times = [_ms(turn, at) for mark in _marks(turn) for at in (mark.at_s, mark.until_s) if at is not None]
        low = min([low, *times])
        high = max(high, min(max(times, default=0.0), (turn.first_audio_ms or 0.0) + _LANES_AFTER_MS))
    return Axis(max(low, -_LANES_BEFORE_MS), high)


def _marks(turn: TurnRecord) -> list[Mark]:
    return list(turn.marks) or list(_marks_of_account(turn))


def _lanes(turn: TurnRecord, axis: Axis, place: int, name: str) -> Markup:
    """All that is known of a turn, a lane a kind of event; times in ms after the end of speech."""
    marks = _marks(turn)
    order = [*LANES, *sorted({mark.lane for mark in marks} - LANES.keys())]
    rows = [
        tag(
            "div",
            tag("span", LANES.get(lane, lane.replace("_", " ")), class_="lane-name"),
            _svg([_drawn(turn, mark, axis, place) for mark in there], axis, "", class_="track"),
            tag("span", "; ".join(_told(turn, mark) for mark in there), class_="events"),
            class_="lane",
        )
        for lane in order
        if (there := [mark for mark in marks if mark.lane == lane])
    ]
    ticks = [
        tag("span", number(value), style=f"left:{100 * axis.share(value):.2f}%") for value in axis.ticks(5)
    ]
    scale = tag("div", tag("span", ticks, class_="ticks"), class_="lane lane-scale", aria_hidden="true")
    return tag(
        "div", tag("p", name, class_=f"chip side-{place}") if name else None, rows, scale, class_="lanes"
    )


def _marks_of_account(turn: TurnRecord) -> Iterator[Mark]:
    yield Mark("caller", "speech", turn.speech_start_s, turn.speech_end_s)
    labels = dict(ACCOUNT)
    for key, lane in _FALLBACK_LANES.items():
        after_ms = turn.journal.get(key)
        if key == "first_audio":
            after_ms = turn.first_audio_ms
        elif key == "first_frame":
            after_ms = turn.first_frame_ms
        if after_ms is not None:
            yield Mark(lane, labels[key], turn.speech_end_s + after_ms / 1000)


def _drawn(turn: TurnRecord, mark: Mark, axis: Axis, place: int) -> Markup:
    begin = _ms(turn, mark.at_s)
    if mark.until_s is None:
        return vertical(axis.x(begin), f"moment side-{place}") if axis.low <= begin <= axis.high else Markup()
    measured = " measured" if mark.lane in ("caller", "persona", "mouth") else ""
    return _span(axis, begin, _ms(turn, mark.until_s), f"stretch side-{place}{measured} {_class(mark.lane)}")


def _told(turn: TurnRecord, mark: Mark) -> str:
    begin = _signed(_ms(turn, mark.at_s))
    when = begin if mark.until_s is None else f"{begin} to {_signed(_ms(turn, mark.until_s))}"
    words = f" “{mark.text}”" if mark.text else ""
    return f"{mark.name.replace('_', ' ')} {when}{words}"


def _ms(turn: TurnRecord, at_s: float) -> float:
    return (at_s - turn.speech_end_s) * 1000


def _signed(ms: float) -> str:
    return f"{'−' if round(ms) < 0 else ''}{abs(round(ms))}"


def _class(lane: str) -> str:
    return f"of-{lane.replace('_', '-')}" if lane in LANES else ""


def _span(axis: Axis, begin: float, end: float, class_: str) -> Markup:
    left, right = axis.x(begin), axis.x(end)
    return box(left, 150, max(right - left, 0.0), 700, class_) if right > left else Markup()


def _svg(marks: Sequence[Markup], axis: Axis, says: str, class_: str = "strip") -> Markup:
    zero = vertical(axis.x(0.0), "zero") if axis.low <= 0 <= axis.high else None
    return tag(
        "svg",
        join(marks, zero),
        viewbox=f"0 0 {SPAN:.0f} {SPAN:.0f}",
        preserveaspectratio="none",
        class_=class_,
        role="img" if says else None,
        aria_label=says or None,
        aria_hidden=None if says else "true",
    )


def _scale(axis: Axis) -> Markup:
    ticks = [
        tag(
            "span",
            f"{number(v)}{' ms' if v == axis.ticks()[-1] else ''}",
            style=f"left:{100 * axis.share(v):.2f}%",
        )
        for v in axis.ticks()
        if v >= 0
    ]
    return tag("div", tag("span", ticks, class_="ticks"), class_="scale", aria_hidden="true")


def _key(variants: Sequence[Variant]) -> Markup:
    """What the colours of a bar mean, with a swatch a side."""

    def swatch(class_: str) -> Markup:
        return tag("svg", box(0, 1, 18, 8, class_), viewbox="0 0 18 10", class_="swatch", aria_hidden="true")

    def swatches(class_: str) -> list[Markup]:
        return [swatch(f"{class_} side-{place}") for place in range(len(variants))]

    has_account = any(turn.journal for variant in variants for turn in variant.turns)
    waiting = "until the floor passed" if has_account else "until the first sound"
    items = [tag("li", swatch("speech"), "the caller speaks"), tag("li", swatches("waiting"), waiting)]
    if has_account:
        items.append(tag("li", swatches("composing"), "until the first sound"))
    items.append(tag("li", swatches("heard"), "the persona is heard"))
    names = " above ".join(variant.name for variant in variants)
    order = tag("li", f"In each row: {names}.") if len(variants) > 1 else None
    return tag("ul", items, order, class_="key")
