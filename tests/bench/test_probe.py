"""The probe on synthetic sound and pictures with known times."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.bench.probe.evidence import (
    Evidence,
    SoundTrack,
    evened,
    lateness_s,
    lay_blocks,
    load_evidence,
    save_evidence,
)
from cvi.bench.probe.mouth_motion import first_move_s, mouth_motion, move_threshold, picture_lag, rest_s
from cvi.bench.probe.session_measurement import measure, playout_of
from cvi.bench.probe.waveform import find_voice, speech_spans
from cvi.bench.recordings.caller_blocks import CallerTurn
from cvi.errors import CviError, UsageError

FPS = 25
UNIT = PLAYED_HZ // FPS
RNG = np.random.default_rng(4)


def voice(seconds: float, rate_hz: int, seed: int = 0, rms: float = 2500) -> np.ndarray:
    """Something like speech: noise that swells and sinks four times a second, and begins loud."""
    count = round(seconds * rate_hz)
    times = np.arange(count) / rate_hz
    swell = 0.6 + 0.4 * np.cos(2 * np.pi * 4 * times)
    # Darker than white noise, as voices are.
    noise = np.convolve(np.random.default_rng(seed).normal(0, 1, count + 7), np.ones(8), mode="valid")
    return np.clip(noise * swell * rms / np.sqrt(8), -30000, 30000).astype(np.int16)


def picture(opening: float, pose: float) -> np.ndarray:
    """A small mouth, (20, 28): a light face that a head's motion shifts, and a dark hole that opens."""
    rows, columns = np.mgrid[0:20, 0:28]
    face = 140 + 20 * np.sin((columns + 6 * pose) / 5.0) + 8 * np.cos((rows - 4 * pose) / 4.0)
    hole = np.exp(-(((columns - 14) / 6.0) ** 2) - ((rows - 10) / max(3.0 * opening, 0.2)) ** 2)
    return np.rint(64 * (face - 70 * min(opening * 4, 1.0) * hole)).astype(np.int16)


class Session:
    """Makes evidence: who sounds when, as hand-overs with some unrest of the clock."""

    def __init__(self, length_s: float, *, jitter_s: float = 0.0, start_s: float = 0.0) -> None:
        self.length_s, self.jitter_s, self.start_s = length_s, jitter_s, start_s
        self.caller = np.zeros(round(length_s * HEARD_HZ), np.int16)
        self.persona = np.zeros(round(length_s * PLAYED_HZ), np.int16)
        self.picture_late_s = 0.0
        self.late: dict[int, float] = {}
        self.flushes: list[float] = []

    def caller_says(self, at_s: float, pcm: np.ndarray) -> None:
        at = round(at_s * HEARD_HZ)
        self.caller[at : at + len(pcm)] = pcm

    def persona_says(self, at_s: float, pcm: np.ndarray) -> None:
        at = round(at_s * PLAYED_HZ)
        self.persona[at : at + len(pcm)] = pcm

    def evidence(self) -> Evidence:
        units, blocks = round(self.length_s * FPS), round(self.length_s * 100)
        begin = np.arange(units) / FPS
        handed = begin + RNG.uniform(0, self.jitter_s, units) + self.start_s
        for index, late_s in self.late.items():
            handed[index] += late_s
        mouths = []
        for at_s in begin:
            middle = at_s + 0.5 / FPS - self.picture_late_s
            first = max(round((middle - 0.03) * PLAYED_HZ), 0)
            around = self.persona[first : first + round(0.06 * PLAYED_HZ)].astype(float)
            loud = float(np.sqrt(np.mean(around**2))) if len(around) else 0.0
            mouths.append(picture(min(loud / 3000, 1.0), np.sin(at_s * 1.3) + 0.3 * np.sin(at_s * 3.1)))
        return Evidence(
            session="made",
            fps=FPS,
            caller_times_s=np.arange(1, blocks + 1) / 100 + RNG.uniform(0, self.jitter_s, blocks) + self.start_s,
            caller_pcm=self.caller.reshape(blocks, -1),
            frame_times_s=handed,
            persona_pcm=self.persona.reshape(units, -1),
            mouths=np.stack(mouths),
            flush_times_s=np.array(self.flushes),
        )


