"""From found passages to the note that the model reads before a turn, and how it cites them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from cvi.knowledge.asking import Asking
from cvi.knowledge.injection import without_addresses
from cvi.knowledge.passages import words_in
from cvi.knowledge.relevance import GATE
from cvi.knowledge.search import Found
from cvi.knowledge.store import StoredPassage

HEAD = (
    "Documents say this about what is said next. Answer from it, briefly and in your own words, and name the "
    "document or page."
)
NOTHING = (
    "The documents say nothing about what is said next. Unless you know it from the other person, say that "
    "you don't know."
)
BEFORE = "Your last answer was from this. Say where it stands: name the document and page."
QUOTED = 0.7
"""From this relevance on the closest sentence may be read out in place of a reply. Of the graded English
questions about one document 40 of 60 with an answer reach it, none of 30 without."""
GATE_LOG_ODDS = math.log(GATE / (1.0 - GATE))
SECOND_WITHIN = 2.5
"""A second passage is told where its log-odds lie so little below the first one's. On the development
questions as many have their answer among what is told as with every second passage that passes the gate."""
WHOLE = 4 / 3
"""A passage of so many windows of words is not cut."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much the model is told for a turn: `passages` at most, `words` in all, `window` of each."""

    passages: int
    words: int
    window: int


BUDGETS = {"speed": Budget(1, 60, 30), "balanced": Budget(2, 160, 60), "quality": Budget(4, 450, 130)}
"""A model of 1.5 billion parameters reads about 60 words a second on two cores, while somebody speaks. Of the
development questions as many have their answer among what is told in windows of 60 words as in whole
passages."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the model is told, the passages it holds, and the sentence of them that most likely answers, ""
    where that is not sure."""

    text: str
    passages: tuple[StoredPassage, ...] = ()
    closest: str = ""


def place_of(passage: StoredPassage) -> str:
    """How a passage is cited: "house rules, page 4, Quiet hours"."""
    name = PurePath(passage.document).stem.replace("_", " ").replace("-", " ")
    page = f"page {passage.page}" if passage.page else ""
    last = passage.heading.rpartition(" > ")[2]
    return ", ".join(part for part in (name, page, last) if part)


def choose(found: Sequence[Found], budget: Budget, asking: Asking) -> list[Found]:
    """The passages that pass the gate and fit the budget, the likeliest first."""
    chosen: list[Found] = []
    words = 0.0
    for each in sorted(found, key=lambda one: -one.relevance):
        wanted = asking.gated(each.relevance)
        if wanted < GATE_LOG_ODDS or len(chosen) >= budget.passages:
            break
        if chosen and wanted < asking.gated(chosen[0].relevance) - SECOND_WITHIN:
            break
        size = words_in(window_of(each, budget.window))
        if chosen and words + size > budget.words:
            continue
        chosen.append(each)
        words += size
    return chosen


def window_of(found: Found, words: int) -> str:
    """The part of a passage of about so many words around the sentence closest to the question."""
    text, scores = found.passage.text, [score for _, score in found.sentences]
    if not scores or words_in(text) <= words * WHOLE:
        return text
    first = last = scores.index(max(scores))
    sizes = [words_in(sentence) for sentence, _ in found.sentences]
    while True:
        room = words - sum(sizes[first : last + 1])
        beside = [at for at in (last + 1, first - 1) if 0 <= at < len(sizes) and sizes[at] <= room]
        if not beside:
            break
        at = max(beside, key=lambda each: scores[each])
        first, last = min(first, at), max(last, at)
    sentences = [sentence for sentence, _ in found.sentences[first : last + 1]]
    start = text.find(sentences[0])
    end = text.find(sentences[-1], start) + len(sentences[-1])
    return text[start:end] if 0 <= start < end else " ".join(sentences)


def write_note(chosen: Sequence[Found], window: int, head: str = HEAD) -> Note:
    """The note for these passages; the one that says that there is nothing, for none."""
    if not chosen:
        return Note(NOTHING)
    parts = [f"[{place_of(each.passage)}]\n{without_addresses(window_of(each, window))}" for each in chosen]
    closest = without_addresses(chosen[0].closest) if chosen[0].relevance >= QUOTED else ""
    return Note("\n\n".join([head, *parts]), tuple(each.passage for each in chosen), closest)
