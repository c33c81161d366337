"""When the persona listens and speaks up: wake and sleep phrases, broken silences, signs of listening."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import AudioBlock, Pcm
from cvi.conversation.attention import Attention, says
from cvi.conversation.audio_input import FAINT_AFTER_S, AudioInput
from cvi.conversation.events import (
    Backchannel,
    BargeIn,
    ListeningSignGiven,
    ReplyCommitted,
    ReplyResumed,
    SilenceBroken,
    SleepPhraseDetected,
    TurnCommitted,
    TurnScored,
    TurnUnanswered,
    WakePhraseDetected,
)
from cvi.conversation.idle_engagement import STILL_THERE, TAKE_UP, IdleEngagement
from cvi.conversation.listening_signs import ListeningPolicy, ListeningSign
from cvi.conversation.settings import ConversationSettings
from cvi.conversation.transcript import transcript
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from cvi.turns.thresholds import TurnThresholds


def settings(**changed: object) -> ConversationSettings:
    return ConversationSettings("attention", "You are a test.", **changed)  # type: ignore[arg-type]


def test_a_phrase_is_found_nearly_as_it_is_spelled() -> None:
    assert says("Well, hey June, are you there?", "Hey June")
    assert says("hey joon what time is it", "hey june")
    assert not says("they joined us", "hey june") and not says("hello", "") and not says("", "hey june")


def test_a_persona_with_a_wake_phrase_is_silent_until_it_is_heard() -> None:
    script = Script()
    script.user_says(0.5, "nobody talks to you")
    script.user_says(3.5, "hey june what is new")
    script.user_says(8.0, "and now")
    outcome = script.play(settings=settings(wake_phrase="Hey June", greeting="Hello there."))
    assert [event.text for event in outcome.of(TurnUnanswered)] == ["nobody talks to you"]
    assert len(outcome.of(WakePhraseDetected)) == 1 and len(outcome.of(TurnCommitted)) == 2
    first, *_ = outcome.of(ReplyCommitted)
    assert first.t > 3.5, "no greeting either"
    assert transcript(outcome.events)[0].text == "nobody talks to you", "it stands in the transcript"


def test_a_sleep_phrase_sends_it_to_sleep() -> None:
    attention = Attention("hey june", "good night june")
    assert [attention.hear(t) for t in ("x", "hey june", "good night june", "x", "hey june")] == [
        "asleep", "woke", "slept", "asleep", "woke"
    ]  # fmt: skip
    only_sleep = Attention("", "go to sleep")
    assert [only_sleep.hear(t) for t in ("x", "please go to sleep", "x")] == ["awake", "slept", "woke"]


def test_the_sleep_phrase_gets_no_answer() -> None:
    script = Script()
    script.user_says(0.5, "go to sleep now")
    outcome = script.play(settings=settings(wake_phrase="", sleep_phrase="go to sleep"))
    assert outcome.of(SleepPhraseDetected) and not outcome.of(ReplyCommitted)


def test_silences_are_broken_at_their_times_and_not_for_ever() -> None:
    idle = IdleEngagement("patient")
    assert [idle.due(s) for s in (19.0, 20.5, 39.0, 40.0, 300.0)] == [None, TAKE_UP, None, STILL_THERE, None]
    idle.heard()
    assert idle.due(21.0) == TAKE_UP
    assert IdleEngagement("off").due(1e6) is None


def test_an_eager_persona_speaks_up() -> None:
    script = Script()
    script.user_says(0.5, "hello you")
    script.app_does(40.0, lambda conversation: None)
    outcome = script.play(FakeLlm(["Hello.", "Are you thinking?", "Still there?"]), settings=settings(idle_engagement="eager"))
    broken = outcome.of(SilenceBroken)
    assert len(broken) == 2 and broken[0].silence_s == pytest.approx(8.0, abs=0.1)
    assert not any(TAKE_UP in message.content for message in outcome.history), "the request is not history"
    quiet = script.play(settings=settings())
    assert not quiet.of(SilenceBroken)


def test_signs_of_listening_are_due_after_long_talk_in_a_pause_that_is_no_end() -> None:
    policy = ListeningPolicy([ListeningSign("Uh-huh.", np.ones(10, np.int16)), ListeningSign("I see.", np.ones(10, np.int16))])
    assert policy.at_pause(5.0, 0.0, 0.1) is None, "too early"
    assert policy.at_pause(7.0, 0.0, 0.9) is None, "the turn is over"
    first = policy.at_pause(7.5, 0.0, 0.1)
    assert first is not None and first.text == "Uh-huh."
    assert policy.at_pause(12.0, 0.0, 0.1) is None, "not so soon again"
    second = policy.at_pause(17.0, 0.0, 0.1)
    assert second is not None and second.text == "I see."


def test_a_sign_of_listening_is_heard_and_is_no_reply() -> None:
    script = Script()
    words = " ".join(f"word{k}" for k in range(28))
    end_s = script.user_says(0.5, f"{words} and")
    script.user_says(end_s + 0.6, "that is all")
    sign = ListeningSign("Uh-huh.", np.full(6000, 900, np.int16))
    outcome = script.play(listening_signs=[sign], settings=settings(active_listening=True))
    (given,) = outcome.of(ListeningSignGiven)
    heard = outcome.sound_between(given.t - 0.04, given.t + 0.4)
    assert int((heard == 900).sum()) == 6000
    (committed,) = outcome.of(TurnCommitted)
    assert committed.text.endswith("and that is all"), "it did not take the floor"
    assert not any("Uh-huh" in message.content for message in outcome.history)


def test_a_listener_who_has_cut_the_reply_lets_it_go_on() -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    script.user_says(3.0, "yeah okay right yeah okay right yeah okay")
    script.user_says(9.0, "mhm")
    llm = FakeLlm(["Once there was a fox who lived in a wood. It was very old and very wise and told tales to all."])
    outcome = script.play(llm, settings=settings())
    assert outcome.of(BargeIn) or outcome.of(Backchannel)
    assert len(outcome.of(TurnCommitted)) in (1, 2)
    alone = Script()
    alone.user_says(0.5, "tell me a story")
    alone.user_coughs(3.0, 0.8)
    outcome = alone.play(llm, settings=settings())
    assert outcome.of(BargeIn) and outcome.of(ReplyResumed), "after a false alarm the sentence goes on"


class LoudVad:
    name = "loud"

    def probability(self, hop: Pcm) -> float:
        return float(np.abs(hop).max() > 20)

    def reset(self) -> None:
        return


def tone(amplitude: int, seconds: float) -> Pcm:
    t = np.arange(round(seconds * 16_000)) / 16_000
    return (amplitude * sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 6))).astype(np.int16)


def onsets(near: bool, *parts: Pcm) -> list[float]:
    audio = AudioInput(LoudVad(), TurnThresholds(), near=near)
    sound = np.concatenate(parts)
    changes = [
        hop.change
        for at in range(0, len(sound) - 159, 160)
        for hop in audio.push(AudioBlock(sound[at : at + 160], at / 16_000))
    ]
    return [change.at_s for change in changes if change is not None and change.kind == "started"]


def test_a_faint_voice_behind_the_participant_is_not_theirs() -> None:
    silence = np.zeros(16_000, np.int16)
    parts = [tone(8000, 3.0), silence, tone(300, 2.0), silence, tone(4000, 1.0)]
    assert len(onsets(False, *parts)) == 3
    first, second = onsets(True, *parts)
    assert first < 0.1 and second == pytest.approx(7.0, abs=0.1)


def test_who_has_moved_away_is_heard_again() -> None:
    parts = [tone(8000, 3.0), np.zeros(16_000, np.int16), tone(300, FAINT_AFTER_S + 2.0)]
    _, second = onsets(True, *parts)
    assert second == pytest.approx(4.0 + FAINT_AFTER_S, abs=0.2)


def test_scores_name_their_signs() -> None:
    script = Script()
    script.user_says(0.5, "i was going to um ... see you")
    scored = script.play(settings=settings()).of(TurnScored)
    assert scored[0].signs["hesitation"] == 1.0 and scored[0].usual_pause_s is not None