def turn(name: str, start_s: float, end_s: float, kind: str = "question") -> CallerTurn:
    into = 1.0 if kind in ("barge_in", "backchannel") else None
    return CallerTurn(name, kind, name, start_s - 0.1, end_s + 0.3, start_s, end_s, into_reply_s=into)


# The callers' recording: three things said, at 1, 4 and 7 s of the file.
SAID = {"one": (1.0, 2.2), "two": (4.0, 5.0), "three": (7.0, 8.5)}


def recording() -> np.ndarray:
    sound = np.zeros(10 * HEARD_HZ, np.int16)
    for seed, (start_s, end_s) in enumerate(SAID.values()):
        pcm = voice(end_s - start_s, HEARD_HZ, seed)
        sound[round(start_s * HEARD_HZ) : round(start_s * HEARD_HZ) + len(pcm)] = pcm
    return sound


def said(name: str) -> np.ndarray:
    start_s, end_s = SAID[name]
    return recording()[round(start_s * HEARD_HZ) : round(end_s * HEARD_HZ)]


@pytest.mark.parametrize("delay_ms", [0, 37, 250, 500, 1234])
@pytest.mark.parametrize("jitter_s", [0.0, 0.008])
def test_a_known_delay_is_measured(delay_ms: int, jitter_s: float) -> None:
    session = Session(16, jitter_s=jitter_s, start_s=0.3)
    turns = [turn("one", *SAID["one"]), turn("two", *SAID["two"])]
    for name, at_s in (("one", 1.7), ("two", 8.333)):
        session.caller_says(at_s, said(name))
        end_s = at_s + len(said(name)) / HEARD_HZ
        session.persona_says(end_s + delay_ms / 1000, voice(2.0, PLAYED_HZ, 9))
    measured = measure(session.evidence(), turns, recording(), "x")
    for record, at_s in zip(measured.turns, (1.7, 8.333), strict=True):
        assert record.outcome == "answered"
        assert record.first_audio_ms == pytest.approx(delay_ms, abs=2.0)
        assert record.speech_start_s == pytest.approx(at_s + 0.3, abs=0.002)
        begins_s = at_s + 0.3 + len(said(record.id)) / HEARD_HZ + delay_ms / 1000
        shown_ms = 1000 * (np.floor((begins_s - 0.3) * FPS) / FPS + 0.3) - 1000 * record.speech_end_s
        assert record.first_frame_ms == pytest.approx(shown_ms, abs=1000 / FPS + 1)
    assert not measured.gaps and not measured.barge_ins


def test_the_callers_words_are_found_in_noise() -> None:
    session = Session(8)
    session.caller_says(2.0, said("one"))
    session.caller = (session.caller + RNG.normal(0, 1500, len(session.caller))).astype(np.int16)
    session.persona_says(4.0, voice(1.0, PLAYED_HZ))
    (record,) = measure(session.evidence(), [turn("one", *SAID["one"])], recording(), "x").turns
    assert record.first_audio_ms == pytest.approx(800, abs=3)


def test_an_answer_before_the_end_is_a_cut_in() -> None:
    session = Session(8)
    session.caller_says(2.0, said("three"))
    session.persona_says(2.8, voice(0.3, PLAYED_HZ))
    session.persona_says(4.5, voice(1.0, PLAYED_HZ))
    (record,) = measure(session.evidence(), [turn("three", *SAID["three"])], recording(), "x").turns
    assert record.outcome == "cut_in" and record.cut_ins_s == pytest.approx([2.8], abs=0.003)
    assert record.first_audio_ms == pytest.approx(1000, abs=3)


def test_silence_is_unanswered() -> None:
    session = Session(8)
    session.caller_says(2.0, said("one"))
    (record,) = measure(session.evidence(), [turn("one", *SAID["one"])], recording(), "x").turns
    assert record.outcome == "unanswered" and record.first_audio_ms is None and record.first_frame_ms is None


def test_missing_words_raise_or_are_left_out() -> None:
    session = Session(8)
    session.caller_says(2.0, said("two"))
    with pytest.raises(CviError, match="not in the recording"):
        measure(session.evidence(), [turn("one", *SAID["one"])], recording(), "x")
    both = [turn("one", *SAID["one"]), turn("two", *SAID["two"])]
    left = measure(session.evidence(), both, recording(), "x", partial=True).turns
    assert [record.id for record in left] == ["two"]


