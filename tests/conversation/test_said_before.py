"""What was said before and is asked for is told the model behind the words."""

import pytest

from cvi.conversation.events import ContextProvided
from cvi.conversation.history import History
from cvi.conversation.said_before import MOST_CHARACTERS, said_before_hint
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


@pytest.fixture
def history() -> History:
    history = History("You are Ada.")
    history.add_heard("Hello, what would you like to know?", interrupted=False)
    for turn, reply in (
        ("What helps against a squeaky door", "A drop of oil."),
        ("I am Omar and I collect stamps.", "Which ones do you like best?"),
        ("How long is the Nile?", "The Nile is about 6,650 kilometres long."),
        ("What was my first question?", "You asked what helps against a squeaky door."),
    ):
        history.add_user(turn)
        history.add_heard(reply, interrupted=False)
    return history


@pytest.mark.parametrize(
    ("text", "told", "begins"),
    [
        ("what was my first question", ["What helps against a squeaky door"], "You asked"),
        ("What did I just ask you?", ["How long is the Nile?"], "You asked"),
        ("What was the last thing I said?", ["How long is the Nile?"], "You said"),
        ("what did i tell you about myself", ["I am Omar and I collect stamps."], "You said"),
        ("Do you remember what I asked you?", ["What helps", "How long is the Nile?"], "You asked"),
        ("What did you tell me about the Nile?", ["The Nile is about 6,650 kilometres long."], "I said"),
        ("And what did you ask me?", ["Hello, what would you", "Which ones do you"], "I asked"),
    ],
)
def test_the_words_that_are_asked_for_are_told(
    history: History, text: str, told: list[str], begins: str
) -> None:
    hint = said_before_hint(history, text)
    assert hint.endswith(f'begin with "{begins}".')
    assert hint.count('"') == 2 * len(told) + 2
    assert all(f'"{words}' in hint for words in told)
    history.add_user(text)  # the turn itself is none of them
    assert said_before_hint(history, text) == hint


@pytest.mark.parametrize(
    "text", ["What do I need?", "What did they say about it?", "Can I ask you something?", "What is my name?"]
)
def test_other_questions_are_answered_as_always(history: History, text: str) -> None:
    assert said_before_hint(history, text) == ""


def test_nothing_said_is_said_and_much_is_cut() -> None:
    history = History("You are Ada.")
    assert "asked nothing before" in said_before_hint(history, "What was my first question?")
    for number in range(40):
        history.add_user(f"I have been to country number {number} of the long list.")
        history.add_heard("Nice.", interrupted=False)
    hint = said_before_hint(history, "What did I tell you?")
    assert "number 39" in hint and "number 0 " not in hint and len(hint) < MOST_CHARACTERS + 200


def test_it_reaches_the_model_and_the_journal() -> None:
    script = Script()
    script.user_says(0.5, "why is the sky blue")
    script.user_says(8.0, "what was my first question")
    llm = FakeLlm()
    outcome = script.play(llm)
    last = llm.asked[-1][-1]
    assert last.role == "system" and '"why is the sky blue"' in last.content
    assert [event.source for event in outcome.of(ContextProvided)] == ["said_before_hint"]
