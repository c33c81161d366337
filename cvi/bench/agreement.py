"""The program's own account beside the measurement: its breakdown, and whether the two agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from cvi.bench.run import ACCOUNT, Agreement, BargeInRecord, Mark, TurnRecord
from cvi.conversation import events
from cvi.conversation.events import Event
from cvi.conversation.latency import TurnLatency, barge_ins, turn_latencies

# A journal's turn is a measured one when their ends lie this near each other.
_SAME_TURN_S = 0.8
# How far the program's account may lie from what was measured. Sound: the journal counts from the first
# sample above -54 dB, the probe from the first 5 ms above -50 dB. Picture: two frames at 25 a second, one
# either way and one for a mouth that moves but not yet visibly. End of speech: the program only hears the
# waveform, and in noise or a hall the last sounds are lost in it.
TOLERANCE_MS = {"speech_end": 120.0, "first_audio": 25.0, "first_frame": 100.0}
# Over a network the program hears later and can only guess how long the far end's buffer holds back: it
# takes half the round trip and 40 ms. What it may be wrong by on top, both ways together.
NETWORK_MS = {"speech_end": 25.0, "first_audio": 40.0, "first_frame": 40.0}
ALLOWED_SHARE = 0.10
_LANES: dict[type[Event], tuple[str, str]] = {
    events.UserStartedSpeaking: ("caller", "voice noticed"),
    events.UserPaused: ("caller", "pause noticed"),
    events.UserResumed: ("caller", "went on"),
    events.TranscriptFinal: ("transcript", "transcript"),
    events.TurnScored: ("judge", "judged"),
    events.DraftStarted: ("draft", "draft"),
    events.DraftDiscarded: ("draft", "draft discarded"),
    events.TurnCommitted: ("floor", "floor passed"),
    events.ReplyFirstToken: ("reply", "first token"),
    events.ReplyFirstClause: ("reply", "first clause"),
    events.ReplyFirstSpeech: ("reply", "first clause spoken"),
    events.ReplyFirstAudio: ("reply", "first sound"),
    events.ReplyFirstFrame: ("reply", "first frame"),
    events.ReplyDucked: ("barge_in", "ducked"),
    events.BargeIn: ("barge_in", "yielded"),
    events.Backchannel: ("barge_in", "carried on"),
    events.EchoHeard: ("barge_in", "own voice"),
    events.ReplyInterrupted: ("barge_in", "cut"),
    events.MouthAtRest: ("barge_in", "mouth at rest"),
    events.ReplyFinished: ("reply", "finished"),
}


def with_journal(turns: Sequence[TurnRecord], journal: Sequence[Event]) -> tuple[TurnRecord, ...]:
    """The turns of one session with the program's own account of each, where it has one.

    A journal's turn belongs to the measured one whose end is nearest, each to one at most.
    """
    own = turn_latencies(journal)
    committed = [event for event in journal if isinstance(event, events.TurnCommitted)]
    ends_s = {event.turn: event.speech_end_s for event in committed}
    left = [latency for latency in own if latency.turn in ends_s]
    matched: list[TurnRecord] = []
    for number, turn in enumerate(turns):
        until_s = turns[number + 1].speech_start_s if number + 1 < len(turns) else float("inf")
        near = min(left, key=lambda one: abs(ends_s[one.turn] - turn.speech_end_s), default=None)
        marks = (*turn.marks, *_marks(journal, turn.speech_start_s - 0.2, until_s))
        if near is None or abs(ends_s[near.turn] - turn.speech_end_s) > _SAME_TURN_S:
            matched.append(replace(turn, marks=marks))
            continue
        left.remove(near)
        matched.append(
            replace(
                turn,
                marks=marks,
                draft_hit=near.draft_hit,
                journal={step: getattr(near, step) for step in ACCOUNT},
                journal_error_ms=_errors(turn, near, ends_s[near.turn]),
            )
        )
    return tuple(matched)


def with_own_barge_ins(
    measured: Sequence[BargeInRecord], journal: Sequence[Event]
) -> tuple[BargeInRecord, ...]:
    """The interruptions with the program's own account, by the time of the voice."""
    voices = [event.voice_at_s for event in journal if isinstance(event, events.BargeIn)]
    own = list(zip(voices, barge_ins(journal), strict=False))
    matched: list[BargeInRecord] = []
    for record in measured:
        near = min(own, key=lambda one: abs(one[0] - record.voice_at_s), default=None)
        if near is None or abs(near[0] - record.voice_at_s) > _SAME_TURN_S:
            matched.append(record)
            continue
        account = {"silence": near[1].silence, "mouth_at_rest": near[1].mouth_at_rest}
        matched.append(replace(record, journal=account))
    return tuple(matched)


def agreements(
    variant: str, turns: Iterable[TurnRecord], *, jitter_ms: float | None = None, loses: bool = False
) -> list[Agreement]:
    """One check a quantity, over all turns for which both have a time.

    Where the answer was measured at the far end of a network, `jitter_ms` is how late packets may be in it.
    The near end cannot know when an answer was heard whose beginning was lost on its way: where a network
    `loses` packets, only the end of speech is checked."""
    errors: dict[str, list[float]] = {quantity: [] for quantity in TOLERANCE_MS}
    for turn in turns:
        for quantity, error_ms in turn.journal_error_ms.items():
            errors[quantity].append(error_ms)
    checks: list[Agreement] = []
    for quantity, found in errors.items():
        if not found or (loses and quantity != "speech_end"):
            continue
        network_ms = 0.0 if jitter_ms is None else NETWORK_MS[quantity] + jitter_ms
        tolerance_ms = TOLERANCE_MS[quantity] + network_ms
        outside = sum(abs(error_ms) > tolerance_ms for error_ms in found)
        checks.append(
            Agreement(
                variant=variant,
                quantity=quantity,
                n=len(found),
                median_ms=round(median(found), 2),
                worst_ms=max(found, key=abs),
                tolerance_ms=tolerance_ms,
                outside=outside,
                allowed_share=ALLOWED_SHARE,
                ok=outside <= max(1, ALLOWED_SHARE * len(found)) if len(found) > 4 else outside == 0,
            )
        )
    return checks


def _errors(turn: TurnRecord, own: TurnLatency, own_end_s: float) -> dict[str, float]:
    """The program's times less the measured ones, both on the session's axis, ms."""
    end_error_ms = 1000 * (own_end_s - turn.speech_end_s)
    errors = {"speech_end": round(end_error_ms, 2)}
    for quantity, own_ms, measured_ms in (
        ("first_audio", own.first_audio, turn.first_audio_ms),
        ("first_frame", own.first_frame, turn.first_frame_ms),
    ):
        if own_ms is not None and measured_ms is not None and turn.outcome == "answered":
            errors[quantity] = round(own_ms + end_error_ms - measured_ms, 2)
    return errors


def _marks(journal: Iterable[Event], from_s: float, until_s: float) -> list[Mark]:
    marks: list[Mark] = []
    for event in journal:
        if type(event) in _LANES and from_s <= event.t < until_s:
            lane, name = _LANES[type(event)]
            marks.append(Mark(lane, name, round(event.happened_s, 4), text=getattr(event, "text", "")))
    return marks