def over_a_reply(kind: str, persona_until_s: float) -> object:
    session = Session(16)
    session.caller_says(1.0, said("one"))
    session.persona_says(2.6, voice(persona_until_s - 2.6, PLAYED_HZ))
    session.caller_says(4.0, said("two"))
    session.persona_says(11.0, voice(1.0, PLAYED_HZ))
    turns = [turn("one", *SAID["one"]), turn("two", *SAID["two"], kind=kind)]
    return measure(session.evidence(), turns, recording(), "x")


def test_a_barge_in_is_measured_from_the_voice() -> None:
    measured = over_a_reply("barge_in", 4.21)
    (cut,) = measured.barge_ins
    assert cut.voice_at_s == pytest.approx(4.0, abs=0.002)
    assert cut.silence_ms == pytest.approx(210, abs=3)
    assert cut.mouth_at_rest_ms == pytest.approx(240, abs=45)
    assert measured.turns[1].outcome == "yielded"
    assert measured.turns[1].first_audio_ms == pytest.approx(6000, abs=3)


def test_a_reply_that_goes_on_has_carried_on() -> None:
    measured = over_a_reply("barge_in", 8.0)
    assert measured.turns[1].outcome == "carried_on"
    assert measured.barge_ins[0].silence_ms is None
    heard_out = over_a_reply("backchannel", 8.0)
    assert heard_out.turns[1].outcome == "carried_on" and not heard_out.barge_ins


def test_words_after_a_replys_end_are_missed() -> None:
    assert over_a_reply("barge_in", 3.2).turns[1].outcome == "missed"


def test_a_late_unit_within_a_reply_is_a_gap_and_a_late_frame() -> None:
    session = Session(10)
    session.caller_says(1.0, said("one"))
    session.persona_says(3.0, voice(3.0, PLAYED_HZ))
    session.late = {100: 0.065, 20: 0.065}
    measured = measure(session.evidence(), [turn("one", *SAID["one"])], recording(), "x")
    assert [gap.length_ms for gap in measured.gaps] == [pytest.approx(65, abs=0.1)]
    assert measured.gaps[0].at_s == pytest.approx(4.0, abs=0.001)
    playout = playout_of([measured], None)
    assert playout.late == 2 and playout.frames == 250 and max(playout.lateness_ms) == pytest.approx(65)


def test_flushed_sound_is_cut_from_the_track() -> None:
    session = Session(6)
    session.persona_says(2.0, voice(1.0, PLAYED_HZ))
    session.flushes = [2.510]
    session.persona[round(2.52 * PLAYED_HZ) :] = 0  # units after the flush are silent anyway
    (span,) = speech_spans(session.evidence().persona())
    assert span.end_s == pytest.approx(2.515, abs=0.003)


@pytest.mark.parametrize("late_s", [-0.08, 0.0, 0.04, 0.12])
def test_the_picture_lag_is_measured(late_s: float) -> None:
    session = Session(20)
    for at_s in (2.0, 7.0, 13.0):
        session.persona_says(at_s, voice(3.0, PLAYED_HZ, round(at_s)))
    session.picture_late_s = late_s
    evidence = session.evidence()
    track = evidence.persona()
    spans = speech_spans(track, join_s=0.6)
    distances = mouth_motion(evidence.mouths, evidence.shown_s(), spans)
    found = picture_lag(track, distances, evidence.shown_s(), FPS, spans)
    assert found is not None
    assert found[0] == pytest.approx(late_s, abs=0.5 / FPS)


def test_head_motion_does_not_count_as_mouth_motion() -> None:
    """Twenty seconds of restless head: the mouth moves when it does, and only then."""
    session = Session(20)
    session.persona_says(12.0, voice(2.0, PLAYED_HZ))
    evidence = session.evidence()
    spans = speech_spans(evidence.persona())
    distances = mouth_motion(evidence.mouths, evidence.shown_s(), spans)
    threshold = move_threshold(distances, evidence.shown_s(), spans)
    shown_s = evidence.shown_s()
    assert first_move_s(distances, shown_s, threshold, 0.0, 11.5) is None
    moved_s = first_move_s(distances, shown_s, threshold, 11.0, 14.0)
    assert moved_s == pytest.approx(12.0, abs=1 / FPS + 0.001)
    stilled_s = rest_s(distances, shown_s, threshold, 13.0, 16.0)
    assert stilled_s == pytest.approx(14.0, abs=2 / FPS)
    assert rest_s(distances, shown_s, threshold, 12.2, 13.5) is None


