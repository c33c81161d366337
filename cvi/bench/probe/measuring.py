"""From evidence and labels to figures: when each of the caller's turns was answered, at ear and eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.bench.callers.block import CallerTurn
from cvi.bench.callers.recipe import OVER_A_REPLY
from cvi.bench.probe.evidence import Evidence, SoundTrack, lateness_s
from cvi.bench.probe.hearing import Span, find, sounding
from cvi.bench.probe.mouth import Distances, MouthLook, first_move_s, move_threshold, rest_s, unrest
from cvi.bench.probe.sync import sync_points
from cvi.bench.run import BargeInRecord, Gap, Mark, Outcome, Playout, SyncPoint, TurnRecord
from cvi.errors import CviError

# A turn's words must be this like the recording's to count as found: in noise as loud as the voice 0.7.
LEAST_SIMILARITY = 0.5
# An answer that begins so little before the labelled end is one to it, by the edges' own precision.
_EDGE_S = 0.010
# Longer rests than this part one reply from the next, shorter ones are between its sentences.
_REPLY_REST_S = 0.60
# Who yields has fallen silent this soon after the voice's onset, and stays so for this long.
_YIELDS_WITHIN_S = 2.0
_MOUTH_SETTLES_S = 1.5
# Before it is heard a mouth opens.
_MOUTH_LEADS_S = 0.30


@dataclass(frozen=True, slots=True)
class MeasuredSession:
    """What one session showed. Lateness is seconds, one a frame."""

    turns: tuple[TurnRecord, ...]
    barge_ins: tuple[BargeInRecord, ...]
    gaps: tuple[Gap, ...]
    sync: tuple[SyncPoint, ...]
    lateness_s: tuple[float, ...]
    frames: int
    frozen: int
    fps: float


@dataclass(frozen=True, slots=True)
class _Placed:
    """A caller's turn on the session's axis."""

    turn: CallerTurn
    shift_s: float

    @property
    def start_s(self) -> float:
        return self.turn.speech_start_s + self.shift_s

    @property
    def end_s(self) -> float:
        return self.turn.speech_end_s + self.shift_s


@dataclass(frozen=True, slots=True)
class _Scene:
    """A session's evidence, read: words of the persona, whole replies, the mouth."""

    evidence: Evidence
    track: SoundTrack
    words: list[Span]
    replies: list[Span]
    distances: Distances | None
    threshold: float

    @staticmethod
    def of(evidence: Evidence, look: MouthLook | None) -> _Scene:
        track = evidence.persona()
        words = sounding(track)
        distances, threshold = None, 0.0
        if evidence.mouths is not None and len(evidence.mouths):
            shown_s = evidence.frame_times_s
            distances = unrest(evidence.mouths, shown_s, words, look)
            threshold = move_threshold(distances, shown_s, words)
        return _Scene(evidence, track, words, sounding(track, join_s=_REPLY_REST_S), distances, threshold)


def measure(
    evidence: Evidence,
    turns: Sequence[CallerTurn],
    voice: Pcm,
    variant: str,
    look: MouthLook | None = None,
    *,
    partial: bool = False,
) -> MeasuredSession:
    """`voice` is the callers' sound (HEARD_HZ) that the turns' labels are about; `look` how the face's mouth
    looks at rest, None to learn it from the session.

    Raises CviError when a turn's words are not found in the recording: then nothing can be said of it. With
    `partial` such turns are left out instead.
    """
    scene = _Scene.of(evidence, look)
    placed = _place(evidence.caller(), turns, voice, partial)
    records: list[TurnRecord] = []
    barge_ins: list[BargeInRecord] = []
    for number, here in enumerate(placed):
        until_s = placed[number + 1].start_s if number + 1 < len(placed) else scene.track.end_s
        record = _record(here, until_s, scene, variant)
        if here.turn.kind in OVER_A_REPLY:
            record, cut = _over_a_reply(here, record, until_s, scene, variant)
            barge_ins += [cut] if cut is not None else []
        records.append(record)
    sync = _sync(scene)
    untils_s = ([record.speech_start_s for record in records] + [float("inf")])[1:]
    late = lateness_s(evidence.frame_times_s, 1 / evidence.fps)
    return MeasuredSession(
        turns=tuple(
            replace(record, av_offset_ms=_nearest(record, sync, until_s))
            for record, until_s in zip(records, untils_s, strict=True)
        ),
        barge_ins=tuple(barge_ins),
        gaps=_gaps(scene),
        sync=tuple(sync),
        lateness_s=tuple(np.round(late, 5).tolist()),
        frames=len(late),
        frozen=_frozen(scene),
        fps=evidence.fps,
    )


