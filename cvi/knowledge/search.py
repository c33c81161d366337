"""Hybrid search: BM25 over the words and cosine over the vectors, joined by reciprocal rank fusion.

Cormack, Clarke and Büttcher 2009. Words find names, numbers and rare terms; vectors find the same thing said
otherwise, or in another language.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Embedder, Vectors
from cvi.knowledge.asking import Asking, asking_model
from cvi.knowledge.indexing import passage_sentences
from cvi.knowledge.relevance import Relevance
from cvi.knowledge.store import (
    StoredDocument,
    StoredPassage,
    every_document,
    get_passages,
    open_store,
    sentences_of,
    vectors_after,
    vectors_of,
)
from cvi.knowledge.terms import stem, terms
from cvi.knowledge.vectors import VectorIndex

Mode = Literal["hybrid", "words", "meaning"]
DEPTH = 50
"""How many of each ranking are fused."""
CANDIDATES = 20
"""So many of the fused ranking are put in the order of their relevance."""
RRF_K = 60.0
RELOAD_ROWS = 50_000
"""Above so many vectors, a changed base is appended to rather than read again."""
SENTENCE_COVERAGE = 0.08
"""What the share of the question's words counts beside a sentence's cosine. The closest sentence of what is
told holds the answer to 123 of the graded English questions then, 118 without it."""
_NARROWED = "AND rowid IN (SELECT id FROM passages WHERE document IN (SELECT value FROM json_each(:of)))"
COMMON = 0.1
"""A term that more than this part of the passages hold is left out of a question with rarer ones."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents may be searched: those of the ids and those with one of the tags; all if both are None.

    Two empty ones mean none at all.
    """

    ids: frozenset[str] | None = None
    tags: frozenset[str] | None = None

    def holds(self, document: StoredDocument) -> bool:
        """Whether a document belongs to it."""
        if self.ids is None and self.tags is None:
            return True
        return document.id in (self.ids or ()) or bool(set(document.tags) & (self.tags or set()))


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was found.

    `cosine` is the question's with the whole passage, `sentence` with the nearest of its sentences,
    `coverage` the share of the question's words in it; `relevance` is the probability that it answers.
    `sentences` are those of its text, each with its cosine and share of the question's words together; none
    if the passage was cut otherwise than its vectors.
    """

    passage: StoredPassage
    cosine: float
    sentence: float
    coverage: float
    relevance: float
    sentences: tuple[tuple[str, float], ...] = ()

    @property
    def closest(self) -> str:
        """The sentence that most likely answers; "" where they are not known."""
        return max(self.sentences, key=lambda each: each[1], default=("", 0.0))[0]


