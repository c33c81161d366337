"""Audio passthrough, and conversations that the model opens."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.conversation.events import (
    EngineFailed,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyFirstFrame,
    ReplyGiven,
    ReplyInterrupted,
    SpeechGap,
    TurnCommitted,
)
from cvi.conversation.passthrough import MAX_UTTERANCE_S, MAX_WAITING, PassthroughVoice
from cvi.conversation.phrases import phrases
from cvi.conversation.settings import OPENING, ConversationSettings
from cvi.conversation.transcript import transcript
from cvi.errors import EngineError, UsageError
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script, ScriptOutcome

EN = phrases("en")


def tone(seconds: float, loud: int = 8000, hz: int = PLAYED_HZ) -> Pcm:
    at = np.arange(round(seconds * hz))
    return (loud * np.sin(2 * np.pi * 300 * at / hz)).astype(np.int16)


def give(script: Script, at_s: float, pcm: Pcm, name: str = "a", piece_s: float = 0.1, hz: int = PLAYED_HZ) -> None:
    """In pieces, twice as fast as it is heard."""
    size = round(piece_s * hz)
    starts = range(0, len(pcm), size)
    for number, start in enumerate(starts):
        done = number == len(starts) - 1
        script.app_does(
            at_s + number * piece_s / 2,
            lambda c, start=start, done=done: c.play(pcm[start : start + size], hz, name, done=done),
        )


def loud_s(outcome: ScriptOutcome, start_s: float = 0.0, end_s: float = 60.0) -> float:
    """How long something is heard."""
    pcm = outcome.sound_between(start_s, end_s)
    frames = np.abs(pcm[: len(pcm) // 240 * 240].reshape(-1, 240)).max(axis=1)
    return float((frames > 2000).sum() * 240 / PLAYED_HZ)


def test_pieces_are_heard_as_one_and_the_mouth_moves() -> None:
    script = Script()
    give(script, 0.5, tone(2.0))
    outcome = script.play()
    assert loud_s(outcome) == pytest.approx(2.0, abs=0.05)
    assert [event.utterance for event in outcome.of(ReplyGiven)] == ["a"]
    assert len(outcome.of(ReplyFirstAudio)) == len(outcome.of(ReplyFirstFrame)) == 1
    assert len(outcome.of(ReplyFinished)) == 1 and not outcome.of(SpeechGap)
    assert not outcome.of(EngineFailed) and not transcript(outcome.events), "its words are unknown"
    assert [message.role for message in outcome.history] == ["system"]


def test_another_rate_is_converted() -> None:
    script = Script()
    give(script, 0.5, tone(1.5, hz=16_000), hz=16_000)
    assert loud_s(script.play()) == pytest.approx(1.5, abs=0.05)


def test_sound_slower_than_it_is_heard_waits_for_itself() -> None:
    script = Script()
    for number in range(4):
        pcm = tone(0.5)
        script.app_does(0.5 + number, lambda c, pcm=pcm, number=number: c.play(pcm, PLAYED_HZ, "a", done=number == 3))
    outcome = script.play()
    assert loud_s(outcome) == pytest.approx(2.0, abs=0.1)
    assert len(outcome.of(ReplyGiven)) == 1 and outcome.of(SpeechGap)


def test_utterances_are_heard_one_after_the_other() -> None:
    script = Script()
    for number, name in enumerate(("a", "b", "c")):
        give(script, 0.5 + number * 0.6, tone(1.0), name)
    outcome = script.play()
    assert [event.utterance for event in outcome.of(ReplyGiven)] == ["a", "b", "c"]
    assert loud_s(outcome) == pytest.approx(3.0, abs=0.1) and not outcome.of(ReplyInterrupted)


def test_an_interrupt_drops_waiting_utterances_and_their_later_sound() -> None:
    script = Script()
    give(script, 0.5, tone(3.0), "a", piece_s=0.5)
    give(script, 2.1, tone(1.0), "b")
    script.app_does(2.3, lambda c: c.interrupt())
    give(script, 5.0, tone(0.5), "d")
    outcome = script.play()
    assert [event.utterance for event in outcome.of(ReplyGiven)] == ["a", "d"]
    assert loud_s(outcome, 2.6, 5.0) == 0.0 and loud_s(outcome, 5.0) == pytest.approx(0.5, abs=0.05)


def test_late_sound_of_a_dropped_utterance_cuts_nothing() -> None:
    script = Script()
    script.app_does(0.5, lambda c: c.play(tone(3.0), PLAYED_HZ, "a", done=False))
    script.app_does(1.5, lambda c: c.say("Just a moment please."))
    script.app_does(1.7, lambda c: c.play(tone(1.0), PLAYED_HZ, "a", done=True))
    outcome = script.play()
    assert len(outcome.of(ReplyInterrupted)) == 1
    assert [line.text for line in transcript(outcome.events)] == ["Just a moment please."]


def test_it_replaces_a_reply_and_yields_to_a_voice() -> None:
    script = Script()
    script.app_does(0.2, lambda c: c.say("One two three four five six seven eight nine ten eleven twelve."))
    script.app_does(1.5, lambda c: c.play(tone(6.0), PLAYED_HZ, "a", done=True))
    script.user_says(3.0, "please stop that now")
    outcome = script.play(FakeLlm(["Gladly."]))
    assert [event.why for event in outcome.of(ReplyInterrupted)] == ["replaced", "barge_in"]
    assert outcome.of(TurnCommitted)


def test_an_empty_utterance_is_ignored() -> None:
    script = Script()
    script.app_does(0.5, lambda c: c.play(tone(0.0), PLAYED_HZ, "a", done=True))
    outcome = script.play()
    assert not outcome.of(ReplyGiven) and loud_s(outcome) == 0.0


def test_length_number_and_rate_are_limited() -> None:
    sound = PassthroughVoice("a", 8_000)
    with pytest.raises(UsageError, match="at most"):
        sound.push(np.zeros(int(MAX_UTTERANCE_S * 8_000) + 1, np.int16))
    told: list[str] = []

    def crowd(conversation: object) -> None:
        for number in range(MAX_WAITING + 3):
            try:
                conversation.play(tone(0.2), PLAYED_HZ, str(number), done=True)  # type: ignore[attr-defined]
            except UsageError as error:
                told.append(str(error))

    def other_rate(conversation: object) -> None:
        conversation.interrupt()  # type: ignore[attr-defined]
        conversation.play(tone(0.2), PLAYED_HZ, "x", done=False)  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="sample_rate"):
            conversation.play(tone(0.2), 16_000, "x", done=True)  # type: ignore[attr-defined]
        conversation.end("enough")  # type: ignore[attr-defined]

    script = Script()
    script.app_does(0.5, crowd)
    script.app_does(0.8, other_rate)
    script.play()
    assert len(told) == 2 and "wait to be heard" in told[0]


# -- the model opens ------------------------------------------------------------------------------


def test_the_model_greets_and_its_greeting_is_history() -> None:
    asked: list[str] = []

    def answer(messages: object) -> str:
        asked.append(messages[-1].content)  # type: ignore[index]
        return "Hello there, I am June. How are you today?"

    script = Script()
    script.user_says(8.0, "thank you")
    outcome = script.play(FakeLlm(answer), settings=ConversationSettings("x", "You are June.", opening=OPENING))
    assert asked[0] == OPENING
    lines = [(line.role, line.text) for line in transcript(outcome.events)]
    assert lines[0] == ("assistant", "Hello there, I am June. How are you today?")
    assert all(OPENING not in message.content for message in outcome.history)


def test_a_greeting_of_the_model_yields_like_any_reply() -> None:
    script = Script()
    script.user_says(2.0, "stop stop stop now")
    long = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."
    outcome = script.play(FakeLlm([long, "Yes."]), settings=ConversationSettings("x", "", opening=OPENING))
    assert [event.why for event in outcome.of(ReplyInterrupted)] == ["barge_in"]


def test_a_given_greeting_comes_before_one_of_the_model() -> None:
    settings = ConversationSettings("x", "", "Welcome.", opening=OPENING)
    outcome = Script().play(FakeLlm(["No."]), settings=settings)
    assert [line.text for line in transcript(outcome.events)] == ["Welcome."]


def test_without_the_models_greeting_a_fixed_one_is_spoken() -> None:
    class Broken(FakeLlm):
        def stream(self, messages: object, sampling: object):  # type: ignore[no-untyped-def]
            async def broken():  # type: ignore[no-untyped-def]
                raise EngineError("The model is gone.")
                yield ""

            return broken()

    outcome = Script().play(Broken(), settings=ConversationSettings("x", "", opening=OPENING))
    assert [line.text for line in transcript(outcome.events)] == [EN.welcome]
