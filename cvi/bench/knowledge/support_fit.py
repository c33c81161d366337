"""Fitting the check of replies (`cvi.policy.support`) on a model's replies to questions that are not graded.

A sentence counts as supported where its question has an answer and the reply was right. Replies that somebody
made up to questions without an answer stand beside the model's own, which are few. Refusals and questions are
left out, as the check lets them pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvi.bench.knowledge.grounded import PERSONA, GroundedAnswer, is_right
from cvi.embeddings.base import Embedder
from cvi.knowledge.notes import BUDGETS, write_note
from cvi.knowledge.passages import sentences
from cvi.knowledge.search import Scope, Searcher
from cvi.knowledge.store import every_document, open_store
from cvi.policy.grounding import passages_of, refuses
from cvi.policy.support import WordEvidence, WordWeights

RIDGE = 2.0
"""The strength of the prior on weights of figures of unit variance: as good as 0.5 and 8 across documents."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SupportFit:
    """What stands in support.json, and how well it does on documents that it was not fitted on."""

    weights: dict[str, Any]
    note: str


def fitted_support(answers: Sequence[GroundedAnswer], base: Path, embedder: Embedder) -> SupportFit:
    """The regression on these replies, tried on each document with the weights of all others."""
    words = WordWeights(embedder.information)
    rows, labels, documents, names = [], [], [], []
    for each, passages in zip(answers, _nearest_passages(answers, base, embedder), strict=True):
        evidence = WordEvidence(words, passages, each.question.text, "", PERSONA.system_prompt or "")
        right = bool(each.question.passage) and is_right(each.question, each.written)
        written = sentences(each.written.replace("\n", " ")) if passages_of(each.note) else []
        for sentence in (*written, *each.question.wrong):
            if sentence.endswith("?") or refuses(sentence) or evidence.in_other_language(sentence):
                continue
            figures = evidence.figures(sentence)
            names = list(figures)
            rows.append(list(figures.values()))
            labels.append(right and sentence not in each.question.wrong)
            documents.append(each.question.document)
    x, y = np.array(rows), np.array(labels, float)
    probabilities = np.zeros(len(y))
    for document in set(documents):
        held = np.array([each == document for each in documents])
        bias, weights = _fit(x[~held], y[~held])
        probabilities[held] = 1.0 / (1.0 + np.exp(-bias - x[held] @ weights))
    bias, weights = _fit(x, y)
    said, stopped = probabilities[y == 1] >= 0.5, probabilities[y == 0] < 0.5
    note = (
        f"check of replies fitted on {len(y)} sentences; on documents left out {said.mean():.0%} of "
        f"{len(said)} right ones are said and {stopped.mean():.0%} of {len(stopped)} wrong ones are not"
    )
    rounded = {name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)}
    return SupportFit({"bias": round(bias, 3), "weights": rounded, "least": 0.5}, note)


def _nearest_passages(answers: Sequence[GroundedAnswer], base: Path, embedder: Embedder) -> Iterator[str]:
    """What each model was told; where that was nothing, what it would have been told without the gate."""
    connection = open_store(base)
    ids = {each.name: each.id for each in every_document(connection)}
    connection.close()
    for each in answers:
        passages = passages_of(each.note)
        if not passages:
            searcher = Searcher(base, embedder, Scope(frozenset([ids[each.question.document]])))
            found = searcher.search(each.question.text, BUDGETS["balanced"].passages)
            passages = passages_of(write_note(found, BUDGETS["balanced"].window).text)
            searcher.close()
        yield passages


def _fit(x: Numbers, y: Numbers) -> tuple[float, Numbers]:
    """Logistic regression (Newton's method, both labels weigh the same): bias and weights."""
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    scaled = np.column_stack([np.ones(len(x)), (x - middle) / spread])
    each = np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (len(y) - y.sum())))
    prior = np.diag([0.0] + [RIDGE] * x.shape[1])
    weights = np.zeros(x.shape[1] + 1)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-scaled @ weights))
        gradient = scaled.T @ (each * (p - y)) + prior @ weights
        curvature = (scaled * (each * p * (1 - p))[:, None]).T @ scaled + prior
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    own = weights[1:] / spread
    return float(weights[0] - middle @ own), own
