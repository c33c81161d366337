"""What happened when, turn by turn: a bar for each variant's answer, and lanes of events for each turn.

Places on an axis are in per cent of its width; times are in ms after the true end of the caller's speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cvi.bench.report.analysis import number
from cvi.bench.run import Mark, TurnRecord, Variant

# What is shown of the caller's speech before its end, and of the reply after its beginning.
_BEFORE_MS, _AFTER_MS = 500.0, 300.0
_LANES_BEFORE_MS, _LANES_AFTER_MS = 1000.0, 600.0
# A very late answer must not squeeze all the others.
_LONGEST_MS = 6000.0
LANES = {
    "caller": "caller",
    "pause": "pause known",
    "transcript": "transcript",
    "judge": "end of turn?",
    "draft": "drafts",
    "floor": "the floor",
    "reply": "reply written, spoken",
    "persona": "persona heard",
    "mouth": "mouth seen",
    "barge_in": "barge-in",
}
_MEASURED_LANES = ("caller", "persona", "mouth")
_OUTCOMES = {
    "unanswered": "no answer",
    "cut_in": "cut in",
    "yielded": "yielded",
    "carried_on": "carried on",
    "missed": "missed",
}


@dataclass(frozen=True, slots=True)
class AxisRange:
    """The times, in ms, at the left and the right edge."""

    low: float
    high: float

    def percent(self, ms: float) -> float:
        """Where a time lies, 0 at the left edge to 100; times beyond are held at the edge."""
        return round(100 * min(1.0, max(0.0, (ms - self.low) / (self.high - self.low))), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """A few round times: (place, text)."""
        from matplotlib.ticker import MaxNLocator

        times = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        return [(self.percent(ms), number(float(ms))) for ms in times if self.low <= ms <= self.high]


@dataclass(frozen=True, slots=True)
class TimelineBar:
    """From `left` on, `width` wide; a moment has no width. `kind` is its class in the style sheet."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class TimelineLane:
    """The events of one kind in a turn, as bars and in words."""

    name: str
    bars: tuple[TimelineBar, ...]
    events: str


@dataclass(frozen=True, slots=True)
class TurnAnswer:
    """A variant's answer to a turn: `text` is how late it was heard, or the outcome."""

    place: int
    variant: str
    outcome: str
    text: str
    bars: tuple[TimelineBar, ...]
    lanes: tuple[TimelineLane, ...]


@dataclass(frozen=True, slots=True)
class TurnTimeline:
    """What the caller said once, its `conditions` in words, and each variant's answer.

    `lanes_axis` is the axis of the lanes of all answers."""

    text: str
    conditions: str
    answers: tuple[TurnAnswer, ...]
    lanes_axis: AxisRange


def turn_timelines(variants: Sequence[Variant]) -> tuple[AxisRange, list[TurnTimeline]]:
    """The turns in order, and the axis of their bars. The same turn of several variants is one timeline."""
    turns: dict[tuple[str, int], list[tuple[int, TurnRecord]]] = {}
    for place, variant in enumerate(variants):
        met: dict[str, int] = {}
        for turn in variant.turns:
            met[turn.id] = met.get(turn.id, 0) + 1
            turns.setdefault((turn.id, met[turn.id]), []).append((place, turn))
    answers_ms = [turn.first_audio_ms or 0.0 for variant in variants for turn in variant.turns]
    axis = AxisRange(-_BEFORE_MS, min(max(answers_ms, default=0.0) + _AFTER_MS, _LONGEST_MS))
    names = [variant.name for variant in variants]
    return axis, [_timeline(answers, axis, names) for answers in turns.values()]


def _timeline(
    answers: Sequence[tuple[int, TurnRecord]], axis: AxisRange, names: Sequence[str]
) -> TurnTimeline:
    lanes_axis = _lanes_axis([turn for _, turn in answers])
    first = answers[0][1]
    return TurnTimeline(
        text=first.text or first.id,
        conditions=" · ".join(_conditions(first)),
        answers=tuple(
            TurnAnswer(
                place,
                names[place],
                turn.outcome,
                _answer(turn),
                tuple(_answer_bars(turn, axis)),
                tuple(_lanes(turn, lanes_axis)),
            )
            for place, turn in answers
        ),
        lanes_axis=lanes_axis,
    )


