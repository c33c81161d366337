from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cvi.llm.llama_cpp import TokenTextReader


def read(raw, cuts, stop=()):
    reader = TokenTextReader(stop)
    edges = [0, *sorted(c % (len(raw) + 1) for c in cuts), len(raw)]
    out = "".join(reader.push(raw[a:b]) for a, b in pairwise(edges))
    return out + reader.finish()


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_characters_spread_over_tokens_are_whole(text, cuts):
    assert read(text.encode(), cuts) == text


STOPS = st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3)


@given(st.text("ab\n"), STOPS, st.lists(st.integers(0, 99)))
def test_stop_strings_are_found_across_borders(text, stop, cuts):
    ends = [(text.find(s) + len(s), text.find(s)) for s in stop if s in text]
    assert read(text.encode(), cuts, stop) == (text[: min(ends)[1]] if ends else text)


def test_the_possible_beginning_of_a_stop_string_is_held_back():
    reader = TokenTextReader(("\nUser:",))
    assert reader.push(b"Fine.\nUs") == "Fine."
    assert reader.push(b"ually not.") == "\nUsually not."
    assert reader.push(b"\nUser: hi") == ""
    assert reader.stopped
    assert reader.push(b"more") == reader.finish() == ""


def test_a_broken_character_becomes_the_replacement_mark():
    reader = TokenTextReader()
    assert reader.push("é".encode()[:1]) == ""
    assert reader.finish() == "\ufffd"
