import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvi.llm.clauses import Clause, ClauseSplitter, RepetitionDetector


def clauses(text, **options):
    splitter = ClauseSplitter(**options)
    return splitter.push(text) + splitter.finish()


def spoken_text(text, **options):
    return " ".join(clause.text for clause in clauses(text, **{"max_sentences": 20, **options}))


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("*smiles warmly* Hello there. *nods* Yes.", "Hello there. Yes."),
        ("(laughs) That is funny (softly) indeed.", "That is funny indeed."),
        ("Good. [pause] Now we begin.", "Good. Now we begin."),
        ("I *really* think so, and I *always* do.", "I really think so, and I always do."),
        ("It costs **three** euros, `exactly`.", "It costs three euros, exactly."),
        ("# Opening hours\nWe open at __nine__.", "Opening hours. We open at nine."),
        ("- One clock\n- Two clocks\n1. A dial", "One clock. Two clocks. A dial."),
        ("See [our page](https://example.org/a_b) for more.", "See our page for more."),
        ("Look at ![a clock](c.png) it.", "Look at a clock it."),
        ("Go to https://example.org/x. Then call.", "Go to the link. Then call."),
        ("Hi 😀👍🏽 there ❤️!", "Hi there!"),
        ("Run this:\n```python\nprint('x')\n```\nDone.", "Run this: Done."),
        ("<think>They want the time. </thin</think>It is noon.", "It is noon."),
        ("<p>Hello</p> you. 3 < 5 is so.", "Hello you. 3 5 is so."),
        ("It is 20 °C (about 68 F) outside.", "It is 20 °C (about 68 F) outside."),
        ("Wait !  Really ?? Yes , sure .", "Wait! Really? Yes, sure."),
        ("> As they say\n---\nTime flies.", "As they say. Time flies."),
        ("-5 degrees it was.", "-5 degrees it was."),
        ("42.", "42."),
        ("Hello", "Hello."),
        ("[only this] *waves*", ""),
        ("", ""),
    ],
)
def test_what_is_not_spoken_is_removed(raw, spoken):
    assert spoken_text(raw) == spoken


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("Guide: Hello you.", "Hello you."),
        ("Museum Guide: Hello you.", "Hello you."),
        ("**Ada:** Hello you.", "Hello you."),
        ("Assistant: Hello you.", "Hello you."),
        ("Sure: it opens at ten.", "Sure: it opens at ten."),
        ("Hello you.\nAda: I am here.", "Hello you. I am here."),
        ("There are two: a big one and a small one.", "There are two: a big one and a small one."),
    ],
)
def test_labels_are_removed(raw, spoken):
    assert spoken_text(raw, names=["Ada"]) == spoken


@pytest.mark.parametrize(
    "slip",
    ["\nUser: and then", "\n\nHuman: hi", "\nAssistant: yes", " <|im_start|>user\n", "\n### Instruction",
     "\nVisitor: hm", "<|im_end|>"],
)  # fmt: skip
def test_the_reply_ends_where_another_speaker_begins(slip):
    splitter = ClauseSplitter()
    out = splitter.push("We open at nine." + slip + " more. And more.")
    assert splitter.done
    assert [clause.text for clause in out] == ["We open at nine."]
    assert splitter.push("Again. ") == splitter.finish() == []


@pytest.mark.parametrize(
    ("raw", "first"),
    [
        ("Well, yes, that is the oldest clock we have here.", "Well, yes,"),
        ("Of course: it was built in Prague.", "Of course:"),
        ("It was made long ago by brothers and never stopped.", "It was made long ago by brothers"),
        ("It costs 3.5 million, I believe.", "It costs 3.5 million,"),
        ("It has 1,500 parts.", "It has 1,500 parts."),
        ("Dr. Miller made it.", "Dr. Miller made it."),
        ("Some tools, e.g. files.", "Some tools,"),
        ("It is 3.5 m tall.", "It is 3.5 m tall."),
        ("We met J. S. Bach there.", "We met J. S. Bach there."),
        ("Take vitamin C. It helps.", "Take vitamin C."),
        ("We open at 9 a.m. Come early.", "We open at 9 a.m."),
        ("We open at 9 a.m. on Monday.", "We open at 9 a.m. on Monday."),
        ("No. It is not.", "No."),
        ('"It is late." He left.', '"It is late."'),
    ],
)
def test_the_first_clause_comes_early_and_whole(raw, first):
    assert clauses(raw)[0].text == first


