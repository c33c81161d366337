"""Neutral openers: heard where the answer is long in coming, and no part of it."""

from itertools import pairwise
from unicodedata import category

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.conversation.events import (
    EngineFailed,
    ReplyAfterOpener,
    ReplyBridged,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyFirstSpeech,
    ReplyInterrupted,
    ReplyOpener,
    SpeechGap,
    TurnCommitted,
    TurnReopened,
)
from cvi.conversation.latency import opener_pauses
from cvi.conversation.listening_signs import _TEXTS
from cvi.conversation.openers import GOES_ON_AFTER_S, HEARD_AFTER_S, Opener, OpenerPolicy, make_openers
from cvi.conversation.phrases import _table, phrases
from cvi.conversation.settings import ConversationSettings
from cvi.testing.fakes import FakeLlm, FakePhraseTts, FakeTts
from cvi.testing.script import Script, ScriptOutcome
from cvi.tts.base import Phone, Speech, Word


def opener(text: str, seconds: float = 0.4) -> Opener:
    tone = (6000 * np.sin(np.arange(round(seconds * PLAYED_HZ)) * 0.1)).astype(np.int16)
    return Opener(
        text, Speech(tone, (Phone("m", 0.0, seconds),), (Word(0, len(text), 0.0, seconds),)), text == "Okay,"
    )


ANSWER = "One two three four"
OPENERS = [opener(text) for text in ("Hm,", "Well,", "Okay,")]


def conversation(turns: int, *, slow: bool, settings: ConversationSettings | None = None) -> ScriptOutcome:
    script = Script()
    for number in range(turns):
        script.user_says(0.5 + 8.0 * number, f"tell me story number {number}")
    llm = FakeLlm(["One two three."], first_token_s=1.5 if slow else 0.05)
    return script.play(llm, openers=OPENERS, first_wait_s=1.6 if slow else 0.2, settings=settings)


def test_a_slow_answer_begins_with_an_opener_that_is_not_history() -> None:
    outcome = conversation(1, slow=True)
    (opened,) = outcome.of(ReplyOpener)
    assert opened.text == "Hm,"
    assert 0.5 < opened.predicted_wait_s <= 1.6 + HEARD_AFTER_S
    committed_s = outcome.of(TurnCommitted)[0].t
    assert outcome.of(ReplyFirstAudio)[0].at_s - committed_s < 0.1
    after = outcome.of(ReplyAfterOpener)[0]
    assert opener_pauses(outcome.events) == [round(after.pause_s * 1000, 1)]
    # The whole opener was heard, nothing between, and then the whole answer.
    assert after.at_s - outcome.of(ReplyFirstSpeech)[0].t < 0.1
    assert 0.3 < after.pause_s < 1.5
    heard = outcome.sound_between(0, 60)
    assert np.count_nonzero(heard) / PLAYED_HZ == pytest.approx(0.4 + 3 * 0.3, abs=0.02)
    assert not outcome.of(SpeechGap)
    assert outcome.of(ReplyFinished)[0].text == "One two three."
    assert [message.content for message in outcome.history[1:]] == [
        "tell me story number 0",
        "One two three.",
    ]


def test_a_slow_voice_makes_no_gap_after_the_opener() -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    llm = FakeLlm(["One two three."], first_token_s=1.3)
    outcome = script.play(llm, tts=FakeTts(delay_s=0.6), openers=OPENERS, first_wait_s=1.6)
    assert not outcome.of(SpeechGap)
    (after,) = outcome.of(ReplyAfterOpener)
    assert after.at_s == pytest.approx(outcome.of(ReplyFirstSpeech)[0].t, abs=0.1)
    assert after.pause_s >= 1.0


@pytest.mark.parametrize("tts", [FakeTts(delay_s=0.8), FakePhraseTts(delay_s=0.8)])
def test_an_opener_stands_before_a_clause_whose_sound_is_being_made(tts: FakeTts) -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    outcome = script.play(FakeLlm([f"{ANSWER} five."]), tts=tts, openers=OPENERS, first_wait_s=1.6)
    assert outcome.of(ReplyOpener) and not outcome.of(EngineFailed)
    assert outcome.of(ReplyFinished)[0].text == f"{ANSWER} five."
    heard = outcome.sound_between(0, 60)
    assert np.count_nonzero(heard) / PLAYED_HZ == pytest.approx(0.4 + 5 * 0.3, abs=0.1)


def test_at_most_two_of_five_and_never_two_running() -> None:
    outcome = conversation(10, slow=True)
    opened = {event.reply for event in outcome.of(ReplyOpener)}
    flags = [event.reply in opened for event in outcome.of(ReplyFinished)]
    assert len(flags) == 10
    for start in range(10):
        assert sum(flags[start : start + 5]) <= 2
        assert sum(flags[start : start + 2]) <= 1
    texts = [event.text for event in outcome.of(ReplyOpener)]
    assert len(texts) >= 3
    assert all(one != two for one, two in pairwise(texts))


