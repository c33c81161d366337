"""Whether a sentence is like those that a rule means: a linear classifier on its embedding and its wording.

Weighted ridge regression in dual form (Saunders et al. 1998) on the sentence's vector, on which of its words
and word pairs the examples have, and on cues that vectors of meaning don't show: negation, question, refusal,
who is spoken of. A few dozen examples train it in milliseconds, always to the same result.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Embedder

Features = NDArray[np.float64]

# Chosen on cvi/bench/guardrails_development.yaml: cvi bench guardrails --development
CUE_WEIGHT = 0.3
WORDS_WEIGHT = 0.8
RIDGE = 3.0
_CUES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\?\s*$",
        r"^(please|could you|can you|would you|let's)\b",
        r"\b(not|never|no|nobody|nothing|without|none)\b|n't\b",
        r"\bi (can't|cannot|can not|don't|won't|couldn't|am not|wish)\b|\bi'm (not|no|a program)\b",
        r"\byou('re|'ve|'d|'ll)?\b|\byour\b",
        r"\b(i|i'm|i've|i'll|i'd|my|me)\b",
        r"\b(ask|talk to|speak to|tell|call|report to|see) (your|a|an|the|them)\b|\bonly a\b"
        r"|\b(doctor|lawyer|attorney|adviser|manager|team|department|desk|bank) (can|will|should|has)\b",
        r"\b(wrong|forbid\w*|breaks?|against|not allowed|isn't allowed|must not|may not|policy|rule)\b",
        r"\b(just|simply|only|no need|don't have to|don't need)\b",
        r"^\W*(i|we|my)\b",
        r"^\W*(what|who|when|where|which|how|why|did|do|does|was|were|is|are|have|has)\b",
        r"^\W*(you|your)\b",
    )
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class SentenceFeatures:
    """Turns sentences into rows of numbers, by the words of the texts that it was made from."""

    def __init__(self, embedder: Embedder, texts: Sequence[str]) -> None:
        counts = Counter(gram for text in texts for gram in set(_grams(text)))
        known = [gram for gram, count in counts.items() if count > 1]
        self._embedder = embedder
        self._columns = {gram: index for index, gram in enumerate(known)}
        self._weights = np.array([np.log(len(texts) / counts[gram]) for gram in known])

    def of(self, texts: Sequence[str]) -> Features:
        """One row a text: vector, cues, words."""
        vectors = self._embedder.questions(texts)
        return np.stack([self.row(text, vector) for text, vector in zip(texts, vectors, strict=True)])

    def row(self, text: str, vector: NDArray[np.float32]) -> Features:
        """The row of one text whose vector is known."""
        text = text.replace("’", "'")
        cues = [CUE_WEIGHT * bool(cue.search(text)) for cue in _CUES]
        words = np.zeros(len(self._columns))
        for gram in set(_grams(text)):
            if (column := self._columns.get(gram)) is not None:
                words[column] = self._weights[column]
        length = float(np.linalg.norm(words))
        return np.concatenate([vector, cues, words * (WORDS_WEIGHT / length if length else 0.0)])


class SentenceClassifier:
    """Trained on sentences that are meant and sentences that are not; `score` is positive for the former."""

    def __init__(self, meant: Features, others: Features) -> None:
        """The fewer of the two weigh as much as the more. Both need one row at least."""
        rows = np.concatenate([meant, others])
        target = np.r_[np.ones(len(meant)), -np.ones(len(others))]
        weight = np.r_[np.full(len(meant), len(others) / len(meant)), np.ones(len(others))]
        dual = np.linalg.solve(rows @ rows.T + 1.0 + RIDGE * np.diag(1 / weight), target)
        self._weights: Features = rows.T @ dual
        self._bias = float(dual.sum())

    def score(self, row: Features) -> float:
        """About 1 for what is clearly meant, -1 for what is clearly not."""
        return float(row @ self._weights) + self._bias


def _grams(text: str) -> list[str]:
    words = [match.group() for match in _WORD.finditer(text.lower())]
    framed = ["<", *words, ">"]
    return words + [f"{one} {two}" for one, two in pairwise(framed)]