def test_the_first_clause_does_not_wait_for_the_sentence():
    splitter = ClauseSplitter()
    assert splitter.push("Of course") == []
    assert splitter.push(",") == [Clause("Of course,", False)]
    assert splitter.push(" I") == []
    assert splitter.push(" can show you, if you") == [Clause("I can show you,", False)]
    assert splitter.push(" like it, or not.") == []
    assert splitter.push(" ") == [Clause("if you like it, or not.", True)]


@pytest.mark.parametrize("raw", ["In 2,", 'He said "yes,', "See www.here.com/a,", "Well,"])
def test_a_comma_that_may_be_no_pause_waits_for_the_next_word(raw):
    assert ClauseSplitter().push(raw) == []


def test_sentences_are_capped():
    splitter = ClauseSplitter(max_sentences=2)
    out = splitter.push("One is here. Two is there. Three is gone. ")
    assert [clause.text for clause in out] == ["One is here.", "Two is there."]
    assert splitter.done


def test_a_long_sentence_is_split_at_a_pause():
    out = clauses(
        "Long ago, before there were towers anywhere in the land, somebody cut twelve lines into a flat "
        "stone without knowing that people would measure their whole lives by it one day",
        max_clause_chars=80,
    )
    assert [clause.text for clause in out] == [
        "Long ago,",
        "before there were towers anywhere in the land,",
        "somebody cut twelve lines into a flat stone without knowing",
        "that people would measure their whole lives by it one day.",
    ]


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("I am sorry. I am sorry. I am sorry.", "I am sorry."),
        ("I'm sorry, I'm sorry, I'm sorry, I'm sorry.", "I'm sorry,"),
        ("It is a very very very very very old one.", "It is a very."),
        ("We have the very old clock here, near the very old clock here, by the very old clock here.", None),
    ],
)
def test_repetitions_end_the_reply(raw, spoken):
    splitter = ClauseSplitter(max_sentences=9)
    out = " ".join(clause.text for clause in splitter.push(raw + " And more. And again more."))
    assert splitter.done
    assert spoken is None or out == spoken
    assert "more" not in out


def test_yes_twice_is_no_repetition():
    assert spoken_text("Yes. Yes. It is very, very old.") == "Yes. Yes. It is very, very old."


def test_where_a_repetition_begins():
    detector = RepetitionDetector()
    assert detector.find("tick tock goes the clock", False) is None
    assert detector.find("tick tock tick tock tick tock", True) == len("tick tock ")


def test_an_emotion_belongs_to_the_clause_after_it():
    out = clauses('<emotion value="Happy"/>Good, you came. <emotion value=sad>It is closed.')
    assert [(clause.text, clause.emotion) for clause in out] == [
        ("Good, you came.", "happy"),
        ("It is closed.", "sad"),
    ]


BITS = [
    "Hello ", "the clock ", "is ", "3.5 ", "Dr. ", "e.g. ", ", ", ". ", "! ", "?", "\n", "\n- ", "**", "*",
    "*nods* ", "(", ") ", "(laughs) ", "[", "](", "![", "<", "<b>", "<emotion value='sad'/>", "<think>",
    "</think>", "`", "```", "# ", "###", "User:", "Ada: ", "😀", "...", "— ", "_", "and ", "of ", "I ",
    "http://a.bc ", "1. ", "a.m. ",
]  # fmt: skip
RAW = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(BITS),
        max_size=40,
    ).map("".join),
)


@given(RAW, st.lists(st.integers(0, 400)))
def test_the_clauses_do_not_depend_on_the_pieces(raw, cuts):
    splitter = ClauseSplitter(names=["Ada"])
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    out = [c for a, b in pairwise(edges) for c in splitter.push(raw[a:b])] + splitter.finish()
    assert out == clauses(raw, names=["Ada"])


@given(RAW, st.integers(1, 4))
def test_clauses_are_clean_and_bounded(raw, sentences):
    out = clauses(raw, max_sentences=sentences, max_clause_chars=60, max_chars=200)
    assert sum(clause.ends_sentence for clause in out) <= sentences
    assert sum(len(clause.text) for clause in out) <= 260
    for clause in out:
        assert len(clause.text) <= 60
        assert not re.search(r"[*#`~<>\[\]_|{}\\]|\s\s|[\n\t]|^\s|\s$|\s[,!?;]", clause.text), clause.text
        assert any(c.isalnum() for c in clause.text)
