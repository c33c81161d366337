"""Whatever goes wrong, somebody says something: silence is never an answer. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.conversation.events import (
    BargeIn,
    EngineFailed,
    ReplyBridged,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyResumed,
    TranscriptLate,
    TurnCommitted,
    TurnEmpty,
    UserStartedSpeaking,
)
from cvi.conversation.phrases import phrases
from cvi.conversation.settings import ConversationSettings
from cvi.errors import EngineError
from cvi.llm.base import Message, Sampling
from cvi.media.decode import read_audio
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts
from cvi.testing.script import Script
from cvi.tts.base import Speech
from cvi.turns.base import VadSettings
from cvi.turns.silero import build as build_vad

EN = phrases("en")

HOT_MICROPHONE = Path(__file__).parents[3] / "shared" / "cases" / "clipped_hot_mic.wav"

LONG_STORY = "Once there was a keeper of a tower by the sea. She kept a log of every ship that ever passed by."


def finished(outcome) -> list[str]:  # type: ignore[no-untyped-def]
    return [event.text for event in outcome.of(ReplyFinished)]


@pytest.mark.parametrize(
    "reply",
    ["", "*nods*", "[only this]", "```\nx = 1\n```", "<think>They greet me.</think>", "<think>They greet me.", "😀",
     "User: hello"],
)  # fmt: skip
def test_a_reply_without_words_is_apologized_for(reply: str) -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm([reply]))
    assert finished(outcome) == [EN.apology]
    assert [event.message for event in outcome.of(EngineFailed)] == ["The language model gave an empty reply."]
    at_s = outcome.of(ReplyFirstAudio)[0].at_s
    assert outcome.sound_between(at_s, at_s + 1.0).any()


class DeafTts(FakeTts):
    """Makes silence, nothing, or an error of words in Chinese characters."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        if text.isascii():
            async for speech in super().speak(text):
                yield speech
        elif self._how == "zeros":
            yield Speech(np.zeros(PLAYED_HZ, np.int16))
        elif self._how == "error":
            raise EngineError("This voice cannot read Chinese characters.")


@pytest.mark.parametrize("how", ["zeros", "nothing", "error"])
def test_words_without_sound_are_not_heard(how: str) -> None:
    script = Script()
    script.user_says(0.5, "say it in chinese")
    outcome = script.play(FakeLlm(["你好！今天天气很好。"]), tts=DeafTts(how))
    assert finished(outcome) == [EN.apology]
    assert [message.content for message in outcome.history if message.role == "assistant"] == [EN.apology]
    [failed] = outcome.of(EngineFailed)
    assert "cannot read" in failed.message or "made no sound for '你好！'" in failed.message


@pytest.mark.parametrize("how", ["zeros", "nothing"])
def test_a_silent_clause_among_others_is_told_and_is_not_history(how: str) -> None:
    script = Script()
    script.user_says(0.5, "say it in chinese")
    outcome = script.play(FakeLlm(["Of course. 你好！ That was it."]), tts=DeafTts(how))
    assert finished(outcome) == ["Of course. That was it."]
    assert "你好" in outcome.of(EngineFailed)[0].message


def test_reasoning_with_a_closing_tag_alone_is_not_heard_from_a_draft() -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm(["Short, warm. </think> My name is June."], token_s=0.01))
    assert finished(outcome) == ["My name is June."]


def test_a_late_final_transcript_is_replaced_by_the_words_so_far() -> None:
    script = Script()
    ends = script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm(["My name is June."]), stt=FakeStt(script.vocabulary, delay_s=39.0))
    assert [event.text for event in outcome.of(TranscriptLate)] == ["what is your name"]
    assert [event.text for event in outcome.of(TurnCommitted)] == ["what is your name"]
    assert outcome.of(ReplyFirstAudio)[0].at_s < ends + 2.5


def test_a_late_transcript_of_which_nothing_is_known_is_asked_for() -> None:
    script = Script()
    script.user_coughs(0.5, 0.6)
    script.user_says(8.0, "hello")
    outcome = script.play(FakeLlm(["Hi."]), stt=FakeStt(script.vocabulary, delay_s=39.0))
    assert finished(outcome) == [EN.not_heard, "Hi."]


