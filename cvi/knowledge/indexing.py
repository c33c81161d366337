"""From a document's blocks to its passages in the store: what is new is embedded, the rest is taken over."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cvi.embeddings.base import Embedder
from cvi.errors import UsageError
from cvi.knowledge.passages import Passage, cut, sentences
from cvi.knowledge.reading.blocks import Block, DocumentError
from cvi.knowledge.store import (
    PassageVectors,
    StoredDocument,
    begin_version,
    digest_of,
    facts,
    get_document,
    known_vectors,
    make_current,
    note_fact,
    stage_passages,
)

BATCH = 8
MOST_SENTENCES = 40
Progress = Callable[[int, int], None]
"""How many passages of how many are done."""


def check_model(connection: sqlite3.Connection, embedder: Embedder) -> None:
    """Raises UsageError where the base holds the vectors of another model."""
    model = facts(connection).get("model")
    if model is None:
        note_fact(connection, "model", embedder.name)
    elif model != embedder.name:
        raise UsageError(
            f"The knowledge base was made with {model}, and this is {embedder.name}.",
            "Remove knowledge.sqlite3 from the data folder and add the documents again.",
        )


def embedded_text(name: str, passage: Passage) -> str:
    """What stands for a passage in the space of meanings: its place in the document and its text."""
    place = " > ".join(filter(None, (name, passage.heading)))
    return f"{place}\n{passage.text}"


def sentence_texts(passage: Passage) -> list[str]:
    """A passage's sentences, each under the last of its headings."""
    heading = passage.heading.rpartition(" > ")[2]
    found = passage_sentences(passage.text)
    return [f"{heading}: {each}" if heading else each for each in found]


def passage_sentences(text: str) -> list[str]:
    """The sentences of a passage that have vectors of their own."""
    return [each for line in text.splitlines() for each in sentences(line)][:MOST_SENTENCES]


def embed(embedder: Embedder, name: str, passages: Sequence[Passage]) -> list[PassageVectors]:
    """The vectors of passages; blocks."""
    wholes = embedder.passages([embedded_text(name, each) for each in passages])
    return [
        PassageVectors(
            whole.astype(np.float16).tobytes(),
            embedder.passages(sentence_texts(each)).astype(np.float16).tobytes(),
        )
        for whole, each in zip(wholes, passages, strict=True)
    ]


async def index_blocks(
    connection: sqlite3.Connection,
    document: StoredDocument,
    blocks: Sequence[Block],
    embedder: Embedder,
    progress: Progress = lambda done, of: None,
    **values: Any,
) -> StoredDocument:
    """Make the blocks the document's current version; `values` are columns to set with it.

    Raises DocumentError where there is no text, CviError where the disk is full; the version before stays.
    """
    passages = list(cut(blocks))
    if not passages:
        raise DocumentError("file_empty", "There is no text in it.", "Give a file with text in it.")
    digests = [digest_of(embedded_text(document.name, each), embedder.name) for each in passages]
    known = known_vectors(connection, list(dict.fromkeys(digests)))
    version = begin_version(connection, document)
    for first in range(0, len(passages), BATCH):
        part, keys = passages[first : first + BATCH], digests[first : first + BATCH]
        new = [(key, each) for key, each in zip(keys, part, strict=True) if key not in known]
        if new:
            made = await asyncio.to_thread(embed, embedder, document.name, [each for _, each in new])
            known |= {key: vectors for (key, _), vectors in zip(new, made, strict=True)}
        stage_passages(connection, document.id, version, first, part, keys, [known[key] for key in keys])
        progress(first + len(part), len(passages))
    make_current(connection, document.id, version, code="", **values)
    return get_document(connection, document.id)
