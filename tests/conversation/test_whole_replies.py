from __future__ import annotations

from dataclasses import replace

from cvi.conversation.events import (
    EngineFailed,
    ReplyFinished,
    ReplyFirstClause,
    ReplyFirstSpeech,
    TurnCommitted,
)
from cvi.conversation.settings import ConversationSettings
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script, ScriptOutcome

ANSWER = "I can see you. I can hear you too. Then we talk about the sea."
SETTINGS = ConversationSettings("plain", "You are a test.", speculative=False)


def play(answer: str, *, whole: bool) -> ScriptOutcome:
    script = Script()
    script.user_says(0.5, "what can you do")
    settings = replace(SETTINGS, whole_replies=whole)
    return script.play(FakeLlm([answer], token_s=0.1), settings=settings)


def test_no_clause_is_spoken_before_all_are_written() -> None:
    plain, ours = play(ANSWER, whole=True), play(ANSWER, whole=False)
    started = [outcome.of(TurnCommitted)[0].t for outcome in (plain, ours)]
    spoken = [outcome.of(ReplyFirstSpeech)[0].t for outcome in (plain, ours)]
    words = len(ANSWER.split())
    assert spoken[0] - started[0] >= 0.1 * (words - 1)
    assert spoken[1] - started[1] < 0.1 * (words - 1) / 2
    assert plain.of(ReplyFinished)[0].text == ours.of(ReplyFinished)[0].text == ANSWER


def test_the_reply_is_one_clause() -> None:
    outcome = play(ANSWER, whole=True)
    assert outcome.of(ReplyFirstClause)[0].text == ANSWER


def test_a_failure_in_mid_reply_gets_an_apology() -> None:
    outcome = play("I can see you. !! never said", whole=True)
    assert outcome.of(EngineFailed)
    assert "Sorry" in outcome.of(ReplyFinished)[0].text
