"""The typed conversation: the same class without sound and picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvi.clock import Clock
from cvi.conversation.conversation import MAX_WAITING, Conversation
from cvi.conversation.events import (
    ConversationEnded,
    EngineFailed,
    Event,
    ReplyFinished,
    ReplyInterrupted,
    TurnTyped,
)
from cvi.conversation.journal import Journal, read_journal
from cvi.conversation.phrases import phrases
from cvi.conversation.settings import OPENING, ConversationSettings, TextEngines
from cvi.conversation.transcript import transcript
from cvi.errors import EngineError, UsageError
from cvi.testing.fakes import FakeLlm
from cvi.testing.virtual_time import run_virtual
from cvi.transport.text import TextTransport

EN = phrases("en")

JUNE = ConversationSettings("c1", "You are June.", greeting="Hello.", persona_name="June")
Steps = Callable[[Conversation, list[str]], Awaitable[None]]


def hold(llm: FakeLlm, steps: Steps, settings: ConversationSettings = JUNE) -> tuple[list[Event], Conversation]:
    """The journal of a typed conversation in which `steps` happen after the greeting."""

    async def run() -> tuple[list[Event], Conversation]:
        clock = Clock()
        journal = Journal(None, clock)
        shown: list[str] = []
        transport = TextTransport(shown.append)
        conversation = Conversation(settings, TextEngines(llm), None, transport, journal, clock)
        running = asyncio.create_task(conversation.run())
        assert await conversation.answered()
        await steps(conversation, shown)
        conversation.end("participant_left")
        assert await running == "participant_left"
        assert not await conversation.answered()
        return journal.events or [], conversation

    return run_virtual(run())


def of(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if type(event) is kind]


def test_turns_are_answered_clause_by_clause_and_become_history() -> None:
    async def steps(conversation: Conversation, shown: list[str]) -> None:
        assert shown == ["Hello."]
        conversation.respond("who are you")
        await conversation.answered()
        assert shown[1:] == ["I am June.", "I live here."]

    events, conversation = hold(FakeLlm(["I am June. I live here."]), steps)
    assert [(line.role, line.text) for line in transcript(events)] == [
        ("assistant", "Hello."),
        ("user", "who are you"),
        ("assistant", "I am June. I live here."),
    ]
    assert [message.content for message in conversation.history.messages[1:]] == [
        "Hello.", "who are you", "I am June. I live here.",
    ]  # fmt: skip
    (ended,) = of(events, ConversationEnded)
    assert isinstance(ended, ConversationEnded) and ended.playout is None and conversation.had_a_turn


def test_it_reads_as_one_of_the_version_before() -> None:
    """The same conversation as in the journal of format 1, whose turns came one by one."""

    async def steps(conversation: Conversation, shown: list[str]) -> None:
        conversation.respond("who are you")
        await conversation.answered()
        conversation.respond("are you sure")
        while shown[-1] != "Yes.":
            await asyncio.sleep(0.001)
        conversation.interrupt()
        conversation.respond("really")
        await conversation.answered()

    events, _ = hold(FakeLlm(["I am June. I live here.", "Yes. No no no no. Maybe so.", "!! x"]), steps)
    before = list(read_journal(Path(__file__).parent / "journals" / "format_1_typed.jsonl"))

    def lines(journal: list[Event]) -> list[tuple[str, str, bool, int]]:
        return [(line.role, line.text, line.interrupted, line.number) for line in transcript(journal)]

    assert lines(events) == lines(before)
    for kind in (TurnTyped, ReplyFinished, ReplyInterrupted, EngineFailed):
        bare = [[replace(event, seq=0, t=0.0) for event in of(journal, kind)] for journal in (events, before)]
        assert bare[0] == bare[1]


def test_turns_wait_for_each_other_up_to_a_limit() -> None:
    async def steps(conversation: Conversation, shown: list[str]) -> None:
        for number in range(MAX_WAITING + 1):  # the first is answered at once
            conversation.respond(f"turn {number}")
        with pytest.raises(UsageError, match="wait to be answered"):
            conversation.respond("one more")
        await conversation.answered()

    events, _ = hold(FakeLlm(["Yes."]), steps)
    said = [(line.role, line.text) for line in transcript(events)][1:]
    assert said == [pair for n in range(MAX_WAITING + 1) for pair in (("user", f"turn {n}"), ("assistant", "Yes."))]


def test_what_was_shown_before_an_interruption_is_history_and_the_next_turn_is_answered() -> None:
    async def steps(conversation: Conversation, shown: list[str]) -> None:
        conversation.respond("tell me")
        conversation.respond("and you")
        while shown[-1] != "One two.":
            await asyncio.sleep(0.001)
        conversation.interrupt()
        await conversation.answered()

    events, conversation = hold(FakeLlm(["One two. Three four five six.", "Fine."]), steps)
    (cut,) = of(events, ReplyInterrupted)
    assert isinstance(cut, ReplyInterrupted)
    assert (cut.why, cut.heard, cut.audible, cut.silent_s) == ("asked", "One two.", False, None)
    assert conversation.history.messages[-1].content == "Fine."


def test_the_end_cuts_the_reply_and_forgets_what_waits() -> None:
    async def steps(conversation: Conversation, shown: list[str]) -> None:
        conversation.respond("one")
        conversation.respond("two")
        await asyncio.sleep(0.001)

    llm = FakeLlm(["Yes."])
    events, _ = hold(llm, steps)
    assert len(of(events, TurnTyped)) == 1 and llm.open_streams == 0


def test_a_model_greets_echoes_and_apologizes() -> None:
    async def nothing(conversation: Conversation, shown: list[str]) -> None:
        assert shown == ["Hi, I am June."]

    async def echo(conversation: Conversation, shown: list[str]) -> None:
        conversation.respond("say this")
        await conversation.answered()
        assert shown == ["say this"]

    async def fails(conversation: Conversation, shown: list[str]) -> None:
        conversation.respond("who are you")
        await conversation.answered()
        assert shown == [EN.apology]

    quiet = replace(JUNE, greeting="")
    hold(FakeLlm(["Hi, I am June."]), nothing, replace(quiet, opening=OPENING))
    hold(FakeLlm(), echo, replace(quiet, echo=True, opening=OPENING))
    hold(FakeLlm(["!!"]), fails, quiet)


def test_there_is_no_voice_and_no_pause() -> None:
    async def steps(conversation: Conversation, shown: list[str]) -> None:
        with pytest.raises(UsageError, match="no voice"):
            conversation.say("Hello.")
        with pytest.raises(UsageError, match="no voice"):
            conversation.play(np.zeros(100, np.int16), 24_000)
        conversation.adjust("low", "high")
        conversation.append_context("It rains.")
        assert conversation.playout is None

    _, conversation = hold(FakeLlm(), steps)
    assert [message.content for message in conversation.history.messages][:1] == ["You are June."]
    assert conversation.history.messages[-1].content == "It rains."


def test_a_model_that_cannot_be_warmed_ends_it() -> None:
    class Down(FakeLlm):
        async def warm(self, messages: object) -> None:
            raise EngineError("The endpoint is down.")

    async def run() -> None:
        clock = Clock()
        transport = TextTransport(lambda text: None)
        conversation = Conversation(JUNE, TextEngines(Down()), None, transport, Journal(None, clock), clock)
        running = asyncio.create_task(conversation.run())
        with pytest.raises(EngineError, match="down"):
            await running
        conversation.respond("is anybody there")
        assert not await conversation.answered()

    run_virtual(run())
