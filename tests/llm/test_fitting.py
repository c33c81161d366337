from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cvi.llm.base import Message
from cvi.llm.chat_template import DROP_MESSAGES, fit


def tokens_of(messages):
    """A tokenizer of one token a character, with four for each message's frame."""
    return [ord(c) for m in messages for c in f"<{m.role[0]}>{m.content}|"]


def talk(turns, size=20):
    return [Message(("user", "assistant")[i % 2], f"{i:03d}" + "." * size) for i in range(turns)]


SYSTEM = Message("system", "You are Ada.")


def text(tokens):
    return "".join(map(chr, tokens))


def test_messages_that_fit_are_unchanged():
    messages = [SYSTEM, *talk(4)]
    assert fit(messages, 1000, tokens_of) == tokens_of(messages)


def test_the_oldest_go_first_and_the_prompt_stays():
    kept = text(fit([SYSTEM, *talk(41)], 400, tokens_of))
    assert kept.startswith("<s>You are Ada.|")
    assert "040" in kept
    assert "000" not in kept


def test_the_words_stay_where_a_hint_follows_them():
    kept = text(fit([SYSTEM, *talk(41), Message("system", "Be brief.")], 400, tokens_of))
    assert "040" in kept and kept.endswith("<s>Be brief.|")


def test_a_growing_conversation_keeps_its_start_for_several_turns():
    starts = [text(fit([SYSTEM, *talk(n)], 600, tokens_of))[:40] for n in range(1, 80)]
    changes = sum(a != b for a, b in pairwise(starts))
    assert 1 <= changes <= 80 // DROP_MESSAGES


@given(st.integers(0, 60), st.integers(0, 300), st.integers(0, 300), st.integers(40, 600))
def test_the_tokens_always_fit(turns, system, last, room):
    messages = [Message("system", "s" * system), *talk(turns), Message("user", "u" * last)]
    assert len(fit(messages, room, tokens_of)) <= room


def test_too_long_texts_keep_the_beginning_of_the_prompt_and_the_end_of_the_words():
    kept = text(fit([Message("system", "S" + "s" * 500), Message("user", "u" * 500 + "U")], 200, tokens_of))
    assert kept.startswith("<s>Ss")
    assert kept.endswith("uU|")
