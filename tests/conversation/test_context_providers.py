"""What capabilities add to one turn: behind the cached prompt, before the turn's words, in no history."""

from __future__ import annotations

from collections.abc import Sequence

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import ContextProvided
from cvi.llm.base import Message
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


class _Notes:
    name = "knowledge"

    def __init__(self) -> None:
        self.followed: list[str] = []

    def follow(self, partial: str) -> None:
        self.followed.append(partial)

    def note(self, text: str) -> str:
        return "The office opens at nine." if "open" in text else ""


def test_a_note_stands_right_before_the_turn_it_is_for_and_only_there() -> None:
    script = Script()
    script.user_says(0.5, "when do you open in the morning")
    script.user_says(8.0, "thank you very much")
    llm, notes = FakeLlm(), _Notes()
    outcome = script.play(llm, capabilities=Capabilities([notes]))

    asked = [request for request in llm.asked if request[-1].content.startswith("when do you open")]
    assert asked[-1][-2].role == "system"
    assert asked[-1][-2].content == "The office opens at nine."
    thanked = [request for request in llm.asked if request[-1].content.startswith("thank you")]
    assert all("nine" not in message.content for message in thanked[-1])
    assert all("nine" not in message.content for message in outcome.history)
    written = [event for event in outcome.events if isinstance(event, ContextProvided)]
    assert {(event.source, event.text) for event in written} == {("knowledge", "The office opens at nine.")}


def test_providers_follow_the_words_while_they_are_spoken() -> None:
    script = Script()
    script.user_says(0.5, "when do you open in the morning on saturdays")
    llm, notes = FakeLlm(), _Notes()
    script.play(llm, capabilities=Capabilities([notes]))
    assert notes.followed
    assert "when do you open in the morning on saturdays".startswith(notes.followed[0])


class _Judging(FakeLlm):
    def __init__(self) -> None:
        super().__init__()
        self.judged: list[tuple[Message, ...]] = []

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        self.judged.append(tuple(messages))
        return await super().completeness(messages, text)


def test_a_turn_is_judged_with_the_note_that_was_read_with_its_words() -> None:
    script = Script()
    script.user_says(0.5, "when do you open in the morning on saturdays")
    script.user_says(12.0, "thanks")
    llm = _Judging()
    script.play(llm, capabilities=Capabilities([_Notes()]))
    assert llm.judged[0][-1] == Message("system", "The office opens at nine.")
    assert all("nine" not in message.content for message in llm.judged[-1])
