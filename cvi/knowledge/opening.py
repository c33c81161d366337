"""From what a persona names to what its conversation can look up: documents indexed, a provider over them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cvi.embeddings.shared import shared_embedder
from cvi.errors import CviError
from cvi.knowledge.library import Added, Library
from cvi.knowledge.notes import BUDGETS
from cvi.knowledge.provider import KnowledgeProvider
from cvi.knowledge.search import Scope

log = logging.getLogger("cvi.knowledge")


async def open_knowledge(
    documents: Sequence[str], ids: Sequence[str], tags: Sequence[str], retrieval: str
) -> tuple[KnowledgeProvider, list[CviError]]:
    """The provider over these documents, and what is wrong with those that cannot be used.

    `documents` are files, folders and addresses; what of them is new or has changed is read first. Raises
    MissingError without an embedder, CviError when the knowledge base cannot be used.
    """
    added = await asyncio.to_thread(lambda: asyncio.run(_add(documents))) if documents else []
    faults = [each.error for each in added if each.error is not None]
    for fault in faults:
        log.warning("a document cannot be used: %s", fault)
    own = [each.document.id for each in added if each.document is not None]
    embedder = await asyncio.to_thread(shared_embedder)
    scope = Scope(frozenset([*ids, *own]), frozenset(tags))
    provider = await asyncio.to_thread(KnowledgeProvider, embedder, scope, BUDGETS[retrieval])
    return provider, faults


async def _add(documents: Sequence[str]) -> list[Added]:
    """On a loop of its own: the library blocks while another process writes."""
    async with Library() as library:
        return await library.add_all(documents)
