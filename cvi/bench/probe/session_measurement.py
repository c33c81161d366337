"""From evidence and labels to records: when each of the caller's turns was answered, heard and seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.bench.probe.evidence import Evidence, SoundTrack, Times, lateness_s
from cvi.bench.probe.mouth_motion import (
    Distances,
    MouthAppearance,
    first_move_s,
    mouth_motion,
    move_threshold,
    rest_s,
    sync_points,
)
from cvi.bench.probe.waveform import TimeSpan, find_voice, speech_spans
from cvi.bench.recordings.caller_blocks import CallerTurn
from cvi.bench.recordings.recipe import OVER_A_REPLY
from cvi.bench.run import BargeInRecord, Figure, Gap, Mark, Outcome, Playout, SyncPoint, TurnRecord
from cvi.errors import CviError

# A turn's words must be this similar to the recording to count as found: in noise as loud as the voice 0.7.
LEAST_SIMILARITY = 0.5
# An answer that begins so little before the labelled end is one to it, by the edges' own precision.
_EDGE_S = 0.010
# Longer rests than this part one reply from the next, shorter ones are between its sentences.
_REPLY_REST_S = 0.60
# A persona that yields is silent this soon after the voice's onset.
_YIELDS_WITHIN_S = 2.0
# After a reply's end the mouth comes to rest within this; before a sound it may open this much earlier.
_MOUTH_SETTLES_S, _MOUTH_LEADS_S = 1.5, 0.30
_ROUTE_PARTS = {
    "way_in_ms": "on the way in: spoken to given to the conversation",
    "way_out_ms": "on the way out: handed over to heard",
    "way_ms": "on both ways together",
}
_BOTH_ENDS = (
    "The same words and the same reply found in what was recorded at both ends of the connection, on one "
    "clock; the far end's buffer is in it."
)
# Sound that is missing for less than this is a rounding of the clock.
_SHORTEST_GAP_S = 0.002


@dataclass(frozen=True, slots=True)
class MeasuredSession:
    """What one session showed. `lateness_s`: one value a frame."""

    turns: tuple[TurnRecord, ...]
    barge_ins: tuple[BargeInRecord, ...]
    gaps: tuple[Gap, ...]
    sync: tuple[SyncPoint, ...]
    lateness_s: tuple[float, ...]
    frames: int
    frozen: int
    fps: float


@dataclass(frozen=True, slots=True)
class _PlacedTurn:
    """A caller's turn on the session's axis; `until_s` is when the next one begins."""

    turn: CallerTurn
    shift_s: float
    until_s: float = float("inf")

    @property
    def start_s(self) -> float:
        return self.turn.speech_start_s + self.shift_s

    @property
    def end_s(self) -> float:
        return self.turn.speech_end_s + self.shift_s


class _SessionReading:
    """A session's evidence, read: the persona's words and whole replies, the mouth's motion, the sync."""

    def __init__(self, evidence: Evidence, appearance: MouthAppearance | None) -> None:
        self.evidence, self.session = evidence, evidence.session
        self.track = evidence.persona()
        self.shown_s = evidence.shown_s()
        self.words = speech_spans(self.track)
        self.replies = speech_spans(self.track, join_s=_REPLY_REST_S)
        self.motion: Distances | None = None
        self.threshold = 0.0
        self.sync: list[SyncPoint] = []
        if evidence.mouths is not None and len(evidence.mouths):
            handed_s = evidence.frame_times_s
            self.motion = mouth_motion(evidence.mouths, handed_s, self.words, appearance)
            self.threshold = move_threshold(self.motion, handed_s, self.words)
            self.sync = sync_points(
                self.track, self.motion, self.shown_s, evidence.fps, self.replies, self.session
            )

    def first_frame_s(self, placed: _PlacedTurn, sound_s: float) -> float | None:
        """The first frame with a moving mouth. It may lead the sound it makes, but not the turn's end."""
        if self.motion is None:
            return None
        from_s = max(sound_s - _MOUTH_LEADS_S, placed.end_s - 1 / self.evidence.fps)
        return first_move_s(self.motion, self.shown_s, self.threshold, from_s, sound_s + 1.0)

    def rest_s(self, placed: _PlacedTurn, reply_end_s: float) -> float | None:
        """When the mouth came to rest after words over a reply that ended at `reply_end_s`."""
        if self.motion is None:
            return None
        starts_s = (span.start_s for span in self.words if span.start_s >= reply_end_s)
        next_s = next(starts_s, self.track.end_s)
        to_s = min(placed.until_s, reply_end_s + _MOUTH_SETTLES_S, next_s - _MOUTH_LEADS_S)
        return rest_s(self.motion, self.shown_s, self.threshold, placed.start_s, to_s)

    def during_words(self, times_s: Times) -> npt.NDArray[np.bool_]:
        """Which times lie within words of the persona."""
        inside = np.zeros(len(times_s), bool)
        for span in self.words:
            inside |= (times_s > span.start_s) & (times_s < span.end_s)
        return inside

    def gaps(self) -> tuple[Gap, ...]:
        """Where sound was handed over so late that a device's buffer ran dry within a word."""
        sounded_s = self.evidence.sounded_s()
        period_s = self.evidence.persona_pcm.shape[1] / PLAYED_HZ
        missing = np.diff(sounded_s) - period_s
        at_s = sounded_s[:-1] + period_s
        return tuple(
            Gap(round(float(at_s[number]), 4), round(1000 * float(missing[number]), 1), self.session)
            for number in np.flatnonzero((missing > _SHORTEST_GAP_S) & self.during_words(at_s))
        )

    def frozen(self) -> int:
        """Frames exactly like the one before while the persona was heard."""
        mouths = self.evidence.mouths
        if mouths is None or len(mouths) < 2:
            return 0
        same = (mouths[1:] == mouths[:-1]).all(axis=(1, 2))
        return int((same & self.during_words(self.shown_s[1:])).sum())


