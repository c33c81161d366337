import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cvi.llm.clauses import Clause, ClauseSplitter, RepetitionDetector, joined_clauses


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
        ("<p>Hello</p> you. 3 < 5 is so.", "Hello you. 3 < 5 is so."),
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
    assert spoken_text(raw, names=["Ada Miller", "Museum Guide"]) == spoken


@pytest.mark.parametrize(
    "slip",
    ["\nUser: and then", "\n\nHuman: hi", "\nAssistant: yes", " <|im_start|>user\n", "\n### Instruction:\n",
     "\nYou: hm", "<|im_end|>", "\n### User\n", "\n**User:** hm"],
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


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        # headings are said, wherever they stand
        ("### Steps\nBoil water. Then add tea.", "Steps. Boil water. Then add tea."),
        ("Here is how.\n\n## Steps:\n\nBoil water.", "Here is how. Steps: Boil water."),
        ("#", ""),
        ("# Tea", "Tea."),
        ("**Steps**\nBoil water.", "Steps. Boil water."),
        # labels that no speaker of the conversation has are words
        ("Question: what would you like to drink? I have tea.", "Question: what would you like to drink? I have tea."),
        ("Patient: please describe your pain.", "Patient: please describe your pain."),
        ("System requirements: you need two cores.", "System requirements: you need two cores."),
        ("Fine.\nAnswer: it is blue.\nCustomer: pays.", "Fine. Answer: it is blue. Customer: pays."),
        ("- User: a person\n- Assistant: a program", "User: a person. Assistant: a program."),
        # lists and tables
        ("Three tips:\n1. Eat\n2) Sleep\n3. Run\nBye.", "Three tips: Eat. Sleep. Run. Bye."),
        ("* [x] done\n• open", "done. open."),
        ("42. That is it.", "42. That is it."),
        ("| Day | Hours |\n|:---|---:|\n| Mon | 9-5 |\n", "Day, Hours. Mon, 9-5."),
        ("Day | Hours\n---|---\nMon | 9-5", "Day, Hours. Mon, 9-5."),
        # signs that are words
        ("If x < 5 and y >= 3, then `x > y`.", "If x < 5 and y >= 3, then x > y."),
        ("10^6 of #1 in C#, ~20 and 5 * 3 or 2*3", "10^6 of #1 in C#, ~20 and 5 × 3 or 2×3."),
        ("a -> b, to a_b@c.de", "a → b, to a_b@c.de."),
        ("AT&amp;T, 3&nbsp;&lt; 5 &amp so on", "AT&T, 3 < 5 &amp so on."),
        ("The area is \\(r^2\\) or $x^2 + 1$, for $5.", "The area is r^2 or x^2 + 1, for $5."),
    ],
)  # fmt: skip
def test_what_is_words_stays(raw, spoken):
    assert spoken_text(raw) == spoken


ANSWER = "Hello there, how can I help?"


@pytest.mark.parametrize(
    "raw",
    [
        "<think>The user greets me.</think>\n\n" + ANSWER,
        "<thinking>Brief.</think>" + ANSWER,
        "<reasoning>Brief. So: hello.</reasoning>" + ANSWER,
        "<seed:think>Brief.</seed:think>" + ANSWER,
        "[THINK]The user greets me, be brief.[/THINK]" + ANSWER,
        "◁think▷Brief.◁/think▷" + ANSWER,
        "<|begin_of_thought|>Brief.<|end_of_thought|><|begin_of_solution|>" + ANSWER,
        "<|START_THINKING|>Brief.<|END_THINKING|><|START_RESPONSE|>" + ANSWER,
        "Okay, the user greets me. I should be brief. One. Two. Three.\n</think>\n\n" + ANSWER,
        "We need to answer briefly. So be it. Yes. Done.</think>" + ANSWER,
        "Noon, I guess.</think>" + ANSWER,
        "Thought: greet back.\nAnswer: " + ANSWER,
        "<|channel|>analysis<|message|>Greets.<|end|><|start|>assistant<|channel|>final<|message|>" + ANSWER,
        "<|start|>assistant<|channel|>analysis<|message|>A. B. C. D.<|channel|>final<|message|>" + ANSWER,
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
        "<|start|>assistant<|channel|>final<|message|>" + ANSWER + "<|return|>",
        "analysisUser greets. We say hello.assistantfinal" + ANSWER,
        "<|im_start|>assistant\n" + ANSWER,
    ],
)
def test_reasoning_is_never_spoken(raw):
    spoken = []
    for clause in clauses(raw):
        spoken = [] if clause.restarts else [*spoken, clause.text]
    assert " ".join(spoken) == ANSWER


