"""Whether a sentence of a reply stands in the documents' passages that the model was given for it.

Word by word, without a model, in 3 ms or less. Numbers and names must stand in what the
model was told: the passages, the participant's words, the persona's prompt, what was said before. The other
words count too: a sentence that only repeats the question ("Yes, we sell used bicycles") asserts what no
passage says where words of the question are not in them either, and a "no" needs one in the passages. The
lists of words are English; in other languages numbers alone are looked at.
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
from cvi.knowledge.notes import CLOSEST, NOTHING
from cvi.policy.said_values import joined_numbers, number_in_digits

MOST_UNKNOWN = 0.5
"""A sentence of whose words a larger share stands nowhere was made up."""
_STOP = frozenset(
    """a about after all also am an and any are as at be because been before being both but by can
    cannot could did do does doing don down during each either else ever every for from further get
    gets give given go goes going got had has have having he her here hers him his how however i if
    in into is it its itself just let like ll make makes many may me might more most much must my
    need needs neither no nor not now of off on once one only onto or other our out over own per
    please re same shall she should since so some such take takes than that the their them then
    there these they thing things this those through to too under until up upon us use used using ve
    very want wants was we were what when where whether which while who whom whose why will with
    within without won would yes yet you your yours s d m t according available be certainly course
    currently depend depends detail details document documents state states stated mention mentions
    mentioned information inform says say said sure indeed page pages passage provide provided
    provides specific specify specified usually typically additionally note ask answer help able
    know offer offers offered possible allowed allow allows include included includes sorry afraid
    unfortunately understand okay ok""".split()
)
_ENGLISH = frozenset("the of and is to in for a on are by with from or".split())
_FOREIGN = frozenset(
    "der das und ist nicht mit für von les des est une dans pour avec et el los las una del con por "
    "il che di per o os uma não het een van niet jest nie się".split()
)
_REFUSES = re.compile(
    r"(\bnot|n['’]t|\bcannot|\bunable to|\bno)\b.{0,40}\b(know|says?|mention\w*|state[sd]?|tell|provide|"
    r"contain|specif\w+|find|answer|information|details?|indicat\w+|aware|sure|help|policy)\b|\bunsure\b|\bsilent\b|"
    r"\bsays? nothing\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(no|not|never|none|without|only|except|neither|nor|nobody|nothing|cannot|closed|forbidden|prohibited|free|includ\w+|"
    r"instead|excluded|waived|\w+n['’]t)\b",
    re.IGNORECASE,
)
_NO = re.compile(r"^\W*no\b|\b(no|not|never|cannot|\w+n['’]t)\b", re.IGNORECASE)
_QUESTION = re.compile(
    r"\?\W*$|\b(what|when|where|who|whom|whose|why|how|which|tell me|explain)\b|"
    r"^\W*(is|are|am|do|does|did|can|could|may|will|would|shall|should|has|have)\b",
    re.IGNORECASE,
)
_HOW_MUCH = re.compile(
    r"\bhow (many|much|long|old|often|far|high|late|early|soon|large|heavy)\b", re.IGNORECASE
)
_AMOUNT = re.compile(
    r"\b(one|two|first|once|twice|half|free|included|nothing|none|no|not|never|always|unlimited|noon|midnight|"
    r"(mon|tues|wednes|thurs|fri|satur|sun)days?|(an?|per|each) (hour|day|week|month|year))\b",
    re.IGNORECASE,
)
_PRICE = frozenset("pay paid cost charg fee pric extra fre includ euro".split())
"""Stems of one meaning: where a passage tells of prices, "no extra payment" may be said of "included"."""
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ENDINGS = ("ations", "ation", "ings", "ing", "ments", "ment", "ies", "ed", "es", "s", "ly", "y", "e")
_REMEMBERED = 12
"""So many of the last turns and replies count as said before."""
_SHARED = 4
"""Words of which one begins with the other count as one from so many letters on."""
_CHAT = frozenset(
    "nam hear jok robot human person computer assistant weather music toda mean repeat liv old tim".split()
)
"""Stems in questions to the persona itself, which no document answers."""


@dataclass(frozen=True)
class Ground:
    """What a reply may say: what the passages hold ("" where nothing was found), the `turn` it answers, what
    else the model knows (the persona's prompt, other notes, what it said), what was said `before` by the
    participant."""

    passages: str
    turn: str
    known: str = ""
    before: str = ""
    english: bool = True

    def fault(self, sentence: str) -> str:
        """What has no ground in a sentence, in words; "" where it has, refuses, asks, or asserts nothing."""
        if sentence.rstrip().endswith("?") or refuses(sentence):
            return ""
        if wrong := {each for each in numbers(sentence) - self._numbers if not self._reckoned(each)}:
            return f"number {min(wrong)}"
        if not self.english or self._foreign:
            return ""
        if wrong := {name for name in _names(sentence) if not _in(name, self._all)}:
            return f"name {min(wrong)}"
        if not self.passages:
            return "the documents say nothing of it" if self._asks_of_documents else ""
        return self._unsupported(sentence)

    def _unsupported(self, sentence: str) -> str:
        words, denies = _content(sentence), _NO.search(sentence) is not None
        there = {word for word in words if _in(word, self._told)}
        known = {word for word in words if _in(word, self._known)}
        of_question = {word for word in words if _in(word, self._asked)}
        unknown = words - there - of_question - known
        if len(unknown) > max(1.0, MOST_UNKNOWN * len(words)):
            return f"words {', '.join(sorted(unknown))}"
        missing = of_question - there - known
        if denies and self._told & _PRICE:
            missing -= _PRICE
        if missing and not (there - of_question) and not (numbers(sentence) & numbers(self.passages)):
            return f"only asked: {', '.join(sorted(missing))}"
        if _HOW_MUCH.search(self.turn) and not (numbers(sentence) or _AMOUNT.search(sentence)):
            return "no number"
        if denies and not _NEGATION.search(self.passages):
            return "no passage denies it"
        return ""

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
        about = _content(self.turn) - _CHAT
        return _QUESTION.search(self.turn) is not None and any(not _in(word, self._known) for word in about)

    @cached_property
    def _foreign(self) -> bool:
        """Whether the passages are in another language than English."""
        words = [word.lower() for word in _WORD.findall(self.passages)]
        return sum(word in _FOREIGN for word in words) > sum(word in _ENGLISH for word in words)

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(numbers("\n".join((self.passages, self.turn, self.before, self.known))))

    @cached_property
    def _told(self) -> frozenset[str]:
        return frozenset(_content(self.passages))

    @cached_property
    def _asked(self) -> frozenset[str]:
        return frozenset(_content(f"{self.before}\n{self.turn}"))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(_content(self.known))

    @cached_property
    def _all(self) -> frozenset[str]:
        return self._told | self._asked | self._known


def refuses(sentence: str) -> bool:
    """Whether a sentence says that something is not known, or not said."""
    return _REFUSES.search(sentence) is not None


def numbers(text: str) -> set[str]:
    """The numbers in a text, in digits: those in words too, from three on ("one" is often no number)."""
    found = {_plain(match) for match in _NUMBER.findall(text)} | joined_numbers(text)
    words = (number_in_digits(word.lower()) for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)?", text))
    return found | {word for word in words if word.isdigit() and int(word) > 2}


def _values(found: set[str]) -> list[float]:
    return [float(each) for each in found if each.replace(".", "", 1).isdigit()]


def _plain(number: str) -> str:
    whole = re.sub(r",(?=\d{3}\b)", "", number)
    return re.sub(r"[.:]0+$", "", whole).lstrip("0") or "0"


def _names(sentence: str) -> set[str]:
    """Stems of words with a capital that begin no sentence."""
    found = [match for match in _WORD.finditer(sentence) if match[0][0].isupper()]
    begins = [sentence[: match.start()].rstrip()[-1:] in ("", ".", "!", "?", ":") for match in found]
    names = [match[0].lower() for match, first in zip(found, begins, strict=True) if not first]
    return {_stem(name) for name in names if name not in _STOP}


def _content(text: str) -> set[str]:
    words = {word.lower().replace("’", "'").removesuffix("'s") for word in _WORD.findall(text)} - _STOP
    return {_stem(word) for word in words if len(word) > 1 and number_in_digits(word) == word}


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHARED - 1:
            return word.removesuffix(ending)
    return word


def _in(word: str, words: frozenset[str]) -> bool:
    if word in words:
        return True
    return len(word) >= _SHARED and any(
        len(each) >= _SHARED and (each.startswith(word) or word.startswith(each)) for each in words
    )


class Grounding:
    """What each reply of a conversation may say, gathered from its journal's events. Event loop only."""

    def __init__(self, prompt: str, *, english: bool) -> None:
        """`prompt` is all that the persona itself knows."""
        self._prompt = prompt
        self._english = english
        self._notes: dict[int, dict[str, str]] = {}
        self._tools: set[int] = set()
        self._said: deque[str] = deque(maxlen=_REMEMBERED)
        self._asked: deque[str] = deque(maxlen=_REMEMBERED)
        self._told: list[str] = []
        self._ground = Ground("", "")

    def note(self, event: Event) -> None:
        """An event was written."""
        match event:
            case ContextProvided():
                self._notes = {k: v for k, v in self._notes.items() if k > event.reply - _REMEMBERED}
                self._notes.setdefault(event.reply, {})[event.source] = event.text
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

    def fault(self, reply: int, turn: str, sentence: str) -> str:
        """As `Ground.fault`; "" for a reply that was told nothing of documents, or that a tool answered.

        To say that the documents do not say is a fault where a sentence of theirs most likely does.
        """
        notes = self._notes.get(reply, {})
        passages = notes.get("knowledge")
        if passages is None or reply in self._tools:
            return ""
        if self.quote(reply) and refuses(sentence):
            return "the documents may say it"
        others = [text for source, text in notes.items() if source != "knowledge"]
        known = "\n".join([self._prompt, *self._told, *self._said, *others])
        before = "\n".join(self._asked)
        ground = Ground("" if passages == NOTHING else passages, turn, known, before, self._english)
        if ground != self._ground:  # its words are read once a reply
            self._ground = ground
        return self._ground.fault(sentence)

    def quote(self, reply: int) -> str:
        """The sentence of the documents that most likely answers what the reply is to; "" without any."""
        return self._notes.get(reply, {}).get("knowledge", "").partition(f"\n{CLOSEST}")[2]