def test_small_hand_over_delays_are_evened_out() -> None:
    pace = np.arange(200) * 0.04
    handed = pace + RNG.uniform(0, 0.015, 200)
    handed[50] = pace[50] + 0.1
    placed = evened(handed, 0.04)
    assert np.abs(np.delete(placed - pace, 50)).max() < 0.004
    assert placed[50] == handed[50]
    assert lateness_s(handed, 0.04)[50] == pytest.approx(0.1, abs=0.004)
    assert len(evened(np.zeros(0), 0.04)) == 0


def test_blocks_lie_where_they_were_handed_over() -> None:
    blocks = np.arange(1, 31, dtype=np.int16).reshape(3, 10)
    track = lay_blocks(np.array([1.0, 1.01, 1.03]), blocks, 1000)
    assert track.start_s == 1.0 and len(track.pcm) == 40
    assert track.pcm[20:30].tolist() == [0] * 10
    assert track.between(1.03, 1.04).tolist() == list(range(21, 31))


def test_speech_spans_are_exact_to_2_ms() -> None:
    pcm = np.zeros(PLAYED_HZ * 4, np.int16)
    pcm[PLAYED_HZ : 2 * PLAYED_HZ] = voice(1.0, PLAYED_HZ)
    pcm[round(2.1 * PLAYED_HZ) : round(2.5 * PLAYED_HZ)] = voice(0.4, PLAYED_HZ)
    pcm[round(3.5 * PLAYED_HZ) : round(3.505 * PLAYED_HZ)] = 3000  # a click is no voice
    spans = speech_spans(SoundTrack(pcm, 10.0, PLAYED_HZ))
    assert len(spans) == 1
    assert spans[0].start_s == pytest.approx(11.0, abs=0.002)
    assert spans[0].end_s == pytest.approx(12.5, abs=0.002)
    assert speech_spans(SoundTrack(np.zeros(0, np.int16), 0.0, PLAYED_HZ)) == []


def test_a_voice_is_found_exact_to_a_sample() -> None:
    heard = np.zeros(5 * HEARD_HZ, np.int16)
    heard[33_333 : 33_333 + len(said("two"))] = said("two") // 3
    found = find_voice(said("two"), SoundTrack(heard, 2.0, HEARD_HZ), 2.0)
    assert found is not None and found.similarity == pytest.approx(1.0, abs=0.01)
    assert found.at_s == pytest.approx(2.0 + 33_333 / HEARD_HZ, abs=1 / HEARD_HZ)
    assert find_voice(said("two"), SoundTrack(heard[:100], 0.0, HEARD_HZ), 0.0) is None


def test_evidence_round_trips(tmp_path) -> None:
    session = Session(2)
    session.persona_says(1.0, voice(0.5, PLAYED_HZ))
    evidence = session.evidence()
    save_evidence(evidence, tmp_path / "a.npz")
    again = load_evidence(tmp_path / "a.npz")
    assert again.session == "made" and again.fps == FPS
    assert np.array_equal(again.mouths, evidence.mouths)
    assert np.array_equal(again.persona().pcm, evidence.persona().pcm)
    (tmp_path / "b.npz").write_bytes(b"no")
    with pytest.raises(UsageError, match="no evidence"):
        load_evidence(tmp_path / "b.npz")


def test_without_a_picture_the_sound_is_measured_alone() -> None:
    session = Session(8)
    session.caller_says(2.0, said("one"))
    session.persona_says(4.0, voice(1.0, PLAYED_HZ))
    made = session.evidence()
    blind = Evidence(
        made.session, made.fps, made.caller_times_s, made.caller_pcm, made.frame_times_s, made.persona_pcm,
        None, made.flush_times_s,
    )  # fmt: skip
    measured = measure(blind, [turn("one", *SAID["one"])], recording(), "x")
    assert measured.turns[0].first_audio_ms == pytest.approx(800, abs=3)
    assert measured.turns[0].first_frame_ms is None and measured.sync == ()
