"""Public retrieval sets in the format of BEIR (Thakur et al. 2021)."""

from __future__ import annotations

import asyncio
import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cvi.bench.knowledge.retrieval import MODES
from cvi.bench.run import Figure, Variant
from cvi.embeddings.base import Embedder
from cvi.errors import UsageError
from cvi.knowledge.indexing import index_blocks
from cvi.knowledge.reading.blocks import Block
from cvi.knowledge.search import Searcher
from cvi.knowledge.store import add_document, open_store

TOP = 10


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
            found = searcher.search(text, 3 * TOP, mode)
            ranked = list(dict.fromkeys(each.passage.source for each in found))[:TOP]
            values.append(ndcg(ranked, judged[id]))
        figure = Figure("ndcg10", "nDCG at 10", "", tuple(values), lower_is_better=False)
        variants.append(Variant(mode, f"{searcher.size} passages", figures=(figure,)))
    searcher.close()
    return variants


def ndcg(ranked: list[str], judged: Mapping[str, int]) -> float:
    """Normalized discounted cumulative gain (Järvelin and Kekäläinen 2002) of the first ten."""
    gained = sum(judged.get(id, 0) / math.log2(rank + 1) for rank, id in enumerate(ranked[:TOP], 1))
    best = sorted(judged.values(), reverse=True)[:TOP]
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