def measure(
    evidence: Evidence,
    turns: Sequence[CallerTurn],
    voice: Pcm,
    variant: str,
    appearance: MouthAppearance | None = None,
    *,
    partial: bool = False,
) -> MeasuredSession:
    """`voice` is the callers' sound (HEARD_HZ) that the turns' labels are about; `appearance` how the face's
    mouth looks at rest, None to learn it from the session.

    Raises CviError when a turn's words are not found in the recording: then nothing can be said of it. With
    `partial` such turns are left out instead.
    """
    reading = _SessionReading(evidence, appearance)
    records: list[TurnRecord] = []
    barge_ins: list[BargeInRecord] = []
    for placed in _place(evidence.caller(), turns, voice, partial, reading.track.end_s):
        record = _answer(placed, reading, variant)
        if placed.turn.kind in OVER_A_REPLY:
            record, barge_in = _over_a_reply(placed, record, reading)
            barge_ins += [barge_in] if barge_in is not None else []
        records.append(record)
    late_s = lateness_s(evidence.frame_times_s, 1 / evidence.fps)
    return MeasuredSession(
        turns=tuple(records),
        barge_ins=tuple(barge_ins),
        gaps=reading.gaps(),
        sync=tuple(reading.sync),
        lateness_s=tuple(np.round(late_s, 5).tolist()),
        frames=len(late_s),
        frozen=reading.frozen(),
        fps=evidence.fps,
    )


def playout_of(sessions: Sequence[MeasuredSession], drift: tuple[float, float, float] | None) -> Playout:
    """How frames and sound came, over all sessions of a variant; `drift` as in `Playout`."""
    late_ms = [1000 * value for session in sessions for value in session.lateness_s]
    fps = sessions[0].fps if sessions else 0.0
    sync = tuple(point for session in sessions for point in session.sync)
    return Playout(
        fps=fps,
        frames=sum(session.frames for session in sessions),
        late=sum(value > 1000 / fps for value in late_ms),
        frozen=sum(session.frozen for session in sessions),
        lateness_ms=tuple(round(value, 2) for value in late_ms),
        gaps=tuple(gap for session in sessions for gap in session.gaps),
        sync=sync,
        sync_ms=float(np.median([point.offset_ms for point in sync])) if sync else None,
        drift_ms_per_min=drift,
    )


def route_figures(sessions: Iterable[tuple[MeasuredSession, MeasuredSession]]) -> tuple[Figure, ...]:
    """The parts of the way, from sessions measured at the far end and at the near one."""
    values: dict[str, list[float]] = {name: [] for name in _ROUTE_PARTS}
    for far, near in sessions:
        near_turns = {turn.id: turn for turn in near.turns}
        for turn in far.turns:
            other = near_turns.get(turn.id)
            if other is None:
                continue
            in_ms = 1000 * (other.speech_end_s - turn.speech_end_s)
            values["way_in_ms"].append(round(in_ms, 2))
            if turn.first_audio_ms is not None and other.first_audio_ms is not None:
                both_ms = turn.first_audio_ms - other.first_audio_ms
                values["way_out_ms"].append(round(both_ms - in_ms, 2))
                values["way_ms"].append(round(both_ms, 2))
    return tuple(
        Figure(name, label, "ms", tuple(values[name]), protocol=_BOTH_ENDS)
        for name, label in _ROUTE_PARTS.items()
        if values[name]
    )