def _conditions(turn: TurnRecord) -> Iterator[str]:
    yield turn.id
    if turn.kind and turn.kind != turn.id:
        yield turn.kind.replace("_", " ")
    for name, value in turn.conditions.items():
        yield f"{name.replace('_', ' ')} {number(value) if isinstance(value, float | int) else value}"


def _answer(turn: TurnRecord) -> str:
    if turn.outcome == "answered" and turn.first_audio_ms is not None:
        return f"{number(turn.first_audio_ms)} ms"
    return _OUTCOMES.get(turn.outcome, "no answer")


def _answer_bars(turn: TurnRecord, axis: AxisRange) -> Iterator[TimelineBar]:
    """Speech, the wait for the floor, the wait for the first sound, the reply."""
    yield _bar(axis, axis.low, 0.0, "speech")
    heard = turn.first_audio_ms
    if heard is None:
        return
    floor = turn.journal.get("floor")
    waited = heard if floor is None else min(floor, heard)
    yield _bar(axis, 0.0, waited, "waiting")
    yield _bar(axis, waited, heard, "composing")
    yield _bar(axis, heard, axis.high, "heard")


def _lanes_axis(turns: Sequence[TurnRecord]) -> AxisRange:
    """From a little before the end of speech until all answers are heard."""
    low, high = -300.0, 600.0
    for turn in turns:
        times = [_ms(turn, at) for mark in turn.marks for at in (mark.at_s, mark.until_s) if at is not None]
        low = min([low, *times])
        high = max(high, min(max(times, default=0.0), (turn.first_audio_ms or 0.0) + _LANES_AFTER_MS))
    return AxisRange(max(low, -_LANES_BEFORE_MS), high)


def _lanes(turn: TurnRecord, axis: AxisRange) -> Iterator[TimelineLane]:
    marks = turn.marks
    for lane in [*LANES, *sorted({mark.lane for mark in marks} - LANES.keys())]:
        own = [mark for mark in marks if mark.lane == lane]
        if own:
            events = "; ".join(_event(turn, mark) for mark in own)
            name = LANES.get(lane, lane.replace("_", " "))
            yield TimelineLane(name, tuple(_lane_bars(turn, own, axis)), events)


def _lane_bars(turn: TurnRecord, marks: Iterable[Mark], axis: AxisRange) -> Iterator[TimelineBar]:
    for mark in marks:
        begin_ms = _ms(turn, mark.at_s)
        if mark.until_s is not None:
            kind = "speech" if mark.lane == "caller" else "waiting"
            kind = "composing" if mark.lane in _MEASURED_LANES[1:] else kind
            yield _bar(axis, begin_ms, _ms(turn, mark.until_s), kind)
        elif axis.low <= begin_ms <= axis.high:
            yield TimelineBar(axis.percent(begin_ms), 0.0, "moment")


def _event(turn: TurnRecord, mark: Mark) -> str:
    when = _rounded(_ms(turn, mark.at_s))
    if mark.until_s is not None:
        when += f" to {_rounded(_ms(turn, mark.until_s))}"
    return f"{mark.name.replace('_', ' ')} {when}{f' “{mark.text}”' if mark.text else ''}"


def _bar(axis: AxisRange, begin_ms: float, end_ms: float, kind: str) -> TimelineBar:
    left = axis.percent(begin_ms)
    return TimelineBar(left, round(axis.percent(end_ms) - left, 2), kind)


def _ms(turn: TurnRecord, at_s: float) -> float:
    return (at_s - turn.speech_end_s) * 1000


def _rounded(ms: float) -> str:
    return f"{'−' if round(ms) < 0 else ''}{abs(round(ms))}"