@pytest.mark.parametrize(
    "raw", ["<think>The user greets me.", "[THINK]Hm. Hm.", "<|channel|>analysis<|message|>Hm."]
)
def test_reasoning_without_an_end_leaves_nothing(raw):
    assert clauses(raw) == []


@pytest.mark.parametrize("raw", ["The user asks for the time. It is noon.", "We have to answer for that."])
def test_a_reply_that_only_looks_like_reasoning_is_said_at_its_end(raw):
    assert spoken_text(raw) == raw


@pytest.mark.parametrize(
    ("language", "raw", "sentences"),
    [
        ("zh", "你好！今天天气很好。我们去公园吧？好的。", ["你好！", "今天天气很好。", "我们去公园吧？"]),
        ("ja", "「はい。」そうです。元気ですか？また明日。", ["「はい。」", "そうです。", "元気ですか？"]),
        ("zh", "我有茶、咖啡，还有水。好", ["我有茶、咖啡，还有水。", "好."]),
        ("ar", "مرحبا! كيف حالك؟ أنا بخير، شكرا. نعم.", ["مرحبا!", "كيف حالك؟", "أنا بخير، شكرا."]),
        ("hi", "नमस्ते। आप कैसे हैं? ठीक।", ["नमस्ते।", "आप कैसे हैं?", "ठीक।"]),
        ("de", "Am 5. Nov. 2020 wurde es gebaut, z.B. die 3. Etage. Es hat 12 Zimmer.",
         ["Am 5. Nov. 2020 wurde es gebaut, z.B. die 3. Etage.", "Es hat 12 Zimmer."]),
        ("de", "Montag, 5. Mai, z. B. um 9 Uhr. Äpfel, d. h. Obst usw. Danke.",
         ["Montag, 5. Mai, z. B. um 9 Uhr.", "Äpfel, d. h. Obst usw.", "Danke."]),
        ("de-AT", "Ich bin 25. Du bist 30. Er ist alt.", ["Ich bin 25.", "Du bist 30.", "Er ist alt."]),
        ("de", "5. Mai passt. Ja.", ["5. Mai passt.", "Ja."]),
        ("en", "I saw Dr. Lee, e.g. at 5 p.m. on Monday. He left at 6 p.m. Then tea.",
         ["I saw Dr. Lee, e.g. at 5 p.m. on Monday.", "He left at 6 p.m.", "Then tea."]),
        ("fr", "M. Dupont vient, p. ex. demain. Oui.", ["M. Dupont vient, p. ex. demain.", "Oui."]),
        ("es", "El Sr. Gil y la Dra. Paz. Sí.", ["El Sr. Gil y la Dra. Paz.", "Sí."]),
        ("it", "Il sig. Rossi, per es. domani. Sì.", ["Il sig. Rossi, per es. domani.", "Sì."]),
        ("nl", "Bijv. morgen, d.w.z. dinsdag. Ja.", ["Bijv. morgen, d.w.z. dinsdag.", "Ja."]),
    ],
)  # fmt: skip
def test_sentences_end_by_language(language, raw, sentences):
    found = [""]
    for clause in clauses(raw, language=language, max_sentences=3):
        found[-1] = (
            f"{found[-1]} {clause.text}".strip()
            if found[-1].isascii() or language != "zh"
            else found[-1] + clause.text
        )
        if clause.ends_sentence:
            found.append("")
    assert [sentence for sentence in found if sentence] == sentences


