"""How long retrieval over large sets and indexing take, in processor time, which does not depend on what else
runs.

The passages of a large set are those of the graded documents over and over, their vectors with noise: real
words, and neighbours as close as real ones. A question is one of the graded set.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cvi.bench.knowledge.question_set import PAGE, Source, write_files
from cvi.embeddings.base import Embedder, Vectors
from cvi.knowledge.library import Library
from cvi.knowledge.passages import Passage
from cvi.knowledge.search import Searcher
from cvi.knowledge.store import (
    PassageVectors,
    add_document,
    every_document,
    make_current,
    open_store,
    passages_of,
    sentences_of,
    stage_passages,
    vectors_of,
)
from cvi.knowledge.vectors import VectorIndex

NOISE = 0.35
"""The length of the noise added to a unit vector: cosines among copies are about 0.9."""
PAGE_WORDS = 330
_PART = 2000


def enlarge(base: Path, target: Path, count: int, seed: int = 0) -> None:
    """A base of `count` passages made from those of `base`."""
    rng = np.random.default_rng(seed)
    source, large = open_store(base), open_store(target)
    rows = [each for document in every_document(source) for each in passages_of(source, document.id)]
    wholes, sentences = (read(source, [each.id for each in rows]) for read in (vectors_of, sentences_of))
    document = add_document(large, "/large", "large")
    for first in range(0, count, _PART):
        chosen = [rows[i % len(rows)] for i in range(first, min(first + _PART, count))]
        passages = [Passage(each.text, each.heading, each.page) for each in chosen]
        vectors = [
            PassageVectors(_noisy(wholes[each.id][None], rng), _noisy(sentences[each.id], rng))
            for each in chosen
        ]
        digests = [(first + i).to_bytes(16) for i in range(len(chosen))]
        stage_passages(large, document.id, 1, first, passages, digests, vectors)
    make_current(large, document.id, 1)
    source.close()
    large.close()


def _noisy(vectors: Vectors, rng: np.random.Generator) -> bytes:
    noise = rng.standard_normal(vectors.shape).astype(np.float32)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = vectors + noise
    return bytes((moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float16).tobytes())


def search_times_s(base: Path, questions: Sequence[str], embedder: Embedder) -> list[float]:
    """Processor seconds of each search, embedding the question included; the first, which loads, left out."""
    searcher = Searcher(base, embedder)
    searcher.search(questions[0])
    times = []
    for question in questions:
        began = time.process_time()
        searcher.search(question)
        times.append(time.process_time() - began)
    searcher.close()
    return times


def index_pages_s(count: int, texts: Sequence[str], folder: Path, embedder: Embedder) -> tuple[float, float]:
    """Seconds, and processor seconds of this process and the reader's, that a PDF of `count` pages takes.

    Each page holds about 330 words (A4 in a usual size) of `texts`, numbered, so that no two passages are the
    same.
    """
    words = [word for word in " ".join(texts).split() if word[0] not in "#|<-"]
    pages = []
    for page in range(count):
        first = page * PAGE_WORDS % len(words)
        taken = (words + words)[first : first + PAGE_WORDS]
        parts = [" ".join(taken[at : at + 66]) for at in range(0, PAGE_WORDS, 66)]
        numbered = [f"{page + 1}.{number} {part}." for number, part in enumerate(parts)]
        pages.append("\n".join([f"# Section {page + 1}", *numbered]))
    source = Source("pages", "pdf", "en", f"\n{PAGE}\n".join(pages), ())
    files = folder / "pages"
    files.mkdir()
    write_files([source], files)

    async def index() -> None:
        async with Library(folder / "pages.sqlite3", embedder=embedder) as library:
            await library.add(str(files / source.file_name))

    began, before_s = time.monotonic(), _processor_s()
    asyncio.run(index())
    return time.monotonic() - began, _processor_s() - before_s


def _processor_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def vector_times_s(count: int, questions: Vectors, seeds: Vectors) -> tuple[list[float], list[float]]:
    """Processor seconds of each look-up among `count` vectors, and the share of the true ten nearest found.

    `seeds` are real vectors (n, dimensions); the set is these with noise. Vectors lie in memory, in half
    precision.
    """
    rng = np.random.default_rng(1)
    stored = np.empty((count, seeds.shape[1]), np.float16)
    for first in range(0, count, 50_000):
        stop = min(first + 50_000, count)
        noise = rng.standard_normal((stop - first, seeds.shape[1])).astype(np.float32)
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        moved = seeds[np.arange(first, stop) % len(seeds)] + noise
        stored[first:stop] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    index = VectorIndex(lambda ids: {id: stored[id - 1].astype(np.float32) for id in ids})
    index.append(
        (
            np.arange(first, min(first + 50_000, count)) + 1,
            np.full(min(50_000, count - first), "d"),
            stored[first : first + 50_000].astype(np.float32),
        )
        for first in range(0, count, 50_000)
    )
    times, recalls = [], []
    for question in questions:
        began = time.process_time()
        found = index.nearest(question, 10)
        times.append(time.process_time() - began)
        best = np.full(count, -1.0, np.float32)
        for first in range(0, count, 100_000):
            best[first : first + 100_000] = stored[first : first + 100_000].astype(np.float32) @ question
        truth = set((np.argpartition(-best, 10)[:10] + 1).tolist())
        recalls.append(len(truth & {id for id, _ in found}) / 10)
    return times, recalls
