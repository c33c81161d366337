"""Barge-in: whether a voice over a reply interrupts it, from its words and its sound."""

from __future__ import annotations

import pytest

from cvi.turns.barge_in import OverlapVoice, judge, judge_ended, overlap_voice
from cvi.turns.prosody import HOP_S, ProsodyFrame
from cvi.turns.thresholds import TurnThresholds
from cvi.turns.words import floor_words

LIMITS = TurnThresholds()
EN = floor_words("en")


def hum(seconds: float, **changed: float) -> OverlapVoice:
    return OverlapVoice(**{"voice_s": seconds, "loud_s": seconds, "syllables": 1, **changed})


@pytest.mark.parametrize("text", ["stop", "oh wait", "let me say", "no no", "yeah but", "Actually,", "Okay, hold on."])
def test_a_command_to_stop_yields_at_once(text: str) -> None:
    assert judge(hum(0.05), text, EN, LIMITS) == judge_ended(0.05, text, EN, LIMITS) == "yield"


@pytest.mark.parametrize("text", ["there is no problem", "that is a but", "mhm", "oh no way"])
def test_words_that_only_contain_such_a_command_do_not(text: str) -> None:
    assert judge(hum(0.05), text, EN, LIMITS) == "carry_on"


@pytest.mark.parametrize(
    ("language", "stop", "listening"),
    [
        ("de", "Moment mal!", "Ja, genau."),
        ("ru", "Подождите, пожалуйста.", "Угу, да."),
        ("zh", "等一下", "嗯嗯,好的"),
        ("ja", "ちょっと待って", "はい、なるほど"),
        ("hi", "रुकिए", "हाँ हाँ"),
        ("ar", "انتظر لحظة", "نعم، طيب"),
        ("pt-BR", "Espera!", "Pois é."),
    ],
)
def test_other_languages_have_their_words(language: str, stop: str, listening: str) -> None:
    words = floor_words(language)
    assert words.asks_to_stop(stop) and not words.is_listening(stop)
    assert words.is_listening(listening) and not words.asks_to_stop(listening)


def test_without_words_a_hum_is_waited_out_and_speech_is_not() -> None:
    verdicts = [judge(hum(voice_s), "", EN, LIMITS) for voice_s in (0.05, 0.11, 0.49, 0.51)]
    assert verdicts == ["carry_on", "duck", "duck", "yield"]
    assert judge(hum(0.25, syllables=3), "", EN, LIMITS) == "yield"
    assert judge(hum(0.25, syllables=2, moved_st=2.0), "", EN, LIMITS) == "yield"
    assert judge(hum(0.25, syllables=2, moved_st=0.3), "", EN, LIMITS) == "duck"


def test_a_backchannel_is_waited_out_longer() -> None:
    assert [judge(hum(s, syllables=3), "mhm yeah", EN, LIMITS) for s in (0.4, 0.9, 1.1)] == ["duck", "duck", "yield"]


def test_who_goes_on_after_a_first_listening_word_has_more_to_say() -> None:
    goes_on = hum(0.3, syllables=2, moved_st=2.0)
    assert judge(goes_on, "yes", EN, LIMITS) == "yield"
    assert judge(goes_on, "uh huh", EN, LIMITS) == "duck", "both syllables are the listener's"
    assert judge(hum(0.3, syllables=2, moved_st=0.2), "yes", EN, LIMITS) == "duck", "a hum"
    assert judge(hum(0.3, syllables=2, moved_st=2.0, fallen_db=9.0), "yes", EN, LIMITS) == "duck", "it ends"


def test_a_fading_voice_does_not_interrupt_yet() -> None:
    fading = hum(0.6, syllables=3, fallen_db=LIMITS.fading_db + 1)
    assert judge(fading, "you", EN, LIMITS) == "duck"
    assert judge(fading, "stop", EN, LIMITS) == "yield", "words come first"
    assert judge(hum(0.6, syllables=3), "you", EN, LIMITS) == "yield", "it goes on"


def test_a_voice_that_ended_is_judged_by_its_words() -> None:
    told = {text: judge_ended(0.3, text, EN, LIMITS) for text in ("yeah", "okay right", "", "but how", "hello there")}
    assert told == {
        "yeah": "carry_on",
        "okay right": "carry_on",
        "": "carry_on",
        "but how": "yield",
        "hello there": "yield",
    }


def test_interruptibility_scales_only_the_patience() -> None:
    low = LIMITS.adapted(interruptibility="low")
    assert judge(hum(0.6), "you", EN, low) == "duck" and judge(hum(1.2), "you", EN, low) == "yield"
    assert low.fading_db == LIMITS.fading_db


def test_a_voice_is_described_from_its_frames() -> None:
    levels = [-60, -32, -30, -31, -45, -46, -33, -30, -30, -36]
    pitches = [None, 20, 20, 20, None, None, 24, 25, 25, 37]  # the last one an octave wrong
    frames = [ProsodyFrame(i * HOP_S, lvl, p) for i, (lvl, p) in enumerate(zip(levels, pitches, strict=True), 1)]
    voice = overlap_voice(frames, 0.0)
    assert voice.syllables == 2 and voice.voice_s == pytest.approx(10 * HOP_S)
    assert voice.loud_s == pytest.approx(7 * HOP_S) and 3 < voice.moved_st < 6
    assert voice.fallen_db == pytest.approx(0.0)
