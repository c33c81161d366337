import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvi.llm.text_completeness import text_completeness


@pytest.mark.parametrize(
    "text",
    ["could you tell me about the", "i went there and", "um", "i want to go to", "what time do you",
     "my name is", "well,", "I was thinking...", "so because", "how much is it for the"],
)  # fmt: skip
def test_unfinished_turns(text):
    assert text_completeness(text) < 0.4


@pytest.mark.parametrize(
    "text",
    ["what time do you open tomorrow", "yes", "no thank you", "stop", "i think so", "yes i do",
     "what is it about", "tell me more", "How old is the big clock?", "i would like a table for two please"],
)  # fmt: skip
def test_complete_turns(text):
    assert text_completeness(text) > 0.6


def test_an_empty_text_is_not_complete():
    assert text_completeness("") == text_completeness(" ... ") == 0


@given(st.text())
def test_it_is_a_probability_and_ignores_case(text):
    score = text_completeness(text)
    assert 0 <= score <= 1


@given(st.lists(st.sampled_from("what is the big clock and i see you um stop".split()), min_size=1))
def test_case_and_full_stops_do_not_matter(words):
    line = " ".join(words)
    assert text_completeness(line.upper() + ".") == text_completeness(line)
