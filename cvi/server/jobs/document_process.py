"""The process that indexes one document: `python -m cvi.server.jobs.document_process`; its pipe is `child`'s.

It fetches, reads and embeds. What it dies in the middle of changes nothing of the version before.
"""

from __future__ import annotations

import asyncio
import os
from typing import NoReturn

from pydantic import BaseModel

from cvi.errors import CviError
from cvi.knowledge.library import Library
from cvi.knowledge.reading.blocks import DocumentError
from cvi.knowledge.store import StoredDocument
from cvi.server.jobs.child import Report, serve_child

NICENESS = 10
"""Conversations go before."""


class DocumentTask(BaseModel):
    """A document to index under `id`; `allowed` are the private hosts that the operator allows."""

    id: str
    url: str
    name: str
    crawl: tuple[int, int] | None
    allowed: tuple[str, ...]


def source_of(id: str, url: str) -> str:
    """What the knowledge base calls a served document: two owners may have one address."""
    return f"{url.partition('#')[0]}#{id}"


def index(task: DocumentTask, report: Report) -> None:
    """Index the document, or do it again. Raises CviError."""
    asyncio.run(_index(task, report))


async def _index(task: DocumentTask, report: Report) -> None:
    def told(document: StoredDocument, done: int, of: int) -> None:
        report.progress("indexing", done, of)

    async with Library(allowed=task.allowed) as library:
        source = source_of(task.id, task.url)
        await library.add(source, id=task.id, name=task.name, crawl=task.crawl, told=told)


def describe(error: CviError, task: DocumentTask) -> str:
    """The contract's code, a bar, and the reason in words."""
    code = error.code if isinstance(error, DocumentError) else "document_processing_failed"
    return f"{code}|{error}"


def main() -> NoReturn:
    """Read the task, index, exit."""
    os.nice(NICENESS)
    serve_child(DocumentTask, index, describe=describe)


if __name__ == "__main__":
    main()
