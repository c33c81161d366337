"""A small model judges turns while the large one reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cvi.errors import EngineError
from cvi.llm.base import Message, Sampling
from cvi.llm.judge import JudgedLlm, judged_messages
from cvi.testing.contracts.llm import check_llm
from cvi.testing.fakes import FakeLlm

HISTORY = [
    Message("system", "You are June."),
    Message("user", "hello"),
    Message("assistant", "Hello, what is your name?"),
    Message("user", "I am Bo"),
    Message("assistant", "And what brings you here?"),
]


class Recorder(FakeLlm):
    """A fake that notes what it was asked to read and judge."""

    def __init__(self, probability: float | None, fails: bool = False) -> None:
        super().__init__(["An answer."])
        self.read: list[str] = []
        self.judged: list[tuple[list[str], str]] = []
        self._probability = probability
        self._fails = fails

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        self.read.append(partial)
        if self._fails:
            raise EngineError("no memory")

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        self.judged.append(([message.content for message in messages], text))
        await asyncio.sleep(0)
        return self._probability


async def test_contract() -> None:
    await check_llm(JudgedLlm(FakeLlm(["I am fine."]), FakeLlm(["unused"])))


async def test_the_judge_judges_and_the_main_model_reads_meanwhile() -> None:
    main, judge = Recorder(0.1), Recorder(0.9)
    llm = JudgedLlm(main, judge)
    assert await llm.completeness(HISTORY, "I lost my keys") == 0.9
    assert main.read == ["I lost my keys"] and main.judged == []
    (messages, text), = judge.judged
    assert text == "I lost my keys"
    assert messages[1:] == ["Hello, what is your name?", "I am Bo", "And what brings you here?"]


def test_the_judge_reads_a_greeting_where_the_persona_has_said_nothing_yet() -> None:
    instructions, greeting = judged_messages([Message("system", "You are Ada, and much more.")])
    assert (instructions.role, greeting.role) == ("system", "assistant")
    assert "Ada" not in instructions.content
    said = Message("assistant", "Hello, what is your name?")
    assert judged_messages([said]) == [instructions, said]


async def test_a_main_model_that_fails_to_read_does_not_disturb_the_judge() -> None:
    llm = JudgedLlm(Recorder(0.1, fails=True), Recorder(0.7))
    assert await llm.completeness(HISTORY, "so") == 0.7
    await asyncio.sleep(0)
    await llm.close()


async def test_words_are_read_by_both() -> None:
    main, judge = Recorder(None), Recorder(0.5)
    await JudgedLlm(main, judge).prefill(HISTORY, "I lost")
    assert main.read == judge.read == ["I lost"]


async def test_answers_come_from_the_main_model() -> None:
    llm = JudgedLlm(FakeLlm(["From the main model."]), FakeLlm(["From the judge."]))
    pieces = [piece async for piece in llm.stream([Message("user", "hi")], Sampling())]
    assert "".join(pieces).strip() == "From the main model."
