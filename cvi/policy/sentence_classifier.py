"""Whether a sentence is like those that a rule means: kernel ridge regression on embedding and wording.

After Saunders et al. 1998, in dual form, with a Gaussian kernel: near sentences count for more than far ones,
so that a harmless look-alike and its forbidden twin are told apart. Beside the vector of meaning stand cues
that such vectors don't show: negation, question, refusal, who is spoken of. Always the same result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Embedder, Vectors

Features = NDArray[np.float32]

# Chosen by cross-validation on the families' own sentences: cvi bench guardrails --development
CUE_WEIGHT = 0.3
RIDGE = 0.1
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


class SentenceFeatures:
    """Turns sentences into rows of numbers: the embedding less `centre`, of length one, and cues."""

    def __init__(self, embedder: Embedder, centre: Vectors) -> None:
        self._embedder, self._centre = embedder, centre

    def of(self, texts: Sequence[str]) -> Features:
        """One row a text."""
        return rows_of(texts, self._embedder.questions(texts), self._centre)


def rows_of(texts: Sequence[str], vectors: Vectors, centre: Vectors) -> Features:
    """The rows of texts whose vectors are known."""
    away = vectors - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    plain = [text.replace("’", "'") for text in texts]
    cues = [[CUE_WEIGHT * bool(cue.search(text)) for cue in _CUES] for text in plain]
    return np.concatenate([away, np.array(cues, np.float32)], axis=1, dtype=np.float32)


def kernel(rows: Features, others: Features) -> Features:
    """How near each of `rows` is to each of `others`, 0 to 1."""
    squares = (rows**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * rows @ others.T
    return np.asarray(np.exp(-squares / 2), np.float32)


def trained(rows: Features, meant: NDArray[np.bool_]) -> Features:
    """What each row counts in a score, a column for each column of `meant`: what a row is an example of.

    The fewer of meant and not meant weigh as much as the more. A score is about 1 for what is clearly meant,
    -1 for what is clearly not: `(kernel(new, rows) + 1) @ column`.
    """
    inner = kernel(rows, rows).astype(np.float64) + 1.0
    columns = []
    for column in meant.T:
        weight = np.where(column, (~column).sum() / max(column.sum(), 1), 1.0)
        columns.append(np.linalg.solve(inner + RIDGE * np.diag(1 / weight), np.where(column, 1.0, -1.0)))
    return np.stack(columns, axis=1).astype(np.float32)