def _place(
    caller: SoundTrack, turns: Sequence[CallerTurn], voice: Pcm, partial: bool, end_s: float
) -> list[_PlacedTurn]:
    """Find each turn's words in what was recorded of the caller, in order."""
    placed: list[_PlacedTurn] = []
    from_s = caller.start_s
    for turn in turns:
        first, last = (round(at_s * HEARD_HZ) for at_s in (turn.speech_start_s, turn.speech_end_s))
        found = find_voice(voice[first:last], caller, from_s)
        if found is None or found.similarity < LEAST_SIMILARITY:
            if partial:
                continue
            raise CviError(
                f"The caller's words {turn.text!r} ({turn.id}) are not in the recording of this session.",
                "It ended too early, or the sound on its way was changed beyond recognition.",
            )
        placed.append(_PlacedTurn(turn, found.at_s - first / HEARD_HZ))
        from_s = placed[-1].end_s
    untils_s = [*(one.start_s for one in placed[1:]), end_s]
    return [replace(one, until_s=until_s) for one, until_s in zip(placed, untils_s, strict=False)]


def _answer(placed: _PlacedTurn, reading: _SessionReading, variant: str) -> TurnRecord:
    """The answer to one turn: the first words that begin after its end, and before the caller's next ones."""
    earliest_s = placed.end_s - _EDGE_S
    spoken_over = any(span.start_s < earliest_s and span.end_s > placed.end_s for span in reading.words)
    cut_ins = [span.start_s for span in reading.replies if placed.start_s < span.start_s < earliest_s]
    answers = [span.start_s for span in reading.words if earliest_s <= span.start_s < placed.until_s]
    first_s = answers[0] if answers and not spoken_over else None
    outcome: Outcome = "cut_in" if cut_ins else "answered" if first_s is not None else "unanswered"
    frame_s = reading.first_frame_s(placed, first_s) if first_s is not None else None
    offsets = (one.offset_ms for one in reading.sync if placed.end_s < one.at_s < placed.until_s)
    return TurnRecord(
        id=placed.turn.id,
        kind=placed.turn.kind,
        text=placed.turn.text,
        variant=variant,
        session=reading.session,
        speech_start_s=round(placed.start_s, 4),
        speech_end_s=round(placed.end_s, 4),
        outcome=outcome,
        first_audio_ms=_ms(first_s, placed.end_s),
        first_frame_ms=_ms(frame_s, placed.end_s),
        conditions=dict(placed.turn.conditions),
        cut_ins_s=tuple(round(at_s, 4) for at_s in cut_ins),
        av_offset_ms=next(offsets, None),
        marks=_marks(placed, reading.words),
    )


def _over_a_reply(
    placed: _PlacedTurn, record: TurnRecord, reading: _SessionReading
) -> tuple[TurnRecord, BargeInRecord | None]:
    """What the persona did when the caller spoke over it."""
    reply = next((span for span in reading.replies if span.start_s < placed.start_s < span.end_s), None)
    if reply is None:
        return replace(record, outcome="missed"), None
    went_on = reply.end_s > max(placed.end_s, placed.start_s + _YIELDS_WITHIN_S)
    record = replace(record, outcome="carried_on" if went_on else "yielded", cut_ins_s=())
    if placed.turn.kind == "backchannel":
        return record, None
    at_rest_s = None if went_on else reading.rest_s(placed, reply.end_s)
    return record, BargeInRecord(
        id=record.id,
        variant=record.variant,
        session=record.session,
        voice_at_s=round(placed.start_s, 4),
        silence_ms=None if went_on else _ms(reply.end_s, placed.start_s),
        mouth_at_rest_ms=_ms(at_rest_s, placed.start_s),
    )


def _marks(placed: _PlacedTurn, words: Sequence[TimeSpan]) -> tuple[Mark, ...]:
    """What was measured around one turn, for its lanes."""
    pauses = [TimeSpan(a + placed.shift_s, b + placed.shift_s) for a, b in placed.turn.pauses]
    near = [span for span in words if span.end_s > placed.start_s and span.start_s < placed.until_s]
    return (
        Mark("caller", "speech", round(placed.start_s, 4), round(placed.end_s, 4), placed.turn.text),
        *(Mark("caller", "pause", round(span.start_s, 4), round(span.end_s, 4)) for span in pauses),
        *(Mark("persona", "sound", round(span.start_s, 4), round(span.end_s, 4)) for span in near),
    )


def _ms(at_s: float | None, since_s: float) -> float | None:
    return None if at_s is None else round(1000 * (at_s - since_s), 2)
