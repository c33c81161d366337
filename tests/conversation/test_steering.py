"""A conversation steered by an application while it runs."""

from __future__ import annotations

from cvi.conversation.events import ReplyInterrupted, TurnCommitted
from cvi.conversation.history import History
from cvi.conversation.settings import ConversationSettings
from cvi.conversation.transcript import transcript
from cvi.llm.base import Message
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script, ScriptOutcome


def said(outcome: ScriptOutcome) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in transcript(outcome.events)]


def test_say_speaks_exactly_the_text_and_it_is_history() -> None:
    script = Script()
    script.app_does(1.0, lambda c: c.say("The doctor will see you now."))
    outcome = script.play()
    assert said(outcome) == [("assistant", "The doctor will see you now.")]
    assert outcome.history[-1].content == "The doctor will see you now."
    assert outcome.sound_between(1.0, 2.0).any()


def test_say_replaces_a_reply() -> None:
    script = Script()
    script.app_does(0.2, lambda c: c.say("One two three four five six seven eight nine ten eleven twelve."))
    script.app_does(2.0, lambda c: c.say("Something urgent."))
    outcome = script.play()
    assert [event.why for event in outcome.of(ReplyInterrupted)] == ["replaced"]
    assert said(outcome)[-1] == ("assistant", "Something urgent.")


def test_respond_answers_as_if_it_had_been_said() -> None:
    script = Script()
    script.app_does(1.0, lambda c: c.respond("what is your name"))
    outcome = script.play(FakeLlm(lambda messages: f"You wrote {messages[-1].content}."))
    assert said(outcome) == [
        ("user", "what is your name"),
        ("assistant", "You wrote what is your name."),
    ]


def test_say_in_the_middle_of_a_turn_drops_the_turn_and_the_next_one_works() -> None:
    script = Script()
    ends = script.user_says(1.0, "tell me a very long story about the sea and the ships")
    script.app_does(2.0, lambda c: c.say("Just a moment please."))
    script.user_says(ends + 4.0, "thank you")
    outcome = script.play(FakeLlm(["Gladly."]))
    assert said(outcome)[0] == ("assistant", "Just a moment please.")
    assert ("user", "thank you") in said(outcome)
    assert outcome.reason == "caller_over"


def test_interrupt_cuts_and_is_harmless_in_silence() -> None:
    script = Script()
    script.app_does(0.1, lambda c: c.interrupt())
    script.app_does(1.0, lambda c: c.say("One two three four five six seven eight nine ten."))
    script.app_does(2.0, lambda c: c.interrupt())
    outcome = script.play()
    assert len(outcome.of(ReplyInterrupted)) == 1
    assert not outcome.sound_between(2.3, 4.0).any()


def test_a_greeting_can_be_uninterruptible() -> None:
    greeting = "Welcome to the clinic, please listen to these words about your data before we begin."
    for interruptible in (True, False):
        script = Script()
        script.user_says(1.0, "stop stop stop now")
        script.user_says(12.0, "thank you")
        settings = ConversationSettings("x", "", greeting, greeting_interruptible=interruptible)
        outcome = script.play(settings=settings)
        assert (said(outcome)[0] == ("assistant", greeting)) is not interruptible
        assert ("user", "thank you") in said(outcome)


def test_context_reaches_the_next_answer() -> None:
    script = Script()
    script.app_does(0.2, lambda c: c.append_context("The user is called Ada."))
    script.app_does(1.0, lambda c: c.respond("who am i"))
    script.app_does(5.0, lambda c: c.replace_context("You are a pirate."))
    script.app_does(6.0, lambda c: c.respond("who are you"))
    llm = FakeLlm(["Aye."])
    script.play(llm, settings=ConversationSettings("x", "You are a guide."))
    first, second = ([(message.role, message.content) for message in asked] for asked in llm.asked)
    assert first == [
        ("system", "You are a guide."),
        ("system", "The user is called Ada."),
        ("user", "who am i"),
    ]
    assert second == [
        ("system", "You are a guide."),
        ("user", "who am i"),
        ("assistant", "Aye."),
        ("system", "You are a pirate."),
        ("user", "who are you"),
    ]


def test_sensitivity_changes_the_patience() -> None:
    waits = []
    for patience in ("low", "high"):
        script = Script()
        script.app_does(0.1, lambda c, p=patience: c.adjust(p, "medium"))
        script.user_says(0.5, "what is your name")
        waits.append(script.play().of(TurnCommitted)[0].silence_ms)
    assert waits[0] < waits[1]


def test_a_replaced_context_survives_a_turn_taken_back() -> None:
    history = History("Old.")
    history.add_user("hello")
    history.replace_context("New.")
    history.take_back_user()
    assert [message.content for message in history.messages] == ["Old.", "New."]
    history.replace_context("")
    history.append_context("Added.")
    assert [message.content for message in history.messages] == ["Old.", "Added."]


def test_a_replaced_context_stands_behind_all_that_was_read() -> None:
    history = History("You are a guide.", prelude=[Message("user", "hi"), Message("assistant", "Hi!")])
    history.append_context("The participant is called Tom.")
    first = history.recent
    assert [message.role for message in first] == ["system", "user", "assistant", "system"]
    history.add_heard("Hello, Tom.", interrupted=False)
    assert history.recent[:4] == first, "what was warmed up is not read again"
    head = history.recent[:3]
    for page in ("prices", "about us"):
        history.replace_context(f"They look at the page {page}.")
        assert history.recent[:3] == head
        assert history.recent[-1].content == f"They look at the page {page}."
        assert "Tom" not in "".join(message.content for message in history.recent if message.role == "system")
        read = history.recent
        history.add_user("go on")
        history.add_heard("All right.", interrupted=False)
        assert history.recent[: len(read)] == read


def test_appended_context_changes_nothing_before_it() -> None:
    history = History("You are a guide.")
    history.add_user("hello")
    history.append_context("It rains.")
    history.add_heard("Good day.", interrupted=False)
    before = history.recent
    assert [message.role for message in before] == ["system", "user", "assistant", "system"]
    assert history.with_user("and now")[:4] == before
    history.append_context("The sun shines.")
    assert history.with_user("and now")[:4] == before
    history.add_user("and")
    history.append_context("It snows.")
    history.take_back_user()
    assert [message.content for message in history.with_user("and now")[3:]] == [
        "It rains.",
        "The sun shines.",
        "It snows.",
        "and now",
    ]


def test_appended_context_stays_when_its_turn_is_no_longer_recent() -> None:
    for recent_turns in (0, 1, 2):
        history = History("You are a guide.", recent_turns, [Message("user", "a"), Message("assistant", "b")])
        history.append_context("It rains.")
        for number in range(4):
            history.add_user(f"question {number}")
            history.add_heard("Yes.", interrupted=False)
        asked = history.with_user("and now")
        assert [message.content for message in asked[:4]] == ["You are a guide.", "a", "b", "It rains."]
        assert asked[-1] == Message("user", "and now")
