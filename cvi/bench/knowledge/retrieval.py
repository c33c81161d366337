"""Whether the passage with the answer is among the first five: hybrid, words alone, meaning alone.

And nDCG of public retrieval sets in the format of BEIR (Thakur et al. 2021).
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvi.bench.knowledge.question_set import Question, Source, write_files
from cvi.bench.run import Figure, Variant
from cvi.embeddings.base import Embedder
from cvi.errors import CviError, UsageError
from cvi.knowledge.indexing import index_blocks
from cvi.knowledge.library import Library
from cvi.knowledge.reading.blocks import Block
from cvi.knowledge.relevance import Relevance
from cvi.knowledge.search import Found, Mode, Searcher
from cvi.knowledge.store import add_document, open_store

TOP = 5
BEIR_TOP = 10
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


def gate_rates(answered: Sequence[Answered], gate: float, passages: int) -> tuple[list[bool], list[bool]]:
    """How the gate does when the first `passages` that pass it are told.

    For questions with an answer, whether it is among them; for those without, whether none passes.
    """
    answerable, unanswerable = [], []
    for each in answered:
        passing = sorted((f for f in each.found if f.relevance >= gate), key=lambda f: -f.relevance)[
            :passages
        ]
        if each.question.passage:
            answerable.append(any(holds_answer(found, each.question) for found in passing))
        else:
            unanswerable.append(not passing)
    return answerable, unanswerable


def log_loss(answered: Sequence[Answered]) -> float:
    """How far the probabilities are from the truth, in bits a passage; 0 is perfect."""
    losses = []
    for each in answered:
        for found in each.found[:TOP]:
            p = min(max(found.relevance, 1e-6), 1 - 1e-6)
            losses.append(-math.log2(p if holds_answer(found, each.question) else 1 - p))
    return float(np.mean(losses))


def load_beir(folder: Path, scratch: Path, embedder: Embedder) -> list[Variant]:
    """nDCG at ten of each way to search, over the questions in qrels/test.tsv. Raises UsageError.

    A text of the set is a document here, and counts as found with the first of its passages.
    """
    judged = _judged(folder)
    base = scratch / "beir.sqlite3"
    asyncio.run(_index(folder, base, embedder))
    queries = {
        line["_id"]: line["text"] for line in _lines(folder / "queries.jsonl") if line["_id"] in judged
    }
    searcher = Searcher(base, embedder)
    variants = []
    for mode in MODES:
        values = []
        for id, text in queries.items():
            found = searcher.search(text, 3 * BEIR_TOP, mode)
            ranked = list(dict.fromkeys(each.passage.source for each in found))[:BEIR_TOP]
            values.append(ndcg(ranked, judged[id]))
        figure = Figure("ndcg10", "nDCG at 10", "", tuple(values), lower_is_better=False)
        variants.append(Variant(mode, f"{searcher.size} passages", figures=(figure,)))
    searcher.close()
    return variants


def ndcg(ranked: list[str], judged: Mapping[str, int]) -> float:
    """Normalized discounted cumulative gain (Järvelin and Kekäläinen 2002) of the first ten."""
    gained = sum(judged.get(id, 0) / math.log2(rank + 1) for rank, id in enumerate(ranked[:BEIR_TOP], 1))
    best = sorted(judged.values(), reverse=True)[:BEIR_TOP]
    ideal = sum(value / math.log2(rank + 1) for rank, value in enumerate(best, 1))
    return gained / ideal if ideal else 0.0


async def _index(folder: Path, base: Path, embedder: Embedder) -> None:
    connection = open_store(base)
    for line in _lines(folder / "corpus.jsonl"):
        document = add_document(connection, line["_id"], line.get("title") or line["_id"])
        if line["text"].strip():
            await index_blocks(connection, document, [Block(line["text"])], embedder)
    connection.close()


def _judged(folder: Path) -> dict[str, dict[str, int]]:
    path = folder / "qrels" / "test.tsv"
    if not path.is_file():
        raise UsageError(f"{path} is not there.", "Give a folder in the format of BEIR.")
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            judged[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return judged


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        yield from map(json.loads, filter(str.strip, stream))