def test_no_opener_for_a_fast_answer_or_where_the_persona_has_none() -> None:
    assert not conversation(3, slow=False).of(ReplyOpener)
    off = ConversationSettings("x", "You are a test.", openers=False)
    assert not conversation(3, slow=True, settings=off).of(ReplyOpener)


def test_the_prediction_follows_the_conversation() -> None:
    policy = OpenerPolicy(OPENERS, 2.0)
    assert policy.predicted_s(0.5) == pytest.approx(1.5 + HEARD_AFTER_S)
    for _ in range(7):
        policy.note(0.3)
    assert policy.predicted_s(0.0) == pytest.approx(0.3 + HEARD_AFTER_S)
    assert policy.choose("tell me more", 0.1, policy.predicted_s(0.0)) is None
    assert policy.choose("tell me more", 0.3, policy.predicted_s(0.0)) is not None
    assert OpenerPolicy(OPENERS).predicted_s(0.0) == 0.0


def test_no_yes_before_the_answer_to_a_question_of_yes_or_no() -> None:
    policy = OpenerPolicy([opener("Okay,"), opener("Well,")], 2.0)
    chosen = policy.choose("i have two cats. are they allowed on the train", 0.0, 2.0)
    assert chosen is not None and chosen.text == "Well,"
    only = OpenerPolicy([opener("Okay,")], 2.0)
    assert only.choose("Is it free?", 0.0, 2.0) is None


def test_no_opener_that_outlasts_the_wait() -> None:
    policy = OpenerPolicy([opener("Let me think.", 0.9), opener("Hm,", 0.4)])
    chosen = policy.choose("tell me more", 0.4, 0.3)
    assert chosen is not None and chosen.text == "Hm,"
    assert OpenerPolicy([opener("Hm,", 0.4)]).choose("tell me more", 0.6, 0.1) is None


def test_the_opener_lasts_about_as_long_as_the_wait_and_differs_from_the_ones_before() -> None:
    lengths = {"Hmm,": 0.25, "Well,": 0.35, "Okay,": 0.45, "Let me think.": 0.7}
    policy = OpenerPolicy([opener(text, seconds) for text, seconds in lengths.items()])
    chosen = [policy.choose("tell me more", 0.5, left_s) for left_s in (0.6, 0.0, 0.6, 0.0, 0.0, 0.6)]
    assert [each and each.text for each in chosen] == ["Let me think.", None, "Okay,", None, None, "Well,"]


def test_where_the_own_words_are_late_another_opener_follows() -> None:
    openers = [opener("Well,", 0.4), opener("Let me think.", 0.8)]
    script = Script()
    script.user_says(0.5, "tell me a story")
    outcome = script.play(FakeLlm(["One two three."], first_token_s=2.0), openers=openers, first_wait_s=0.7)
    assert [event.text for event in outcome.of(ReplyOpener)] == ["Well,"]
    assert [event.text for event in outcome.of(ReplyBridged)] == ["Let me think."]
    (after,) = outcome.of(ReplyAfterOpener)
    assert GOES_ON_AFTER_S <= after.pause_s < GOES_ON_AFTER_S + 0.2
    heard = outcome.sound_between(0, 60)
    assert np.count_nonzero(heard) / PLAYED_HZ == pytest.approx(0.4 + 0.8 + 3 * 0.3, abs=0.02)
    assert not outcome.of(SpeechGap)
    assert outcome.of(ReplyFinished)[0].text == "One two three."


def test_nothing_follows_an_opener_where_the_own_words_are_written_in_time() -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    openers = [opener("Well,", 0.4), opener("Let me think.", 0.8)]
    outcome = script.play(FakeLlm(["One two three."], first_token_s=0.9), openers=openers, first_wait_s=0.7)
    assert len(outcome.of(ReplyOpener)) == 1
    assert not outcome.of(ReplyBridged)


def test_going_on_during_the_opener_reopens_the_turn() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_says(ends + 0.95, "about ships")
    llm = FakeLlm(["One two three."], first_token_s=2.5)
    outcome = script.play(llm, openers=OPENERS, first_wait_s=2.0)
    assert outcome.of(TurnReopened)
    cut = outcome.of(ReplyInterrupted)[0]
    assert cut.heard == "" and cut.audible
    assert outcome.history[1].content == "tell me a story about ships"


async def test_openers_are_made_in_the_voice() -> None:
    made = await make_openers(FakeTts(), "en")
    assert [one.text for one in made] == ["Hmm,", "Well,", "Okay,", "Let me think.", "Let me see."]
    assert not await make_openers(FakeTts(), "xx")


@pytest.mark.parametrize("language", sorted(_table()))
def test_no_opener_or_sign_of_listening_is_spelled_letter_by_letter(language: str) -> None:
    from piper.phonemize_espeak import EspeakPhonemizer

    espeak = EspeakPhonemizer()
    for text in (*phrases(language).openers, *_TEXTS.get(language, ())):
        (sounds,) = espeak.phonemize(language, text)
        # "Hm," spelled has six sounds, and "Mm." becomes "millimètre".
        letters = sum(map(str.isalpha, text))
        assert sum(category(sound) == "Ll" for sound in sounds) <= letters + 1, (text, sounds)