def joined(sessions: Sequence[MeasuredSession], drift: tuple[float, float, float] | None) -> Playout:
    """How frames and sound came, over all sessions of a side."""
    late = [1000 * value for session in sessions for value in session.lateness_s]
    fps = sessions[0].fps if sessions else 0.0
    sync = tuple(point for session in sessions for point in session.sync)
    return Playout(
        fps=fps,
        frames=sum(session.frames for session in sessions),
        late=sum(value > 1000 / fps for value in late),
        frozen=sum(session.frozen for session in sessions),
        lateness_ms=tuple(round(value, 2) for value in late),
        gaps=tuple(gap for session in sessions for gap in session.gaps),
        sync=sync,
        sync_ms=float(np.median([point.offset_ms for point in sync])) if sync else None,
        drift_ms_per_min=drift,
    )


def _place(caller: SoundTrack, turns: Sequence[CallerTurn], voice: Pcm, partial: bool) -> list[_Placed]:
    """Find each turn's words in what the caller's side recorded, in order."""
    placed: list[_Placed] = []
    from_s = caller.start_s
    for turn in turns:
        first, last = (round(at_s * HEARD_HZ) for at_s in (turn.speech_start_s, turn.speech_end_s))
        found = find(voice[first:last], caller, from_s)
        if found is None or found.similarity < LEAST_SIMILARITY:
            if partial:
                continue
            raise CviError(
                f"The caller's words {turn.text!r} ({turn.id}) are not in the recording of this session.",
                "It ended too early, or the sound on its way was changed beyond recognition.",
            )
        placed.append(_Placed(turn, found.at_s - first / HEARD_HZ))
        from_s = placed[-1].end_s
    return placed


def _record(here: _Placed, until_s: float, scene: _Scene, variant: str) -> TurnRecord:
    """The answer to one turn: the first words that begin after its end, and before the caller's next ones."""
    spoken_over = any(span.start_s < here.end_s - _EDGE_S and span.end_s > here.end_s for span in scene.words)
    cut_ins = [span.start_s for span in scene.replies if here.start_s < span.start_s < here.end_s - _EDGE_S]
    answers = [span.start_s for span in scene.words if here.end_s - _EDGE_S <= span.start_s < until_s]
    first_s = answers[0] if answers and not spoken_over else None
    outcome: Outcome = "cut_in" if cut_ins else "answered" if first_s is not None else "unanswered"
    frame_s = _first_frame(first_s, here, scene) if first_s is not None else None
    return TurnRecord(
        id=here.turn.id,
        kind=here.turn.kind,
        text=here.turn.text,
        variant=variant,
        session=scene.evidence.session,
        speech_start_s=round(here.start_s, 4),
        speech_end_s=round(here.end_s, 4),
        outcome=outcome,
        first_audio_ms=_ms(first_s, here.end_s),
        first_frame_ms=_ms(frame_s, here.end_s),
        conditions=dict(here.turn.conditions),
        cut_ins_s=tuple(round(at_s, 4) for at_s in cut_ins),
        marks=_marks(here, until_s, scene),
    )


def _first_frame(first_s: float, here: _Placed, scene: _Scene) -> float | None:
    """The first frame with a moving mouth. It may lead the sound it makes, but not the end of the turn."""
    if scene.distances is None:
        return None
    from_s = max(first_s - _MOUTH_LEADS_S, here.end_s - 1 / scene.evidence.fps)
    shown_s = scene.evidence.shown_s()
    return first_move_s(scene.distances, shown_s, scene.threshold, from_s, first_s + 1.0)