class Searcher:
    """Searches one knowledge base. Used by one thread at a time; `close` it when done."""

    def __init__(self, path: Path, embedder: Embedder, scope: Scope | None = None) -> None:
        """Raises CviError when the knowledge base cannot be used."""
        self._connection = open_store(path)
        self._embedder = embedder
        self._scope = scope or Scope()
        self._index = VectorIndex(self._fetch)
        self._documents: list[str] | None = None
        self._passages = 0
        self._seen = -1
        self._relevance = Relevance()
        self._latest: tuple[str, Vectors] | None = None

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @property
    def size(self) -> int:
        """How many vectors can be found, as of the last search."""
        return len(self._index)

    def refresh(self) -> None:
        """Read what was changed since; search does it by itself."""
        version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        if version == self._seen:
            return
        self._seen = version
        documents = every_document(self._connection)
        inside = [each.id for each in documents if self._scope.holds(each)]
        self._documents = None if len(inside) == len(documents) else inside
        self._passages = sum(each.passages for each in documents)
        if len(self._index) <= RELOAD_ROWS:
            self._index = VectorIndex(self._fetch)
        self._index.append(vectors_after(self._connection, self._index.last_id))

    def search(self, question: str, count: int = 5, mode: Mode = "hybrid") -> list[Found]:
        """The best passages for a question, best first; none where nothing may be searched."""
        self.refresh()
        if not question.strip() or self._documents == [] or not len(self._index):
            return []
        vector = self._vector(question)
        near = [] if mode == "words" else self.by_meaning(vector)
        worded = [] if mode == "meaning" else self.by_words(question)
        fused: dict[int, float] = defaultdict(float)
        for ranking in ([id for id, _ in near], worded):
            for rank, id in enumerate(ranking, 1):
                fused[id] += 1.0 / (RRF_K + rank)
        best = sorted(fused, key=lambda id: -fused[id])[: max(CANDIDATES, count)]
        passages = get_passages(self._connection, best)
        cosines = dict(near)
        missing = [id for id in passages if id not in cosines]
        cosines |= {id: float(each @ vector) for id, each in vectors_of(self._connection, missing).items()}
        sentences = sentences_of(self._connection, list(passages))
        weights = self._weights(question)
        found = []
        for id in best:
            if id not in passages:
                continue
            near_sentences = sentences[id] @ vector
            nearest = float(near_sentences.max(initial=0.0))
            covered = coverage(weights, passages[id])
            relevance = self._relevance.probability(cosines[id], nearest, covered)
            scored = scored_sentences(weights, passages[id], near_sentences)
            found.append(Found(passages[id], cosines[id], nearest, covered, relevance, scored))
        if mode == "hybrid":
            found.sort(key=lambda each: -each.relevance)
        return found[:count]

    def asking(self, question: str) -> Asking:
        """What of documents a turn asks."""
        return asking_model().read(self._embedder.name, self._vector(question))

    def _vector(self, question: str) -> Vectors:
        if self._latest is None or self._latest[0] != question:
            self._latest = question, self._embedder.questions([question])[0]
        return self._latest[1]

    def by_meaning(self, vector: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Ids and cosines of the nearest passages."""
        return self._index.nearest(vector, DEPTH, self._documents)

    def by_words(self, question: str) -> list[int]:
        """Ids of the passages with the highest BM25."""
        asked = self._rare(list(dict.fromkeys(terms(question))))
        if not asked:
            return []
        # A long word is also looked for by its beginning: inflections of most languages are endings.
        parts = [f'"{term}"' if stem(term) == term else f'"{stem(term)}"*' for term in asked]
        narrowed = "" if self._documents is None else _NARROWED
        rows = self._connection.execute(
            f"SELECT rowid FROM words WHERE words MATCH :asked {narrowed} ORDER BY rank LIMIT {DEPTH}",  # noqa: S608
            {"asked": " OR ".join(parts), "of": json.dumps(self._documents or [])},
        )
        return [row[0] for row in rows]

    def _rare(self, asked: Sequence[str]) -> list[str]:
        """The terms without those that most passages hold, which cost time and tell nothing."""
        limit = max(20, int(COMMON * self._passages))
        counts = {term: self._count(term, limit) for term in asked}
        rare = [term for term in asked if 0 < counts[term] < limit]
        return rare or [term for term in asked if counts[term]][:4]

    def _count(self, term: str, limit: int) -> int:
        """In how many passages a term or its inflections stand; counting ends at `limit`."""
        match = f'"{term}"' if stem(term) == term else f'"{stem(term)}"*'
        rows = self._connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (match, limit)
        )
        return int(rows.fetchone()[0])

    def _weights(self, question: str) -> dict[str, float]:
        """The question's stems, and how much each tells (inverse document frequency)."""
        limit = max(20, self._passages)
        weights = {}
        for term in dict.fromkeys(terms(question)):
            count = self._count(term, limit)
            weights[stem(term)] = math.log(1.0 + (limit - count + 0.5) / (count + 0.5))
        return weights

    def _fetch(self, ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        return vectors_of(self._connection, ids)


def coverage(weights: dict[str, float], passage: StoredPassage) -> float:
    """The share of a question's weighted words that stand in a passage, its heading or document's name."""
    return _share(weights, f"{passage.document} {passage.heading} {passage.text}")


def scored_sentences(
    weights: dict[str, float], passage: StoredPassage, cosines: NDArray[np.float32]
) -> tuple[tuple[str, float], ...]:
    """See `Found.sentences`."""
    texts = passage_sentences(passage.text)
    if len(texts) != len(cosines):
        return ()
    return tuple(
        (text, cosine + SENTENCE_COVERAGE * _share(weights, text))
        for cosine, text in zip(cosines.tolist(), texts, strict=True)
    )


def _share(weights: dict[str, float], text: str) -> float:
    total = sum(weights.values())
    if total <= 0:
        return 0.0
    there = {stem(term) for term in terms(text)}
    whole = there | {term[:length] for term in there for length in range(4, len(term))}
    return sum(weight for term, weight in weights.items() if term in whole) / total
