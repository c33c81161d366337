"""The grader of grounded answers takes a declined answer for none."""

from __future__ import annotations

import pytest

from cvi.bench.knowledge.grounded import is_right
from cvi.bench.knowledge.question_set import Question


def question(passage: str, answer: str) -> Question:
    return Question("May I bring a dog?", "rules.md", "en", passage, answer)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("No, dogs aren't allowed.", True),
        ("You can't bring a dog; a kennel is not provided.", True),
        ("I don't know whether dogs are allowed.", False),
        ("I'm sorry, my documents don't say anything about that.", False),
        ("I don't have that information.", False),
    ],
)
def test_a_declined_answer_is_not_right_though_the_pattern_finds_its_not(answer: str, right: bool) -> None:
    assert is_right(question("no dogs", r"^no\b|n['’]t"), answer) is right


def test_a_question_without_an_answer_wants_a_refusal() -> None:
    assert is_right(question("", ""), "I'm sorry, my documents don't say anything about that.")
    assert not is_right(question("", ""), "Yes, dogs are allowed.")