def _over_a_reply(
    here: _Placed, record: TurnRecord, until_s: float, scene: _Scene, variant: str
) -> tuple[TurnRecord, BargeInRecord | None]:
    """What the persona did when the caller spoke over it."""
    reply = next((span for span in scene.replies if span.start_s < here.start_s < span.end_s), None)
    if reply is None:
        return replace(record, outcome="missed"), None
    went_on = reply.end_s > max(here.end_s, here.start_s + _YIELDS_WITHIN_S)
    outcome: Outcome = "carried_on" if went_on else "yielded"
    if here.turn.kind == "backchannel":
        return replace(record, outcome=outcome, cut_ins_s=()), None
    rest = None
    if not went_on and scene.distances is not None:
        to_s = min(until_s, reply.end_s + _MOUTH_SETTLES_S, _next_start(scene, reply.end_s) - _MOUTH_LEADS_S)
        rest = rest_s(scene.distances, scene.evidence.shown_s(), scene.threshold, here.start_s, to_s)
    cut = BargeInRecord(
        id=here.turn.id,
        variant=variant,
        session=scene.evidence.session,
        voice_at_s=round(here.start_s, 4),
        silence_ms=None if went_on else _ms(reply.end_s, here.start_s),
        mouth_at_rest_ms=_ms(rest, here.start_s),
    )
    return replace(record, outcome=outcome, cut_ins_s=()), cut


def _next_start(scene: _Scene, after_s: float) -> float:
    return next((span.start_s for span in scene.words if span.start_s >= after_s), scene.track.end_s)


def _marks(here: _Placed, until_s: float, scene: _Scene) -> tuple[Mark, ...]:
    """What was measured around one turn, for its lanes."""
    marks = [Mark("caller", "speech", round(here.start_s, 4), round(here.end_s, 4), here.turn.text)]
    marks += [
        Mark("caller", "pause", round(a + here.shift_s, 4), round(b + here.shift_s, 4))
        for a, b in here.turn.pauses
    ]
    marks += [
        Mark("persona", "sound", round(span.start_s, 4), round(span.end_s, 4))
        for span in scene.words
        if span.end_s > here.start_s and span.start_s < until_s
    ]
    return tuple(marks)


def _sync(scene: _Scene) -> list[SyncPoint]:
    if scene.distances is None:
        return []
    evidence = scene.evidence
    return sync_points(
        scene.track, scene.distances, evidence.shown_s(), evidence.fps, scene.replies, evidence.session
    )


def _gaps(scene: _Scene) -> tuple[Gap, ...]:
    """Where sound was handed over so late that a device's buffer ran dry within a reply."""
    sounded_s = scene.evidence.sounded_s()
    period_s = scene.evidence.persona_pcm.shape[1] / PLAYED_HZ
    missing = np.diff(sounded_s) - period_s
    gaps: list[Gap] = []
    for number in np.flatnonzero(missing > 0.002):
        at_s = float(sounded_s[number] + period_s)
        if any(span.start_s < at_s < span.end_s for span in scene.words):
            length_ms = round(1000 * float(missing[number]), 1)
            gaps.append(Gap(round(at_s, 4), length_ms, scene.evidence.session))
    return tuple(gaps)


def _frozen(scene: _Scene) -> int:
    """Frames exactly like the one before while the persona was heard."""
    mouths = scene.evidence.mouths
    if mouths is None or len(mouths) < 2:
        return 0
    same = (mouths[1:] == mouths[:-1]).all(axis=(1, 2))
    times_s = scene.evidence.shown_s()[1:]
    spoken = np.zeros(len(times_s), bool)
    for span in scene.words:
        spoken |= (times_s > span.start_s) & (times_s < span.end_s)
    return int((same & spoken).sum())


def _nearest(record: TurnRecord, sync: Sequence[SyncPoint], until_s: float) -> float | None:
    return next((point.offset_ms for point in sync if record.speech_end_s < point.at_s < until_s), None)


def _ms(at_s: float | None, since_s: float) -> float | None:
    return None if at_s is None else round(1000 * (at_s - since_s), 2)