def test_a_barge_in_without_words_lets_the_persona_go_on() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_coughs(ends + 3.5, 1.0)
    outcome = script.play(FakeLlm([LONG_STORY]), settings=ConversationSettings("x", "", tail_s=3.0))
    assert len(outcome.of(BargeIn)) == len(outcome.of(TurnEmpty)) == len(outcome.of(ReplyResumed)) == 1
    assert outcome.history[-1].content.endswith("She kept a log of every ship that ever passed by.")
    resumed_s = outcome.of(ReplyResumed)[0].t
    assert resumed_s < ends + 3.5 + 1.0 + 1.5
    assert outcome.sound_between(resumed_s, resumed_s + 1.0).any()


def test_a_second_noise_does_not_cut_the_persona_again() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    for at_s in (3.0, 6.0, 9.0):
        script.user_coughs(ends + at_s, 1.0)
    script.user_says(ends + 20.0, "thank you")
    outcome = script.play(FakeLlm([LONG_STORY, "Gladly."]), settings=ConversationSettings("x", ""))
    assert len(outcome.of(BargeIn)) == 1
    assert finished(outcome)[-1] == "Gladly."


def test_a_noise_without_an_end_is_spoken_over() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    noise_s = ends + 3.5
    script.user_coughs(noise_s, 25.0)
    script.user_says(noise_s + 30.0, "thank you")
    outcome = script.play(FakeLlm([LONG_STORY, "Gladly."]))
    resumed_s = outcome.of(ReplyResumed)[0].t
    assert resumed_s < noise_s + 6.0
    assert "She kept a log of every ship that ever passed by." in finished(outcome)[0]
    assert finished(outcome)[-1] == "Gladly."


def test_a_barge_in_without_words_at_the_end_of_a_reply_is_asked_about() -> None:
    script = Script()
    script.user_coughs(1.6, 0.9)
    settings = ConversationSettings("x", "", greeting="One two three four five six", tail_s=3.0)
    outcome = script.play(settings=settings)
    spoken = " ".join(finished(outcome))
    assert outcome.of(TurnEmpty)
    assert EN.not_heard in spoken or "six" in spoken


class SlowLlm(FakeLlm):
    """Begins after twelve seconds, as a model that reasons in hiding."""

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        await asyncio.sleep(12.0)
        yield "After long thought, yes."


def test_a_long_wait_is_bridged_and_the_answer_comes() -> None:
    script = Script()
    ends = script.user_says(0.5, "is it true")
    outcome = script.play(SlowLlm())
    assert [event.text for event in outcome.of(ReplyBridged)] == [EN.bridge]
    assert outcome.of(ReplyFirstAudio)[0].at_s < ends + 5.5
    assert finished(outcome) == ["After long thought, yes."]
    assert outcome.history[-1].content == "After long thought, yes."


def test_a_bridge_with_no_answer_after_it_is_apologized_for() -> None:
    class EmptyLlm(FakeLlm):
        async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
            await asyncio.sleep(6.0)
            yield "<think>No."

    script = Script()
    script.user_says(0.5, "is it true")
    outcome = script.play(EmptyLlm())
    assert finished(outcome) == [EN.apology]


@pytest.mark.skipif(not HOT_MICROPHONE.is_file(), reason="the recording of a clipped microphone is not here")
def test_after_a_clipped_hot_microphone_it_goes_on_or_asks() -> None:
    script = Script()
    ends_s = script.user_sounds(0.0, read_audio(HOT_MICROPHONE))
    settings = ConversationSettings("script", "You are a test.", greeting=2 * (LONG_STORY + " "))
    outcome = script.play(FakeLlm(), vad=build_vad(VadSettings()), settings=settings)
    assert outcome.of(UserStartedSpeaking), "the noise is taken for a voice"
    after_s = max(event.t for event in (*outcome.of(UserStartedSpeaking), *outcome.of(BargeIn)))
    assert outcome.sound_between(after_s + 2.0, ends_s).any(), "it is not silent for good"
    assert outcome.of(ReplyFinished), "the greeting, or what asks again, is heard to its end"
