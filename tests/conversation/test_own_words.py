"""The persona's own words that come back through the microphone are no turn. In virtual time."""

from __future__ import annotations

import pytest

from cvi.conversation.events import (
    BargeIn,
    EchoHeard,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyInterrupted,
    ReplyResumed,
)
from cvi.testing.fakes import FakeLlm, FakeStt, FakeSttStream
from cvi.testing.script import Script, ScriptOutcome
from cvi.turns.words import floor_words

STORY = "once upon a time there was a keeper who lived alone on a rock far out in the cold sea."


class LateStt(FakeStt):
    """Knows no words before a pause."""

    def open(self) -> FakeSttStream:
        stream = super().open()

        async def partial() -> str:
            return ""

        stream.partial = partial  # type: ignore[method-assign]
        return stream


def over_the_story(text: str, after_s: float, *, late: bool = False) -> ScriptOutcome:
    """`text` is said over the story, so long after its first sound."""
    first = Script()
    first.user_says(0.5, "tell me a story")
    began_s = first.play(FakeLlm([STORY])).of(ReplyFirstAudio)[0].at_s
    script = Script()
    script.user_says(0.5, "tell me a story")
    script.user_says(began_s + after_s, text)
    stt = LateStt(script.vocabulary) if late else None
    return script.play(FakeLlm([STORY, "as you like"]), stt=stt)


def words_at(share: float) -> tuple[str, float]:
    """Four words of the story and about when they sound, seconds after its first."""
    whole = over_the_story("", 0.0)
    ends_s = whole.of(ReplyFinished)[0].t - whole.of(ReplyFirstAudio)[0].at_s
    words = STORY.split()
    first = round(share * len(words))
    return " ".join(words[first : first + 4]), ends_s * first / len(words)


def test_its_own_words_are_no_interruption() -> None:
    text, at_s = words_at(0.3)
    outcome = over_the_story(text, at_s + 0.15)
    assert [event.text for event in outcome.of(EchoHeard)] == [text]
    assert not outcome.of(ReplyInterrupted)
    assert outcome.of(ReplyFinished)[0].text == STORY


def test_a_stop_in_the_middle_of_them_is_heard() -> None:
    text, at_s = words_at(0.3)
    outcome = over_the_story(f"{text} stop", at_s + 0.15)
    assert outcome.of(BargeIn) and not outcome.of(EchoHeard)


def test_a_reply_that_they_cut_goes_on() -> None:
    text, at_s = words_at(0.3)
    outcome = over_the_story(text, at_s + 0.15, late=True)
    assert outcome.of(BargeIn) and outcome.of(EchoHeard) and outcome.of(ReplyResumed)
    assert outcome.of(ReplyFinished)[0].text == STORY


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("there was a keeper", True),
        ("there was the keeper who", True),
        ("was a", True),
        ("keeper", False),
        ("but who was the man", False),
        ("where did she live", False),
        ("there was a keeper wait stop please", False),
        ("", False),
    ],
)
def test_what_counts_as_its_own_words(text: str, repeats: bool) -> None:
    assert floor_words("en").repeats(text, "once upon a time there was a keeper who lived alone") is repeats


def test_words_said_long_before_are_not_its_own_any_more() -> None:
    long_ago = "there was a keeper " + " ".join(f"word{k}" for k in range(30))
    assert not floor_words("en").repeats("there was a keeper", long_ago)
    assert floor_words("zh").repeats("看守人住在", "从前有一个看守人住在海边")
