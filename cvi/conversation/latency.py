"""How long things took, read from the journal.

Ends of speech and first sounds are times in the waveforms, not the detector's opinion: see
`cvi.audio.level.SpeechEdges` and `AVPlayout`. All figures are milliseconds from the true end of
the participant's speech, but for the barge-in ones, which count from the onset of their voice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvi.conversation.events import (
    BargeIn,
    Event,
    MouthAtRest,
    ReplyAfterOpener,
    ReplyFirstAudio,
    ReplyFirstClause,
    ReplyFirstFrame,
    ReplyFirstSpeech,
    ReplyFirstToken,
    ReplyInterrupted,
    TranscriptFinal,
    TurnCommitted,
)
from cvi.errors import CviError

# A unit handed over within its own length of lateness keeps its time, so that its first sample may be
# dated by as much before the moment that opened the gate.
UNIT_MS = 40.0


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """One answered turn. Times are ms after the end of speech; None where it did not happen.

    `transcript`, `first_token`, `first_clause` and `first_speech` may come before `floor`: that is
    what drafting is for.
    """

    turn: int
    reply: int
    draft_hit: bool
    floor: float
    first_audio: float | None
    first_frame: float | None
    transcript: float | None
    first_token: float | None
    first_clause: float | None
    first_speech: float | None


@dataclass(frozen=True, slots=True)
class BargeInLatency:
    """One interruption: ms from the onset of the voice to the last sound, and to the mouth at rest."""

    turn: int
    silence: float
    mouth_at_rest: float | None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of `n` values, rounded to whole ms."""

    n: int
    p50: float
    p95: float
    p99: float


def turn_latencies(events: Iterable[Event]) -> list[TurnLatency]:
    """One record for each answered turn, in order.

    Raises CviError when a record's times contradict each other.
    """
    firsts: dict[tuple[type[Event], int], float] = {}
    transcripts: dict[int, float] = {}
    committed: list[TurnCommitted] = []
    for event in events:
        match event:
            case TranscriptFinal():
                transcripts[event.turn] = event.t
            case TurnCommitted():
                committed.append(event)
            case (
                ReplyFirstToken()
                | ReplyFirstClause()
                | ReplyFirstSpeech()
                | ReplyFirstAudio()
                | ReplyFirstFrame()
            ):
                firsts.setdefault((type(event), event.reply), event.happened_s)
    return [_turn_latency(event, firsts, transcripts.get(event.turn)) for event in committed]


def _turn_latency(
    committed: TurnCommitted, firsts: dict[tuple[type[Event], int], float], transcript_s: float | None
) -> TurnLatency:
    end_s = committed.speech_end_s

    def after_end(time_s: float | None) -> float | None:
        return None if time_s is None else _ms(time_s - end_s)

    def first(kind: type[Event]) -> float | None:
        return after_end(firsts.get((kind, committed.reply)))

    record = TurnLatency(
        turn=committed.turn,
        reply=committed.reply,
        draft_hit=committed.draft_hit,
        floor=_ms(committed.t - end_s),
        first_audio=first(ReplyFirstAudio),
        first_frame=first(ReplyFirstFrame),
        transcript=after_end(transcript_s),
        first_token=first(ReplyFirstToken),
        first_clause=first(ReplyFirstClause),
        first_speech=first(ReplyFirstSpeech),
    )
    if record.first_audio is not None and record.first_audio < record.floor - UNIT_MS:
        early_ms = record.floor - record.first_audio
        raise CviError(
            f"Turn {record.turn}: the reply was heard {early_ms:.0f} ms before the floor passed.",
            "The journal is damaged, or this is a fault of the program: please report it.",
        )
    return record


def opener_pauses(events: Iterable[Event]) -> list[float]:
    """Of every reply that began with an opener and went on: ms from the opener to the reply's own words."""
    return [_ms(event.pause_s) for event in events if isinstance(event, ReplyAfterOpener)]


def barge_ins(events: Iterable[Event]) -> list[BargeInLatency]:
    """Every reply that was cut because the participant spoke."""
    found: list[BargeInLatency] = []
    turn, onset_s, mouth_moves = 0, 0.0, False
    for event in events:
        match event:
            case BargeIn():
                turn, onset_s = event.turn, event.voice_at_s
            case ReplyInterrupted(why="barge_in", silent_s=float(silent_s)):
                found.append(BargeInLatency(turn, _ms(silent_s - onset_s), None))
                mouth_moves = True
            case MouthAtRest() if mouth_moves:
                found[-1] = replace(found[-1], mouth_at_rest=_ms(event.at_s - onset_s))
                mouth_moves = False
    return found


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def percentiles(values: Sequence[float | None]) -> Percentiles | None:
    """P50, P95 and P99 (linear interpolation) of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    p50, p95, p99 = np.percentile(known, [50, 95, 99])
    return Percentiles(len(known), round(float(p50)), round(float(p95)), round(float(p99)))
