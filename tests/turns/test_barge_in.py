"""Barge-in: whether a voice over a reply interrupts it, from its words, length and fading."""

from __future__ import annotations

import pytest

from cvi.turns.barge_in import judge, judge_ended
from cvi.turns.thresholds import TurnThresholds

LIMITS = TurnThresholds()


@pytest.mark.parametrize("text", ["stop", "oh wait", "let me say", "no no"])
def test_a_command_to_stop_yields_at_once(text: str) -> None:
    assert judge(0.05, text, LIMITS) == judge_ended(0.05, text, LIMITS) == "yield"


def test_the_reply_is_ducked_and_then_yields() -> None:
    verdicts = [judge(voice_s, "", LIMITS) for voice_s in (0.05, 0.11, 0.39, 0.40)]
    assert verdicts == ["carry_on", "duck", "duck", "yield"]


def test_a_backchannel_is_waited_out_longer() -> None:
    assert [judge(voice_s, "mhm yeah", LIMITS) for voice_s in (0.4, 0.79, 0.8)] == ["duck", "duck", "yield"]


def test_a_fading_voice_does_not_interrupt_yet() -> None:
    fading_db = LIMITS.fading_db + 1
    assert judge(0.5, "you", LIMITS, fading_db) == "duck"
    assert judge(0.5, "you", LIMITS, LIMITS.fading_db - 1) == "yield", "it goes on"
    assert judge(0.5, "stop", LIMITS, fading_db) == "yield", "words come first"
    assert judge(0.8, "you", LIMITS, fading_db) == "yield", "but not for ever"


def test_a_voice_that_ended_is_judged_by_its_words() -> None:
    told = {text: judge_ended(0.3, text, LIMITS) for text in ("yeah", "okay right", "", "but how", "nope")}
    assert told == {
        "yeah": "carry_on",
        "okay right": "carry_on",
        "": "carry_on",
        "but how": "yield",
        "nope": "carry_on",
    }


def test_interruptibility_scales_only_the_patience() -> None:
    low = LIMITS.adapted(interruptibility="low")
    assert judge(0.5, "you", low) == "duck" and judge(0.9, "you", low) == "yield"
    assert low.fading_db == LIMITS.fading_db
