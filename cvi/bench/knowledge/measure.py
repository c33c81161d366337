"""`cvi bench knowledge`: the runs, and how long retrieval over large sets and indexing take.

Speed is in processor time, which does not depend on what else runs. The passages of a large set are those of
the graded documents over and over, their vectors with noise: real words, and neighbours as close as real
ones. A question is one of the graded set.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from cvi.bench.knowledge.beir import load_beir
from cvi.bench.knowledge.grounded import GroundedAnswer, alternating, ask_all, chosen_questions
from cvi.bench.knowledge.question_set import (
    PAGE,
    PARTS,
    Question,
    Source,
    load_sources,
    load_turns,
    write_files,
)
from cvi.bench.knowledge.retrieval import (
    MODES,
    Answered,
    ask,
    calibrated,
    follow,
    gate_rates,
    index_sources,
    log_loss,
)
from cvi.bench.knowledge.support_fit import fitted_support
from cvi.bench.layers.measurement import finish, milliseconds, proportion
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.embeddings.base import Embedder, Vectors
from cvi.embeddings.shared import shared_embedder
from cvi.errors import UsageError
from cvi.knowledge.library import Library
from cvi.knowledge.notes import BUDGETS
from cvi.knowledge.passages import Passage
from cvi.knowledge.provider import KnowledgeProvider
from cvi.knowledge.search import Scope, Searcher
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

CHUNKS = 10_000


def measure_knowledge(
    *,
    part: str,
    beir: Path | None,
    calibrate: bool,
    grounded: bool,
    kept: Path | None,
    following: bool,
    speed: bool,
    vectors: int,
    pages: int,
    profile: str,
    more: Sequence[str],
    output: Path | None,
    json: bool,
) -> None:
    """Index a question set and ask it; write the run and print it. Raises CviError."""
    recorder = RunRecorder(
        "knowledge", {"part": part, "beir": str(beir or "")}, profile=profile, output=output
    )
    embedder = shared_embedder()
    with tempfile.TemporaryDirectory(prefix="cvi-bench-knowledge-") as scratch:
        folder = Path(scratch)
        if beir is not None:
            finish(recorder, load_beir(beir, folder, embedder), json)
            return
        sources = load_sources(part)
        began = time.process_time()
        base = asyncio.run(index_sources(sources, folder, embedder, more))
        spent_s = time.process_time() - began
        recorder.notes.append(f"embedded in {spent_s:.1f} s of processor time, reading not included")
        questions = [each for source in sources for each in source.questions]
        variants = _retrieval(base, questions, embedder, recorder, calibrate)
        if following:
            variants.append(_following(base, questions, embedder))
        if speed:
            variants.append(_speed(base, folder, questions, embedder, vectors))
        if pages:
            texts = [each.text for each in sources if each.language == "en"]
            variants.append(_indexing(pages, *index_pages_s(pages, texts, folder, embedder)))
        if grounded:
            variants.append(_grounded(base, part, embedder, profile, kept, recorder, calibrate))
    finish(recorder, variants, json)


def _retrieval(
    base: Path, questions: Sequence[Question], embedder: Embedder, recorder: RunRecorder, calibrate: bool
) -> list[Variant]:
    searcher = Searcher(base, embedder)
    asked = [each for each in questions if each.passage]
    variants = []
    for mode in MODES:
        answered = ask(searcher, asked, mode)
        variants.append(Variant(mode, f"{searcher.size} passages", figures=tuple(_hits(answered))))
    everything = ask(searcher, questions, "hybrid")
    told, silent = gate_rates(searcher, everything, BUDGETS["balanced"])
    gate = (
        proportion("told", "answer among what is told", told, lower_is_better=False),
        proportion("silent", "nothing told where there is no answer", silent, lower_is_better=False),
    )
    variants[0] = Variant(variants[0].name, variants[0].about, figures=(*variants[0].figures, *gate))
    if calibrate:
        fitted = calibrated(everything)
        recorder.notes.append(
            f"fitted on this set: {fitted}; loss now {log_loss(everything):.3f} bits a passage"
        )
    searcher.close()
    return variants


def _hits(answered: Sequence[Answered]) -> Iterable[Figure]:
    english = [each for each in answered if each.question.language == "en"]
    foreign = [each for each in answered if each.question.language != "en"]
    parts = (("", "", answered), ("_en", ", English", english), ("_other", ", other languages", foreign))
    for name, label, items in parts:
        if items:
            first = [each.rank == 1 for each in items]
            yield proportion(
                f"top5{name}",
                f"in the first five{label}",
                [each.hit for each in items],
                lower_is_better=False,
            )
            yield proportion(f"top1{name}", f"in the first place{label}", first, lower_is_better=False)


def _following(base: Path, questions: Sequence[Question], embedder: Embedder) -> Variant:
    provider = KnowledgeProvider(embedder, Scope(), BUDGETS["balanced"], path=base)
    asked = follow(provider, questions)
    talk = follow(provider, [Question(text, "", "") for kind, text in load_turns("held") if kind == "talk"])
    provider.close()
    told = [each.told for each in asked if each.question.passage]
    unchanged, silent = [not each.late for each in asked], [not each.tokens for each in talk]
    tokens, late = (tuple(getattr(each, name) for each in asked) for name in ("tokens", "late"))
    return Variant(
        "following",
        "searched for word by word",
        figures=(
            proportion("followed_told", "answer among what is told", told, lower_is_better=False),
            proportion("unchanged", "note stands before the last word", unchanged, lower_is_better=False),
            Figure("note_tokens", "tokens of the note", "", tokens),
            Figure("late_tokens", "of these read after the last word", "", late),
            proportion("talk", "small talk that is told nothing", silent, lower_is_better=False),
            Figure("talk_late", "small talk: tokens read late", "", tuple(each.late for each in talk)),
        ),
    )


def _speed(
    base: Path, folder: Path, questions: Sequence[Question], embedder: Embedder, vectors: int
) -> Variant:
    large = folder / "large.sqlite3"
    enlarge(base, large, CHUNKS)
    texts = [each.text for each in questions]
    searches = search_times_s(large, texts, embedder)
    connection = open_store(base)
    ids = [each.id for found in every_document(connection) for each in passages_of(connection, found.id)]
    seeds = np.stack(list(vectors_of(connection, ids).values()))
    connection.close()
    times, recalls = vector_times_s(vectors, embedder.questions(texts[:40]), seeds)
    return Variant(
        "speed",
        "processor time",
        figures=(
            milliseconds("search_ms", f"search in {CHUNKS:,} passages, question embedded", searches),
            milliseconds("vectors_ms", f"ten nearest of {vectors:,} vectors", times),
            Figure("recall", "of the true ten nearest", "", tuple(recalls), lower_is_better=False),
        ),
    )


def _indexing(pages: int, wall_s: float, processor_s: float) -> Variant:
    return Variant(
        "indexing",
        f"a PDF of {pages} pages",
        figures=(
            Figure("index_s", "from file to searchable", "s", (wall_s,)),
            Figure("index_cpu_s", "the same, processor time", "s", (processor_s,)),
        ),
    )


def _grounded(
    base: Path,
    part: str,
    embedder: Embedder,
    profile: str,
    kept: Path | None,
    recorder: RunRecorder,
    calibrate: bool,
) -> Variant:
    answerable, without = chosen_questions(load_sources(part), every=part != "graded")
    console = Console(highlight=False, soft_wrap=True)

    def tell(given: GroundedAnswer) -> None:
        if not given.right:
            console.print(f"[bold]{escape(given.question.text)}[/]\n  {escape(given.answer)}")

    answers, config = asyncio.run(
        ask_all(base, alternating(answerable, without), embedder, profile, recorder.folder, kept, tell)
    )
    recorder.profile = config.profile.name
    recorder.write("grounded.json", [asdict(each) for each in answers])
    if calibrate:
        fit = fitted_support(answers, base, embedder)
        recorder.write("support.json", fit.weights)
        recorder.notes.append(fit.note)
    right = [each.right for each in answers if each.question.passage]
    refused = [each.right for each in answers if not each.question.passage]
    return Variant(
        "grounded",
        f"{config.llm.engine} {config.llm.model or ''}".strip(),
        figures=(
            proportion("answered", "answered from the passage", right, lower_is_better=False),
            proportion("refused", "refused where there is no answer", refused, lower_is_better=False),
        ),
    )


def check_options(part: str, beir: Path | None, grounded: bool) -> None:
    """Raises UsageError for options that do not go together."""
    if part not in PARTS:
        raise UsageError(f"There is no part '{part}'.", f"Choose from: {', '.join(PARTS)}.")
    if beir is not None and not (beir / "corpus.jsonl").is_file():
        raise UsageError(f"{beir} holds no corpus.jsonl.", "Give a folder in the format of BEIR.")


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
