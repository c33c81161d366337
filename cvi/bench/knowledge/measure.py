"""`cvi bench knowledge`: the runs."""

from __future__ import annotations

import asyncio
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
from cvi.bench.knowledge.question_set import Question, load_sources
from cvi.bench.knowledge.retrieval import (
    MODES,
    Answered,
    ask,
    calibrated,
    gate_rates,
    index_sources,
    log_loss,
)
from cvi.bench.knowledge.speed import enlarge, index_pages_s, search_times_s, vector_times_s
from cvi.bench.layers.measurement import finish, milliseconds, proportion
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.embeddings.base import Embedder
from cvi.embeddings.shared import shared_embedder
from cvi.errors import UsageError
from cvi.knowledge.notes import BUDGETS
from cvi.knowledge.relevance import GATE
from cvi.knowledge.search import Searcher
from cvi.knowledge.store import every_document, open_store, passages_of, vectors_of

CHUNKS = 10_000
VECTORS = 1_000_000


def measure_knowledge(
    *,
    part: str,
    beir: Path | None,
    calibrate: bool,
    grounded: bool,
    kept: Path | None,
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
            variants = load_beir(beir, folder, embedder)
        else:
            sources = load_sources(part)
            began = time.process_time()
            base = asyncio.run(index_sources(sources, folder, embedder, more))
            spent_s = time.process_time() - began
            recorder.notes.append(f"embedded in {spent_s:.1f} s of processor time, reading not included")
            questions = [each for source in sources for each in source.questions]
            variants = _retrieval(base, questions, embedder, recorder, calibrate)
            if speed:
                variants.append(_speed(base, folder, questions, embedder, vectors))
            if pages:
                texts = [each.text for each in sources if each.language == "en"]
                variants.append(_indexing(pages, *index_pages_s(pages, texts, folder, embedder)))
            if grounded:
                variants.append(_grounded(base, part, embedder, profile, kept, recorder))
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
    told, silent = gate_rates(everything, GATE, BUDGETS["balanced"].passages)
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
    base: Path, part: str, embedder: Embedder, profile: str, kept: Path | None, recorder: RunRecorder
) -> Variant:
    answerable, without = chosen_questions(load_sources(part))
    console = Console(highlight=False, soft_wrap=True)

    def tell(given: GroundedAnswer) -> None:
        if not given.right:
            console.print(f"[bold]{escape(given.question.text)}[/]\n  {escape(given.answer)}")

    answers, config = asyncio.run(
        ask_all(base, alternating(answerable, without), embedder, profile, recorder.folder, kept, tell)
    )
    recorder.profile = config.profile.name
    recorder.write("grounded.json", [asdict(each) for each in answers])
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
    if part not in ("graded", "development"):
        raise UsageError(f"There is no part '{part}'.", "Give graded or development.")
    if beir is not None and not (beir / "corpus.jsonl").is_file():
        raise UsageError(f"{beir} holds no corpus.jsonl.", "Give a folder in the format of BEIR.")
    if grounded and part != "graded":
        raise UsageError("Only the graded questions have graded answers.", "Leave out --part.")
