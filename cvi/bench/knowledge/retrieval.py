"""Whether the passage with the answer is among the first five: hybrid, words alone, meaning alone."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.bench.knowledge.question_set import Question, Source, write_files
from cvi.embeddings.base import Embedder
from cvi.errors import CviError
from cvi.knowledge.library import Library
from cvi.knowledge.notes import Budget, choose, window_of
from cvi.knowledge.passages import words_in
from cvi.knowledge.provider import KnowledgeProvider
from cvi.knowledge.relevance import Relevance
from cvi.knowledge.search import Found, Mode, Searcher

TOP = 5
MODES: tuple[Mode, ...] = ("hybrid", "words", "meaning")


@dataclass(frozen=True, slots=True)
class Answered:
    """What one question found; `rank` is that of the first passage with the answer, None where it is not
    among those that were looked at."""

    question: Question
    found: list[Found]
    rank: int | None

    @property
    def hit(self) -> bool:
        """Whether the answer is among the first five."""
        return self.rank is not None and self.rank <= TOP


async def index_sources(
    sources: list[Source], folder: Path, embedder: Embedder, more: Sequence[str] = ()
) -> Path:
    """Make the documents' files in `folder` and index them, and `more`, into a base beside them."""
    files = folder / "documents"
    files.mkdir(parents=True, exist_ok=True)
    write_files(sources, files)
    base = folder / "knowledge.sqlite3"
    async with Library(base, embedder=embedder) as library:
        failed = [each for each in await library.add_all([str(files), *more]) if each.error is not None]
    if failed:
        raise CviError(f"{len(failed)} documents cannot be read: {failed[0].error}", "")
    return base


def ask(searcher: Searcher, questions: Sequence[Question], mode: Mode, count: int = 12) -> list[Answered]:
    """What each question finds."""
    answered = []
    for question in questions:
        found = searcher.search(question.text, count, mode)
        ranks = [rank for rank, each in enumerate(found, 1) if holds_answer(each, question)]
        answered.append(Answered(question, found, ranks[0] if ranks else None))
    return answered


def holds_answer(found: Found, question: Question) -> bool:
    """Whether a passage is of the question's document and holds its answer."""
    passage = found.passage
    if not question.passage or passage.document != question.document:
        return False
    return re.search(question.passage, f"{passage.heading} {passage.text}", re.IGNORECASE) is not None


def calibrated(answered: Sequence[Answered]) -> Relevance:
    """The regression fitted on the passages that these questions found (Newton's method, weak prior)."""
    rows, labels = [], []
    for each in answered:
        for found in each.found:
            rows.append([1.0, found.cosine, found.sentence, found.coverage])
            labels.append(float(holds_answer(found, each.question)))
    x, y = np.array(rows), np.array(labels)
    middle = x.mean(axis=0) * [0, 1, 1, 1]
    scaled = x - middle
    weights = np.zeros(4)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-scaled @ weights))
        prior = np.diag([0.0, 1e-3, 1e-3, 1e-3])
        gradient = scaled.T @ (p - y) + prior @ weights
        curvature = (scaled * (p * (1 - p))[:, None]).T @ scaled + prior
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    bias = float(weights[0] - middle @ weights)
    return Relevance(round(bias, 2), *(round(float(each), 2) for each in weights[1:]))


def gate_rates(
    searcher: Searcher, answered: Sequence[Answered], budget: Budget
) -> tuple[list[bool], list[bool]]:
    """How the gate does: for questions with an answer, whether what is told holds it; for those without,
    whether nothing is told."""
    answerable, unanswerable = [], []
    for each in answered:
        chosen = choose(each.found, budget, searcher.asking(each.question.text))
        if each.question.passage:
            answerable.append(any(window_holds(found, each.question, budget.window) for found in chosen))
        else:
            unanswerable.append(not chosen)
    return answerable, unanswerable


def window_holds(found: Found, question: Question, window: int) -> bool:
    """Whether what is told of a passage is of the question's document and holds its answer."""
    told = f"{found.passage.heading} {window_of(found, window)}"
    return found.passage.document == question.document and bool(
        re.search(question.passage, told, re.IGNORECASE)
    )


@dataclass(frozen=True, slots=True)
class FollowedQuestion:
    """A turn that was searched for word by word. `tokens` are those of the note and `late` those of it that
    its last word has to read, at a rough four thirds of a token a word; `told`: the answer is in the note."""

    question: Question
    told: bool
    tokens: float
    late: float


def follow(provider: KnowledgeProvider, questions: Sequence[Question]) -> list[FollowedQuestion]:
    """Each question as somebody speaks it: each word but the newest is searched for, and then the whole."""
    followed = []
    for question in questions:
        words = question.text.split()
        before = ""
        for count in range(1, len(words)):
            before = provider.search(" ".join(words[:count]).rstrip(",.?!")).text
        found = provider.search(question.text)
        provider.turn_begins()
        own = question.document.rpartition(".")[0].replace("_", " ").replace("-", " ")
        told = bool(question.passage) and f"[{own}" in found.text
        told = told and re.search(question.passage, found.text, re.IGNORECASE) is not None
        tokens = words_in(found.text) * 4 / 3
        followed.append(FollowedQuestion(question, told, tokens, 0.0 if found.text == before else tokens))
    return followed


def log_loss(answered: Sequence[Answered]) -> float:
    """How far the probabilities are from the truth, in bits a passage; 0 is perfect."""
    losses = []
    for each in answered:
        for found in each.found[:TOP]:
            p = min(max(found.relevance, 1e-6), 1 - 1e-6)
            losses.append(-math.log2(p if holds_answer(found, each.question) else 1 - p))
    return float(np.mean(losses))