def test_long_text_without_blanks_is_cut_at_its_pauses():
    out = clauses("今天天气很好，" * 3 + "我们去公园吧，" * 5 + "好", max_clause_chars=20, language="zh")
    assert all(clause.text.endswith("，") and len(clause.text) <= 20 for clause in out[:-1])


BITS = [
    "Hello ", "the clock ", "is ", "3.5 ", "Dr. ", "e.g. ", ", ", ". ", "! ", "?", "\n", "\n- ", "**", "*",
    "*nods* ", "(", ") ", "(laughs) ", "[", "](", "![", "<", "<b>", "<emotion value='sad'/>", "<think>",
    "</think>", "`", "```", "# ", "###", "User:", "Ada: ", "😀", "...", "— ", "_", "and ", "of ", "I ",
    "http://a.bc ", "1. ", "a.m. ", "[THINK]", "[/THINK]", "<|channel|>final<|message|>", "The user ", "。", "，",
    "| ", "5. ", "Mai ", "x < 5 ", "^", "->",
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
@example("0<[THINK]", 1)
@example("0 > [THINK]", 1)
def test_clauses_are_clean_and_bounded(raw, sentences):
    out = clauses(raw, max_sentences=sentences, max_clause_chars=60, max_chars=200)
    begins = max((number for number, clause in enumerate(out) if clause.restarts), default=0)
    assert sum(clause.ends_sentence for clause in out[begins:]) <= sentences
    assert sum(len(clause.text) for clause in out[begins:]) <= 260
    for clause in out:
        if clause.restarts:
            assert not clause.text
            continue
        assert len(clause.text) <= 60
        assert not re.search(r"[*`\[\]|{}\\]|\s\s|[\n\t]|^\s|\s$|\s[,!?;]", clause.text), clause.text
        # Signs stand where they are said: x < 5, x > 5, 10^6, #1, C#, ~20, a_b.
        signs = r"(?<=[\w )°%])[<>](?=[ =\d])|(?<=[\w)])\^|#(?=\w)|(?<=[A-Z])#|~(?=\d)|(?<=\w)_(?=\w)"
        assert not re.search(r"[#~<>_^]", re.sub(signs, "", clause.text)), clause.text
        assert any(c.isalnum() for c in clause.text)


def test_the_first_clause_comes_in_phrases_for_a_voice_that_can_begin_with_a_few_words():
    text = "The capital of Portugal is Lisbon on the wide river Tagus. It is old, and it is warm."
    found = clauses(text, phrase_words=3)
    assert [(clause.text, clause.goes_on) for clause in found] == [
        ("The capital of", True),
        ("Portugal is Lisbon on the wide", True),
        ("river Tagus.", False),
        ("It is old, and it is warm.", False),
    ]
    assert " ".join(clause.text for clause in found) == text


def test_a_voice_that_runs_dry_gets_what_is_written_of_any_clause():
    dry = False
    splitter = ClauseSplitter(phrase_words=3, runs_dry=lambda: dry)
    found = splitter.push("It is old and large. The wide river runs")
    assert joined_clauses(clause.text for clause in found) == "It is old and large."
    dry = True
    (phrase,) = splitter.push(" to")
    assert (phrase.text, phrase.goes_on) == ("The wide river runs", True)
    assert splitter.push(" the sea") == []  # no article is parted from its word
    (phrase,) = splitter.push(" in the west.")
    assert (phrase.text, phrase.goes_on) == ("to the sea", True)


def test_a_phrase_says_what_was_written_after_it_by_then():
    splitter = ClauseSplitter(phrase_words=3)
    assert splitter.push("The capital of") == []
    (phrase,) = splitter.push(" Portu")
    assert (phrase.text, phrase.following) == ("The capital of", "Portu")


@pytest.mark.parametrize(
    "text",
    [
        "Well, I think so.",
        "Yes, of course.",
        "It has 3 doors and 4 windows.",
        "This is the only one.",
        "Three.",
    ],
)
def test_no_phrase_where_a_clause_ends_first_or_a_number_or_article_would_be_parted(text):
    for clause in clauses(text, phrase_words=3):
        if clause.goes_on:
            assert clause.text.split()[-1].isalpha()
            assert clause.text.split()[-1] not in ("the", "a", "an")
