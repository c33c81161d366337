"""How likely the floor is free: signs weighed, silence added, this person's pauses learned."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.turns.expected_answer import expected_answer
from cvi.turns.floor_prediction import (
    FloorWeights,
    SignWeight,
    after_silence,
    floor_signs,
    shipped_weights,
    silence_until,
)
from cvi.turns.pause_habits import PauseHabits
from cvi.turns.pitch import FRAME_SAMPLES, pitch_hz
from cvi.turns.prosody import PhraseProsody, ProsodyTracker
from cvi.turns.thresholds import TurnThresholds
from cvi.turns.words import floor_words, languages

EN = floor_words("en")


def test_contributions_add_up_and_an_absent_sign_is_none() -> None:
    weights = FloorWeights(0.5, {"a": SignWeight(2.0, 1.0, 0.5), "b": SignWeight(-1.0)})
    assert weights.contributions({"a": 1.5}) == {"a": 2.0}
    assert weights.probability({}) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert weights.probability({"a": 1.5}) > weights.probability({"a": 1.5, "b": 1.0})


def test_the_shipped_weights_believe_complete_words_more_than_broken_ones() -> None:
    weights = shipped_weights()
    whole = floor_signs("What is your name?", 0.97, 0.9, None, EN)
    broken = floor_signs("What is the...", 0.05, 0.3, None, EN)
    assert weights.probability(whole) > 0.6 > 0.4 > weights.probability(broken)


def test_silence_makes_an_end_likelier_and_its_inverse_agrees() -> None:
    for p in (0.05, 0.4, 0.74):
        needed_s = silence_until(p, 0.75, 0.4, 2.0)
        assert after_silence(p, needed_s, 0.4, 2.0) == pytest.approx(0.75)
    assert silence_until(0.8, 0.75, 0.4, 2.0) == 0.0
    assert after_silence(0.5, 0.5, 0.4, 2.0) > after_silence(0.5, 0.5, 0.8, 2.0), "whoever pauses long"


def test_patience_keeps_its_bounds() -> None:
    limits = TurnThresholds()
    assert limits.patience_s(1.0) == limits.least_patience_s
    assert limits.patience_s(0.0) == limits.most_patience_s
    waits = [limits.patience_s(p) for p in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert waits == sorted(waits, reverse=True)
    assert limits.patience_s(0.5, 0.8) > limits.patience_s(0.5)
    assert limits.adapted(patience="high").patience_s(0.5) > limits.patience_s(0.5)


def test_a_person_who_pauses_long_is_learned_and_drawn_towards_everybody() -> None:
    habits = PauseHabits(0.4)
    assert habits.factor == 1.0
    habits.went_on_after(0.05)
    assert habits.factor == 1.0, "no pause at all"
    habits.went_on_after(1.2)
    once = habits.factor
    for _ in range(20):
        habits.went_on_after(1.2)
    assert 1.0 < once < habits.factor <= 2.2
    for _ in range(30):
        habits.went_on_after(0.12)
    assert habits.factor < 1.0


def test_who_pauses_often_within_turns_is_less_likely_over_at_a_pause() -> None:
    often, seldom = PauseHabits(0.4), PauseHabits(0.4)
    for _ in range(4):
        for _ in range(4):
            often.went_on_after(0.5)
        assert often.end_odds <= 0.0
        often.ended()
        seldom.ended()
    assert often.end_odds < -0.5 < 0.3 < seldom.end_odds
    before = often.end_odds
    often.went_on_after(0.5)
    assert often.end_odds == before, "the turn under way says nothing yet"
    seldom.reopened()
    seldom.ended()
    assert seldom.end_odds < PauseHabits(0.4).end_odds + 0.6


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Could you spell your name for me?", "long"),
        ("Nice to meet you. What is your phone number?", "long"),
        ("Tell me about your week.", "long"),
        ("Do you like tea?", "short"),
        ("It is three o'clock.", "any"),
        ("What is your favourite colour?", "any"),
        ("", "any"),
    ],
)
def test_what_was_asked_says_what_answer_to_expect(said: str, expected: str) -> None:
    assert expected_answer(said) == expected


def test_signs_of_the_words() -> None:
    def sign(name: str, text: str) -> float:
        return floor_signs(text, 0.5, None, None, EN)[name]

    assert sign("punctuation", "I like tea.") == 1.0 and sign("punctuation", "I like...") == -1.0
    assert sign("punctuation", "i like tea") == 0.0
    assert sign("hesitation", "I was going to, um") == 1.0 and sign("hesitation", "I like tea") == 0.0
    fell = PhraseProsody(pitch_slope=20.0, phrase_s=1.0)
    asked, told = (floor_signs(text, 0.5, None, fell, EN) for text in ("You like tea?", "You like tea."))
    assert asked["pitch_slope"] == -20.0 and told["pitch_slope"] == 20.0, "a question may end rising"
    assert "voice" not in floor_signs("a", 0.5, None, None, EN)
    assert "pitch_end" not in floor_signs("a", 0.5, None, PhraseProsody(), EN), "nothing was heard"
    assert sign("sentence", "Yes. I like tea") == pytest.approx(np.log(4)), "words of the last sentence"
    assert "sentence" not in floor_signs("Blue", 0.5, None, None, EN, "short")


def test_every_language_of_the_contract_has_words() -> None:
    assert len(languages()) >= 42
    for code in languages():
        words = floor_words(code)
        assert words.stop and words.start and words.listening and words.hesitating, code
    assert floor_words("xx").asks_to_stop("stop") is False


@pytest.mark.parametrize("hz", [80.0, 120.0, 210.0, 340.0])
def test_the_pitch_of_a_harmonic_sound(hz: float) -> None:
    t = np.arange(FRAME_SAMPLES) / HEARD_HZ
    tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6))
    assert pitch_hz((3000 * tone).astype(np.int16)) == pytest.approx(hz, rel=0.01)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 1000, FRAME_SAMPLES).astype(np.int16)
    assert pitch_hz(noise) == 0.0 == pitch_hz(np.zeros(FRAME_SAMPLES, np.int16))


def spoken(first_hz: float, last_hz: float, seconds: float = 1.2, fade: float = 1.0) -> np.ndarray:
    """Syllables of 0.2 s whose pitch moves over the last third."""
    t = np.arange(round(seconds * HEARD_HZ)) / HEARD_HZ
    share = np.clip((t - seconds * 2 / 3) / (seconds / 3), 0, 1)
    phase = 2 * np.pi * np.cumsum(first_hz + share * (last_hz - first_hz)) / HEARD_HZ
    voice = sum(np.sin(phase * k) / k for k in range(1, 6))
    syllables = 0.15 + 0.85 * np.sin(np.pi * (t % 0.2) / 0.2) ** 2
    return (4000 * voice * syllables * (1 + share * (fade - 1))).astype(np.int16)


def heard(pcm: np.ndarray) -> PhraseProsody:
    tracker = ProsodyTracker()
    tracker.push(pcm, len(pcm) / HEARD_HZ, voice=True)
    return tracker.phrase_end(0.0, len(pcm) / HEARD_HZ)


def test_a_fall_and_a_rise_are_told_apart() -> None:
    falls, rises, level = heard(spoken(200, 120)), heard(spoken(160, 260)), heard(spoken(180, 180))
    assert falls.pitch_slope < -5 and rises.pitch_slope > 5 and abs(level.pitch_slope) < 3
    assert falls.pitch_end < 0.3 and rises.pitch_end > 0.7
    assert level.phrase_s == pytest.approx(1.2, abs=0.1)


def test_a_voice_that_grows_weaker_is_noticed() -> None:
    assert heard(spoken(180, 180, fade=0.2)).level_end < heard(spoken(180, 180)).level_end - 5


def test_prosody_is_the_same_however_the_sound_is_cut() -> None:
    pcm = spoken(200, 120)
    cut = ProsodyTracker()
    for at in range(0, len(pcm), 160):
        cut.push(pcm[at : at + 160], (at + 160) / HEARD_HZ, voice=True)
    assert cut.phrase_end(0.0, len(pcm) / HEARD_HZ).pitch_slope == pytest.approx(heard(pcm).pitch_slope)
