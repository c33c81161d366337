"""Whether a sentence of a reply stands in the documents' passages that the model was given for it.

Without a model, in a few ms. Numbers and names must stand in what the model was told: the passages, the
participant's words, the persona's prompt, what was said before. Beyond that a regression on figures of its
words (`support`) gives the probability that the passages support a sentence. Where a reply is in another
language than the passages, numbers alone are looked at.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import cached_property

from cvi.conversation.events import (
    ContextAppended,
    ContextProvided,
    ContextReplaced,
    Event,
    MemoriesRecalled,
    ReplyFinished,
    ReplyInterrupted,
    ToolCalled,
    ToolReused,
    TurnCommitted,
    TurnTyped,
)
from cvi.knowledge.notes import BEFORE, HEAD, NOTHING
from cvi.knowledge.terms import terms
from cvi.policy.support import WordEvidence, WordWeights, contains, numbers, support_model

_REFUSES = re.compile(
    r"(\bnot|n['’]t|\bcannot|\bunable to|\bno)\b.{0,40}\b(know|says?|mention\w*|state[sd]?|tell|provide|"
    r"contain|specif\w+|find|answer|information|details?|indicat\w+|aware|sure|help|policy)\b|\bunsure\b|\bsilent\b|"
    r"\bsays? nothing\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\?\W*$|\b(what|when|where|who|whom|whose|why|how|which|tell me|explain)\b|"
    r"^\W*(is|are|am|do|does|did|can|could|may|will|would|shall|should|has|have)\b",
    re.IGNORECASE,
)
_TO_PERSONA = frozenset(
    "name hear joke robot human person computer weather today mean repeat live old time".split()
)
"""What questions to the persona itself are about, which no document answers."""
_ABOUT = 0.2
"""Words of a question that weigh less ("how": 0.12) are not what it is about."""
_WORD = re.compile(r"[^\W\d_]+")
_REMEMBERED = 12
"""So many of the last turns and replies count as said before."""


@dataclass(frozen=True)
class Ground:
    """What a reply may say: what the passages hold ("" where nothing was found), the `turn` it answers, what
    else the model knows (the persona's prompt, other notes, what it said), what was said `before` by the
    participant. `capitals`: names alone have them in its language."""

    passages: str
    turn: str
    weights: WordWeights
    known: str = ""
    before: str = ""
    capitals: bool = True

    def fault(self, sentence: str) -> str:
        """What has no ground in a sentence, in words; "" where it has, refuses, asks, or asserts nothing."""
        if sentence.rstrip().endswith("?") or refuses(sentence):
            return ""
        new = numbers(sentence) - self._numbers
        if wrong := {each for each in new if not self._reckoned(each)}:
            return f"number {min(wrong)}"
        if self.passages and self.evidence.in_other_language(sentence):
            return ""
        if self.capitals and (wrong := {name for name in self._names(sentence) if not self._said(name)}):
            return f"name {min(wrong)}"
        if not self.passages:
            return "the documents say nothing of it" if self._asks_of_documents else ""
        if new or not _QUESTION.search(self.turn):  # reckoned from the passages; nothing was asked
            return ""
        figures = self.evidence.figures(sentence)
        names = self._names(sentence)
        if names and names >= self.weights.content(sentence).keys() and not figures["denies"]:
            return ""  # it only calls somebody by a name that was said: "Hi Anna!"
        probability = support_model().probability(figures)
        return f"support {probability:.2f}" if probability < support_model().least else ""

    @cached_property
    def evidence(self) -> WordEvidence:
        """The words of all this."""
        return WordEvidence(self.weights, self.passages, self.turn, self.before, self.known)

    def _reckoned(self, number: str) -> bool:
        """Whether it is a number of the passages times one of the turn, or half of one if they say half."""
        told, factors = _values(numbers(self.passages)), _values(numbers(self.turn))
        if re.search(r"\bhal(f|ves)\b", self.passages):
            factors.append(0.5)
        products = [price * factor for price in told for factor in factors]
        return any(abs(value - each) < 1e-6 for value in _values({number}) for each in products)

    @cached_property
    def _asks_of_documents(self) -> bool:
        """Whether the turn is a question, and not one to the persona itself."""
        weighed = self.weights.content(self.turn).items()
        about = {word for word, weight in weighed if weight > _ABOUT} - _TO_PERSONA
        return _QUESTION.search(self.turn) is not None and any(
            not contains(self.evidence.there, word) for word in about
        )

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(numbers("\n".join((self.passages, self.turn, self.before, self.known))))

    def _names(self, sentence: str) -> set[str]:
        """Words with a capital that begin no sentence."""
        found = [match for match in _WORD.finditer(sentence) if match[0][0].isupper()]
        inside = [each[0] for each in found if sentence[: each.start()].rstrip()[-1:] not in ("", *".!?:")]
        return {word for name in inside for word in terms(name)} & self.weights.content(sentence).keys()

    def _said(self, name: str) -> bool:
        return contains(self.evidence.there, name) or contains(self.evidence.asked, name)


def refuses(sentence: str) -> bool:
    """Whether a sentence says that something is not known, or not said."""
    return _REFUSES.search(sentence) is not None


def passages_of(note: str) -> str:
    """What a note of `write_note` quotes; "" for the one that says that there is nothing."""
    return "" if note == NOTHING else note.removeprefix(HEAD).removeprefix(BEFORE).strip()


def _values(found: set[str]) -> list[float]:
    return [float(each) for each in found if each.replace(".", "", 1).isdigit()]


class Grounding:
    """What each reply of a conversation may say, gathered from its journal's events. Event loop only."""

    def __init__(self, prompt: str, weights: WordWeights, *, capitals: bool = True) -> None:
        """`prompt` is all that the persona itself knows; `capitals` as in `Ground`."""
        self._prompt = prompt
        self._weights, self._capitals = weights, capitals
        self._notes: dict[int, dict[str, str]] = {}
        self._quotes: dict[int, str] = {}
        self._tools: set[int] = set()
        self._said: deque[str] = deque(maxlen=_REMEMBERED)
        self._asked: deque[str] = deque(maxlen=_REMEMBERED)
        self._told: list[str] = []
        self._ground = Ground("", "", weights)

    def note(self, event: Event) -> None:
        """An event was written."""
        match event:
            case ContextProvided():
                self._notes = {k: v for k, v in self._notes.items() if k > event.reply - _REMEMBERED}
                self._notes.setdefault(event.reply, {})[event.source] = event.text
                self._quotes = {each: self._quotes[each] for each in self._quotes if each in self._notes}
                if event.quote:
                    self._quotes[event.reply] = event.quote
            case ToolCalled() | ToolReused():
                self._tools.add(event.reply)
            case TurnCommitted() | TurnTyped():
                self._asked.append(event.text)
            case ReplyFinished():
                self._said.append(event.text)
            case ReplyInterrupted():
                self._said.append(event.heard)
            case ContextAppended() | ContextReplaced():
                self._told.append(event.text)
            case MemoriesRecalled():
                self._told += event.memories

    def checks(self, reply: int) -> bool:
        """Whether the reply was told of documents, and no tool answered it."""
        return "knowledge" in self._notes.get(reply, {}) and reply not in self._tools

    def fault(self, reply: int, turn: str, sentence: str) -> str:
        """As `Ground.fault`; "" for a reply that was told nothing of documents, or that a tool answered.

        To say that the documents do not say is a fault where a sentence of theirs most likely does.
        """
        if not self.checks(reply):
            return ""
        notes = self._notes[reply]
        if self.quote(reply) and refuses(sentence):
            return "the documents may say it"
        others = [text for source, text in notes.items() if source != "knowledge"]
        known = "\n".join([self._prompt, *self._told, *self._said, *others])
        before = "\n".join(self._asked)
        ground = Ground(passages_of(notes["knowledge"]), turn, self._weights, known, before, self._capitals)
        if ground != self._ground:  # its words are read once a reply
            self._ground = ground
        return self._ground.fault(sentence)

    def quote(self, reply: int) -> str:
        """The sentence of the documents that most likely answers what the reply is to; "" without any."""
        return self._quotes.get(reply, "")
