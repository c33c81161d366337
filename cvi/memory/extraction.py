"""From what a participant said to memories: the conversation's model writes them down under a grammar.

A model of one or two billion parameters adds things that nobody said. So a memory is kept only when its words
and numbers stand in the turn it comes from, or in the question that the turn answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from cvi.knowledge.terms import stem, terms
from cvi.llm.base import LlmEngine, Message
from cvi.memory.store import KINDS, MemoryKind, StoredMemory

LEAST_LETTERS = 8
"""Turns of fewer letters that answer no question tell nothing."""
GROUNDED = 0.6
"""So large a part of a memory's words must have been said."""
MOST_AT_ONCE = 3
MOST_CANDIDATES = 4
_SHORT = 3
_TOKENS = 160
_OTHER = "something else"

_EXTRACT = """\
You keep notes about the user of a voice assistant, for their next conversation. From the user's last
words, write down only facts that the user said themselves and that still matter another day: name,
family, home, work, health, likes, plans, problems, what happened to them, what they decided. Each fact is
one short sentence that begins with "The user", in the user's language. Questions, greetings, thanks and
small talk give no facts: answer {"facts": []}. Never guess.

Examples:
User: Hello, can you hear me? -> {"facts": []}
User: How much does it cost? -> {"facts": []}
User: My brother Tom broke his leg on Monday. -> {"facts": [{"fact": "The user's brother Tom broke his \
leg on Monday.", "kind": "episode"}]}
User: I work as a nurse and I hate mushrooms. -> {"facts": [{"fact": "The user works as a nurse.", "kind": \
"profile"}, {"fact": "The user hates mushrooms.", "kind": "profile"}]}"""
_ABOUT_THE_TALK = re.compile(
    r"^The user (said|says|asked|asks|greeted|thanked|wants to know)\b|['\"“].*['\"”]$"
)
"""Not about the user: what a small model writes of a greeting or a question."""
_COMPARE = """\
You keep notes about a person. An old note can be out of date because of a new note: only when both tell about
the same thing and cannot both be true today. Notes about different things are both kept.

Examples:
Old note: The user lives in Rome. New note: The user lives in Oslo now. -> {"relation": \
"old note is out of date"}
Old note: The user has a dog. New note: The user's dog is called Rex. -> {"relation": "both are true"}
Old note: The user hates onions. New note: The user hates mushrooms. -> {"relation": "both are true"}"""
_RELATIONS = ("both are true", "old note is out of date")


@dataclass(frozen=True, slots=True)
class SaidTurn:
    """A turn of the participant's: its number, its words, and what the persona had said right before."""

    number: int
    text: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class NewMemory:
    """What a turn tells. `confidence` is the share of its words that were really said."""

    text: str
    kind: MemoryKind
    confidence: float


def worth_reading(turn: SaidTurn) -> bool:
    """Whether a turn can tell anything: it has some words, or answers a question."""
    return sum(map(len, terms(turn.text))) >= LEAST_LETTERS or turn.before.rstrip().endswith("?")


async def extract(llm: LlmEngine, turn: SaidTurn, topics: Sequence[str] = ()) -> list[NewMemory]:
    """What is worth keeping of a turn, about one of the topics where there are any; all of it was said.

    Works while no turn needs the model. Raises EngineError, UsageError as `LlmEngine.structured`.
    """
    if not worth_reading(turn):
        return []
    asked = f"Assistant: {turn.before}\n" if turn.before else ""
    about = f"Keep only facts about: {', '.join(topics)}.\n" if topics else ""
    question = f"{asked}User: {turn.text}\n\n{about}JSON with the facts that the user's last words tell:"
    messages = [Message("system", _EXTRACT), Message("user", question)]
    answer = await llm.structured(messages, _form(topics), max_tokens=_TOKENS)
    return _kept(answer, turn)


def _form(topics: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"fact": {"type": "string", "maxLength": 200}, "kind": {"enum": list(KINDS)}}
    if topics:
        fields["topic"] = {"enum": [*topics, _OTHER]}
    item = {"type": "object", "properties": fields, "required": list(fields)}
    facts = {"type": "array", "items": item, "maxItems": MOST_AT_ONCE}
    return {"type": "object", "properties": {"facts": facts}, "required": ["facts"]}


def _kept(answer: dict[str, Any], turn: SaidTurn) -> list[NewMemory]:
    kept: list[NewMemory] = []
    facts = answer.get("facts")
    for each in facts if isinstance(facts, list) else []:
        text = " ".join(str(each.get("fact", "")).split())
        kind = each.get("kind")
        share = grounded(text, turn)
        if (
            share < GROUNDED
            or _ABOUT_THE_TALK.search(text)
            or each.get("topic") == _OTHER
            or any(text == other.text for other in kept)
        ):
            continue
        kept.append(NewMemory(text, cast(MemoryKind, kind if kind in KINDS else "semantic"), round(share, 2)))
    return kept[:MOST_AT_ONCE]


def grounded(text: str, turn: SaidTurn) -> float:
    """The share of a memory's words of four letters and more that were said; 0 if a number or a name was not.

    What the persona had asked counts as said.
    """
    before = turn.before if turn.before.rstrip().endswith("?") else ""
    words = set(terms(f"{turn.text} {before}"))
    said = set(map(_beginning, words))
    written = [word for word in terms(text) if len(word) > _SHORT or word.isdigit()]
    own = [word for word in written if word not in ("user", "users")]
    capitals = [word.removesuffix("'s").removesuffix("’s") for word in text.split()[1:] if word[:1].isupper()]
    names = {name for word in capitals for name in terms(word) if len(name) > _SHORT}
    if not own or any((word.isdigit() or word in names) and word not in words for word in own):
        return 0.0
    return sum(_beginning(word) in said for word in own) / len(own)


def _beginning(word: str) -> str:
    """What inflected forms of a word share, in many languages."""
    return word[: _SHORT + 1]


def says_the_same(new: str, old: str) -> bool:
    """Whether all that a new memory says stands in an old one."""
    return set(map(stem, terms(new))) <= set(map(stem, terms(old)))


async def outdated(llm: LlmEngine, new: NewMemory, old: Sequence[StoredMemory]) -> list[StoredMemory]:
    """Which of the old memories, those most like the new one, no longer hold because of it.

    Raises EngineError, UsageError as `extract`.
    """
    fields = {"relation": {"enum": list(_RELATIONS)}}
    form = {"type": "object", "properties": fields, "required": ["relation"]}
    found: list[StoredMemory] = []
    for each in old[:MOST_CANDIDATES]:
        question = f"Old note: {each.text}\nNew note: {new.text}\n\nTheir relation as JSON:"
        messages = [Message("system", _COMPARE), Message("user", question)]
        answer = await llm.structured(messages, form, max_tokens=24)
        if answer.get("relation") == _RELATIONS[1]:
            found.append(each)
    return found
