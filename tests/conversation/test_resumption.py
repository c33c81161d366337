"""A conversation whose process was lost goes on with its history."""

from __future__ import annotations

import itertools
from pathlib import Path

from cvi.conversation.events import (
    ContextReplaced,
    ConversationResumed,
    ReplyCommitted,
    ReplyHeard,
    ReplyInterrupted,
    SensitivityChanged,
    TurnCommitted,
    TurnReopened,
    TurnTyped,
)
from cvi.conversation.history import History
from cvi.conversation.journal import read_journal
from cvi.conversation.resumption import Past
from cvi.conversation.settings import ConversationSettings
from cvi.conversation.transcript import transcript
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script

SETTINGS = ConversationSettings("x", "You are a test.", greeting="Hello to you.")


def history_of(*events: object) -> list[tuple[str, str]]:
    history = History("System.")
    Past(events, 9.0).tell(history)  # type: ignore[arg-type]
    return [(message.role, message.content) for message in history.messages[1:]]


def test_what_was_said_and_heard_is_history_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Script()
    first.user_says(3.0, "what is your name")
    before = first.play(FakeLlm(["My name is June."]), settings=SETTINGS, journal=path)
    events = list(read_journal(path))

    second = Script()
    second.user_says(1.0, "and where are you")
    llm = FakeLlm(["I am here."])
    after = second.play(llm, settings=SETTINGS, journal=path, past=Past(events, 0.0))
    assert [event for event in after.events if isinstance(event, ConversationResumed)]
    asked = [message.content for message in llm.asked[-1]]
    assert asked[: len(before.history)] == [message.content for message in before.history]
    assert asked[-1] == "and where are you"

    whole = list(read_journal(path))
    assert [event.seq for event in whole] == list(range(len(whole)))
    assert all(one.t <= other.t for one, other in itertools.pairwise(whole))
    assert [line.text for line in transcript(whole)].count("Hello to you.") == 1, "it greets once"
    turns = [event.turn for event in whole if isinstance(event, TurnCommitted)]
    replies = [event.reply for event in whole if isinstance(event, ReplyCommitted)]
    assert len(set(turns)) == len(turns) == 2 and len(set(replies)) == len(replies)


def test_a_turn_without_an_answer_is_answered(tmp_path: Path) -> None:
    past = Past([TurnTyped(seq=7, t=2.0, turn=4, reply=6, text="who are you")], 0.0)
    llm = FakeLlm(["I am June."])
    script = Script()
    script.app_does(6.0, lambda c: None)
    outcome = script.play(llm, settings=SETTINGS, past=past)
    assert [(m.role, m.content) for m in outcome.history[1:]] == [("user", "who are you"), ("assistant", "I am June.")]
    (answered,) = outcome.of(ReplyCommitted)
    assert (answered.turn, answered.reply) == (4, 7)
    assert outcome.events[0].seq == 8


def test_a_reply_that_was_cut_off_by_the_loss_counts_as_far_as_it_was_heard() -> None:
    assert history_of(
        TurnTyped(turn=1, reply=1, text="hello"),
        ReplyHeard(reply=1, text="Good"),
        ReplyHeard(reply=1, text="Good day to"),
    ) == [("user", "hello"), ("assistant", "Good day to…")]


def test_interruptions_reopened_turns_and_context_come_back() -> None:
    assert history_of(
        TurnCommitted(turn=1, reply=1, text="a", speech_start_s=0, speech_end_s=1, silence_ms=0, completeness=1.0, draft_hit=False),
        TurnReopened(turn=1),
        TurnTyped(turn=2, reply=2, text="b"),
        ReplyInterrupted(reply=2, why="asked", heard="Well,", audible=True),
        ContextReplaced(text="They look at prices."),
    ) == [("user", "b"), ("assistant", "Well…"), ("system", "They look at prices.")]


def test_the_last_sensitivity_holds() -> None:
    events = [SensitivityChanged(patience="low", interruptibility="high"), SensitivityChanged(patience="high", interruptibility="low")]
    assert Past(events, 0.0).sensitivity == ("high", "low")
