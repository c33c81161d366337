"""A whole conversation of fakes in virtual time, measured by the probe and compared with its journal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.bench.agreement import agreements, with_journal, with_own_barge_ins
from cvi.bench.compare import ratio_to_cascade
from cvi.bench.latency import RECORDED_RATIO, judge_smoke
from cvi.bench.measured_session import CASCADE_SILENCE_S, CallerRoute, variant_setups
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.session_measurement import MeasuredSession, measure
from cvi.bench.probe.tap import MemorySink, MouthBox, RoomSound, Tap
from cvi.bench.recordings.caller_blocks import CallerTurn
from cvi.bench.run import ACCOUNT, Run, Variant
from cvi.bench.tables import print_latency_run
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import DraftStarted, Event, ReplyFirstAudio, TurnCommitted
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.errors import CviError
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, FakeVad, Vocabulary, fake_render
from cvi.testing.script import ScriptedTransport
from cvi.testing.virtual_time import run_virtual

SAID = ((1.0, "hello who are you"), (7.0, "what is the sea"), (14.0, "where do you live"))
OVER = ((1.0, "tell me a story"), (3.2, "stop please what is your name now"))


def hold(
    said: tuple[tuple[float, str], ...], variant: str = "cvi", answer: str = "I am here. I can hear you."
) -> tuple[MeasuredSession, list[Event]]:
    vocabulary = Vocabulary()
    sounds = [(at_s, vocabulary.sound(text), text) for at_s, text in said]
    caller = np.zeros(round((sounds[-1][0] + 5) * HEARD_HZ), np.int16)
    turns: list[CallerTurn] = []
    for number, (at_s, pcm, text) in enumerate(sounds):
        at = round(at_s * HEARD_HZ)
        caller[at : at + len(pcm)] = pcm
        end_s = at_s + len(pcm) / HEARD_HZ
        kind = "barge_in" if said is OVER and number else "question"
        into = 0.5 if kind == "barge_in" else None
        turns.append(
            CallerTurn(f"t{number}", kind, text, at_s - 0.1, end_s + 0.3, at_s, end_s, into_reply_s=into)
        )
    (setup,) = [one for one in variant_setups("cascade", [CallerRoute()]) if one.name == variant]

    async def converse() -> tuple[Evidence, list[Event]]:
        loop = asyncio.get_running_loop()
        clock = Clock()
        sink = MemorySink(MouthBox(0, 4, 0, 4))
        tap = Tap(ScriptedTransport(clock, caller), sink, now=loop.time)
        journal = Journal(None, clock)
        layers = setup.layers(
            SpeechEngines(FakeVad(), FakeStt(vocabulary), FakeLlm([answer], token_s=0.05), FakeTts())
        )
        settings = setup.settings(ConversationSettings("made", "You are a test."))
        conversation = Conversation(settings, layers, fake_render, tap, journal, clock)
        await conversation.run()
        await tap.close()
        return sink.evidence("made", tap.fps, tap.zero_s), list(journal.events or [])

    evidence, events = run_virtual(converse())
    return measure(evidence, turns, caller, variant), events


def test_what_is_measured_is_what_the_journal_says() -> None:
    measured, events = hold(SAID)
    turns = with_journal(measured.turns, events)
    assert [turn.outcome for turn in turns] == ["answered"] * 3
    checks = agreements("cvi", turns)
    assert {check.quantity for check in checks} == {"speech_end", "first_audio", "first_frame"}
    assert all(check.ok for check in checks)
    assert max(abs(turn.journal_error_ms["first_audio"]) for turn in turns) < 5
    assert all(set(turn.journal) == set(ACCOUNT) and turn.draft_hit for turn in turns)
    names = {mark.name for mark in turns[0].marks}
    assert {"speech", "sound", "transcript", "judged", "draft", "floor passed", "first sound"} <= names


def test_a_wrong_journal_fails_the_agreement() -> None:
    measured, events = hold(SAID)
    wrong = [
        replace(event, at_s=event.at_s - 0.2)
        if isinstance(event, ReplyFirstAudio)
        else event
        for event in events
    ]
    late = [
        replace(event, at_s=event.at_s + 0.2)
        if isinstance(event, ReplyFirstAudio)
        else event
        for event in events
    ]
    assert wrong != late
    (check,) = [
        check
        for check in agreements("cvi", with_journal(measured.turns, late))
        if check.quantity == "first_audio"
    ]
    assert not check.ok and check.outside == 3 and check.median_ms == pytest.approx(200, abs=5)


def test_the_cascade_waits_for_silence_and_the_whole_reply() -> None:
    ours, _ = hold(SAID)
    plain, events = hold(SAID, "cascade")
    for fast, slow in zip(ours.turns, plain.turns, strict=True):
        assert fast.first_audio_ms is not None and slow.first_audio_ms is not None
        # The silence, and a word each 50 ms of the whole answer.
        assert slow.first_audio_ms > 1000 * CASCADE_SILENCE_S + 6 * 50
        assert fast.first_audio_ms < slow.first_audio_ms / 2
    assert not [event for event in events if isinstance(event, DraftStarted)]
    committed = [event for event in events if isinstance(event, TurnCommitted)]
    assert all(event.silence_ms >= 1000 * CASCADE_SILENCE_S for event in committed)


def test_an_interruption_is_measured_and_compared() -> None:
    measured, events = hold(OVER, answer="Once upon a time there was a sea and it was wide and deep and blue.")
    (cut,) = with_own_barge_ins(measured.barge_ins, events)
    assert cut.silence_ms is not None and cut.journal["silence"] == pytest.approx(cut.silence_ms, abs=60)
    assert cut.mouth_at_rest_ms is not None
    assert with_journal(measured.turns, events)[1].outcome == "yielded"


def run_of(*variants: tuple[str, MeasuredSession, list[Event]]) -> Run:
    made = []
    for name, measured, events in variants:
        made.append(Variant(name, turns=with_journal(measured.turns, events), barge_ins=measured.barge_ins))
    checks = [check for variant in made for check in agreements(variant.name, variant.turns)]
    return Run("latency", (), "", 1.0, {}, tuple(made), agreement=tuple(checks))


def test_the_ratio_pairs_the_same_turns(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    run = run_of(("cvi", *hold(SAID)), ("cascade", *hold(SAID, "cascade")))
    found = ratio_to_cascade(run)
    assert found is not None and found.n_a == 3 and found.ratio.value < 0.5
    print_latency_run(run, Console(width=100))
    shown = capsys.readouterr().out
    for word in ("first sound", "cascade", "floor passed", "agrees", "Ratio of medians"):
        assert word in shown
    with pytest.raises(CviError, match="Too few"):
        judge_smoke(run)


def test_smoke_fails_when_the_ratio_is_too_high() -> None:
    measured, _ = hold(SAID)
    turns = tuple(replace(turn, id=f"{turn.id}-{n}") for n in range(4) for turn in measured.turns)
    ours = Variant("cvi", turns=turns)

    def against(factor: float) -> Run:
        plain = tuple(replace(turn, first_audio_ms=turn.first_audio_ms / factor) for turn in turns)
        return Run("latency", (), "", 1.0, {}, (ours, Variant("cascade", turns=plain)))

    assert f"{RECORDED_RATIO:.2f}" in judge_smoke(against(RECORDED_RATIO))
    with pytest.raises(CviError, match="is the most allowed"):
        judge_smoke(against(2 * RECORDED_RATIO + 0.05))


def test_room_sound_adds_noise_and_echo() -> None:
    bed = np.arange(100, 400, dtype=np.int16)
    quiet = RoomSound(bed)
    heard = np.concatenate([quiet.add_to(np.zeros(160, np.int16)) for _ in range(4)])
    assert heard[:300].tolist() == bed.tolist() and heard[300:310].tolist() == bed[:10].tolist()

    echo = RoomSound(None, echo_db=-20, echo_delay_ms=100)
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(PLAYED_HZ) / PLAYED_HZ)).astype(np.int16)
    for start in range(0, PLAYED_HZ, 960):
        echo.played(tone[start : start + 960])
    back = np.concatenate([echo.add_to(np.zeros(160, np.int16)) for _ in range(90)]).astype(float)
    assert not back[: round(0.099 * HEARD_HZ)].any()
    assert np.abs(back[2400:]).max() == pytest.approx(800, rel=0.02)
