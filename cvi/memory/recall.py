"""From memories to what the model is told: a little when the conversation begins, and what fits each turn.

Search is by words and by meaning, as over documents, with the same relevance; a participant's memories are
few, so all of them are compared.
"""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cvi.embeddings.base import Embedder, Vectors
from cvi.knowledge.asking import REFERS_BACK, asking_model
from cvi.knowledge.following import FollowingSearch, FoundNote
from cvi.knowledge.passages import words_in
from cvi.knowledge.relevance import Relevance
from cvi.knowledge.terms import stem, terms
from cvi.memory.store import StoredMemory, memories_of, memory_vectors, set_vector

START_WORDS, TURN_WORDS = 160, 90
MOST_QUOTED_WORDS = 40
MOST_AT_START, MOST_FOR_TURN = 10, 3
GATE = 0.05
"""Below the gate of documents: a memory that is told in vain costs a few words."""
_START = (
    "In earlier conversations the other person told you this about themselves. Speak of it where it helps; "
    'when they ask about it, answer from it and call them "you":'
)
TURN_HEAD = "In earlier conversations the other person told you about themselves:"
_OTHER_PERSON = {
    "i am": "you are", "am i": "are you", "i was": "you were", "was i": "were you", "i'm": "you're",
    "i've": "you've", "i'd": "you'd", "i'll": "you'll", "i": "you", "me": "you", "my": "your",
    "mine": "yours", "myself": "yourself", "we're": "you're", "we've": "you've", "we'd": "you'd",
    "we'll": "you'll", "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves",
    "you are": "I am", "are you": "am I", "you were": "I was", "you're": "I'm", "you've": "I've",
    "you'd": "I'd", "you'll": "I'll", "you": "me", "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip
_FORMS = "|".join(sorted(_OTHER_PERSON, key=len, reverse=True)).replace(" ", r"\s+").replace("'", "['’]")
_PERSON = re.compile(rf"\b(?!US\b)(?i:{_FORMS})\b")


@dataclass(frozen=True, slots=True)
class RecalledMemory:
    """A memory and the probability that it is about what was asked."""

    memory: StoredMemory
    relevance: float


def spoken_form(memories: Sequence[StoredMemory], *, english: bool) -> list[str]:
    """Memories as the model reads them, a line each; with the words they come from, once, where these are
    few and say more. In English these always stand there, turned to whom they are about: a small model
    repeats an "I", and takes the user of whom it reads for somebody else."""
    lines, quoted = [], set()
    for each in memories:
        said = " ".join(each.said.split())
        new = set(map(stem, terms(said))) - set(map(stem, terms(each.text)))
        quote = bool(new or english) and bool(said) and said not in quoted
        quote = quote and words_in(said) <= MOST_QUOTED_WORDS
        quoted.add(said)
        words = f" {_quoted(said, english)}" if quote else ""
        lines.append(f"- {each.text}{words} ({each.day})")
    return lines


def _quoted(said: str, english: bool) -> str:
    if not english:
        return f'Their words: "{said}"'
    return f'As you would say it to them: "{to_second_person(said)}"'


def to_second_person(said: str) -> str:
    """What somebody said in English of themselves, as it is said to them: "I'm at my desk" -> "You're at your
    desk". What they said of their listener is turned too."""

    def turned(match: re.Match[str]) -> str:
        word = " ".join(match[0].lower().replace("’", "'").split())
        other = _OTHER_PERSON[word]
        begins = not match.start() or said[: match.start()].rstrip()[-1:] in (".", "!", "?")
        return other[0].upper() + other[1:] if begins else other

    return _PERSON.sub(turned, said)


def reference(memory: StoredMemory) -> str:
    """A memory as the journal names it: number, text, and where it comes from."""
    source = f", {memory.conversation} turn {memory.turn}" if memory.conversation else ""
    return f"[m{memory.id}] {memory.text} ({memory.day}{source})"


class MemoryIndex:
    """The memories of some stores, searched by words and by meaning. Any thread; calls block."""

    def __init__(self, connection: sqlite3.Connection, embedder: Embedder, stores: Sequence[str]) -> None:
        self._connection = connection
        self._embedder = embedder
        self._stores = tuple(stores)
        self._lock = threading.Lock()
        self._relevance = Relevance()
        self._memories: dict[int, StoredMemory] = {}
        self._vectors: dict[int, Vectors] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the stores again; vectors that are missing are made."""
        memories = [each for store in self._stores for each in memories_of(self._connection, store)]
        vectors: dict[int, Vectors] = {}
        for store in self._stores:
            vectors |= memory_vectors(self._connection, store, self._embedder.name)
        missing = [each for each in memories if each.id not in vectors]
        made = (
            self._embedder.passages([embedded(each.text, each.said) for each in missing]) if missing else ()
        )
        for each, vector in zip(missing, made, strict=True):
            set_vector(self._connection, each.id, self._embedder.name, vector)
            vectors[each.id] = vector
        with self._lock:
            self._memories = {each.id: each for each in memories}
            self._vectors = {each.id: vectors[each.id] for each in memories}

    @property
    def memories(self) -> list[StoredMemory]:
        """All that hold, oldest first."""
        with self._lock:
            return list(self._memories.values())

    def search(self, question: str, count: int = MOST_FOR_TURN) -> list[RecalledMemory]:
        """The likeliest memories for a question, best first; none for one about the answer before it."""
        with self._lock:
            memories, vectors = dict(self._memories), dict(self._vectors)
        if not memories or not question.strip():
            return []
        asked = self._embedder.questions([question])[0]
        if asking_model().read(self._embedder.name, asked).refers_back >= REFERS_BACK:
            return []
        weights = _weights(question, memories.values())
        found = []
        for id, memory in memories.items():
            cosine = float(vectors[id] @ asked)
            covered = _coverage(weights, memory)
            found.append(RecalledMemory(memory, self._relevance.probability(cosine, cosine, covered)))
        return sorted(found, key=lambda each: -each.relevance)[:count]

    def like(self, vector: Vectors, count: int) -> list[StoredMemory]:
        """The memories whose meaning is nearest to a memory's vector, nearest first."""
        with self._lock:
            ids = sorted(self._vectors, key=lambda id: -float(self._vectors[id] @ vector))
            return [self._memories[id] for id in ids[:count]]


def embedded(text: str, said: str) -> str:
    """What of a memory is embedded: it and the words it comes from, which are nearer to how people ask."""
    return f"{text} {said}".strip()


def start_note(memories: Sequence[StoredMemory], *, english: bool) -> tuple[str, list[StoredMemory]]:
    """What the model is told when the conversation begins: what is pinned, who they are, the newest rest."""
    ordered = sorted(memories, key=lambda each: (not each.pinned, each.kind != "profile", -each.id))
    chosen: list[StoredMemory] = []
    words = 0.0
    for each in ordered[:MOST_AT_START]:
        words += words_in(spoken_form([each], english=english)[0])
        if chosen and words > START_WORDS:
            break
        chosen.append(each)
    if not chosen:
        return "", []
    return "\n".join([_START, *spoken_form(chosen, english=english)]), chosen


class MemoryProvider(FollowingSearch):
    """A `ContextProvider` over a participant's memories: those that the turn is about."""

    name = "memory"

    def __init__(self, index: MemoryIndex, *, english: bool) -> None:
        self._index = index
        self._english = english
        super().__init__()

    def search(self, text: str) -> FoundNote:
        """The memories for these words, oldest first, so that the newest is read last."""
        chosen: list[StoredMemory] = []
        words = 0.0
        for each in self._index.search(text):
            words += words_in(spoken_form([each.memory], english=self._english)[0])
            if each.relevance < GATE or (chosen and words > TURN_WORDS):
                break
            chosen.append(each.memory)
        if not chosen:
            return FoundNote("")
        chosen.sort(key=lambda each: each.id)
        lines = spoken_form(chosen, english=self._english)
        return FoundNote("\n".join([TURN_HEAD, *lines]), tuple(map(reference, chosen)))


def _weights(question: str, memories: Collection[StoredMemory]) -> dict[str, float]:
    """The question's stems, and how much each tells among these memories (inverse document frequency)."""
    texts = [_stems(each) for each in memories]
    counts = Counter(term for each in texts for term in each)
    asked = dict.fromkeys(stem(term) for term in terms(question))
    return {term: math.log(1.0 + (len(texts) - counts[term] + 0.5) / (counts[term] + 0.5)) for term in asked}


def _coverage(weights: dict[str, float], memory: StoredMemory) -> float:
    total = sum(weights.values())
    there = _stems(memory)
    return sum(weight for term, weight in weights.items() if term in there) / total if total > 0 else 0.0


def _stems(memory: StoredMemory) -> set[str]:
    return {stem(term) for term in terms(embedded(memory.text, memory.said))}
