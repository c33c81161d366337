"""Documents given through the API: fetched, read and indexed by a process of their own, then told about.

What a document's resource says of itself (`status`, `progress`, ...) is written here; its callback is sent
when it is `processing`, and when it is `ready` or `error`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cvi.child_process import module_command
from cvi.errors import CviError
from cvi.knowledge import store
from cvi.paths import home
from cvi.server.contract import iso
from cvi.server.jobs.child import ChildLostError, run_child
from cvi.server.jobs.document_process import DocumentTask
from cvi.server.jobs.queue import JobHandler, JobRun
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.store import jobs, resources
from cvi.server.store.database import Database
from cvi.server.store.jobs import Job, State
from cvi.server.store.resources import Resource

KIND = "document"
RESOURCES = "documents"
WITHIN_S = 2 * 3600.0
COMMAND = module_command("cvi.server.jobs.document_process")
RECRAWL_AFTER_S = 3600.0
_STEPS = {"indexing": (5, 99)}

log = logging.getLogger("cvi.server.documents")


def queue_document(connection: sqlite3.Connection, resource: Resource, owner: str, now: float) -> None:
    """Queue the indexing of a new document."""
    jobs.add(connection, KIND, resource.id, {}, now, key=KIND, name=resource.name, owner=owner)


def show_document(resource: Resource) -> dict[str, Any]:
    """A document as the API answers it and as its callback tells it."""
    document = {
        "status": "started",
        "progress": 0,
        "error_message": None,
        "error_details": "",
        "crawled_urls": [],
        "crawl_count": 0,
        "passages_count": 0,
        **{name: value for name, value in resource.document.items() if value is not None},
    }
    return {"document_id": resource.id, "uuid": resource.id, **document}


def served_chunks(document_id: str, first: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Some passages of a document, and how many it has; blocks."""
    connection = store.open_store(store.knowledge_path())
    try:
        shown = [
            {
                "chunk_id": f"{document_id}:{each.position}",
                "text": each.text,
                "heading": each.heading,
                "page": each.page,
                "url": each.url or None,
            }
            for each in store.passages_of(connection, document_id, first, limit)
        ]
        row = connection.execute("SELECT passages FROM documents WHERE id = ?", (document_id,)).fetchone()
        return shown, 0 if row is None else int(row[0])
    finally:
        connection.close()


class DocumentJob(JobHandler):
    """Indexes one document at a time, so that conversations keep the machine."""

    kind = KIND
    keeps: tuple[State, ...] = ("succeeded", "failed")

    def __init__(
        self,
        database: Database,
        *,
        allowed: Sequence[str] = (),
        wall: Callable[[], float] = time.time,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """`allowed` are private hosts that may be read; `command` starts the child."""
        self._database = database
        self._allowed = tuple(allowed)
        self._wall = wall
        self._command = command

    async def run(self, run: JobRun) -> str:
        """Index the document; returns what came of it, as JSON."""
        resource = await self._database.write(lambda connection: self._begun(connection, run.job))
        if resource is None:
            raise CviError("The document was deleted.", "")
        document = resource.document
        crawl = document.get("crawl_config")
        task = DocumentTask(
            id=resource.id,
            url=document["document_url"],
            name=document["document_name"],
            crawl=(crawl["depth"], crawl["max_pages"]) if crawl else None,
            allowed=self._allowed,
        )
        log_path = _log_path(resource.id)
        await asyncio.to_thread(log_path.parent.mkdir, parents=True, exist_ok=True)
        try:
            await run_child(
                self._command,
                task,
                log_path,
                stages=_STEPS,
                report=run.report,
                within_s=WITHIN_S,
                stop_within_s=lambda: 0.0,
            )
        except ChildLostError as error:
            log.error("indexing ended without a word: %s", error, extra={"document_id": resource.id})
            raise CviError("document_processing_failed|It takes too much memory.", "") from error
        await asyncio.to_thread(log_path.unlink, missing_ok=True)
        return json.dumps(await asyncio.to_thread(_indexed, resource.id))

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        """Write into the resource what came of it, and queue its callback."""
        if job.state == "succeeded":
            self._note(connection, job, json.loads(job.result))
            return
        code, bar, reason = job.result.partition("|")
        if not bar:
            code, reason = "document_processing_failed", job.result
        failed = {"status": "error", "progress": None, "error_message": code, "error_details": reason}
        self._note(connection, job, failed)

    async def erase(self, job: Job) -> None:
        """Remove its passages, and what its process wrote where it failed."""
        await asyncio.to_thread(_forget, job.id)

    def _begun(self, connection: sqlite3.Connection, job: Job) -> Resource | None:
        found = resources.get(connection, RESOURCES, job.id, job.owner)
        if found is None:
            return None
        again = found.document.get("passages_count") is not None
        return self._note(connection, job, {"status": "recrawling" if again else "processing", "progress": 0})

    def _note(self, connection: sqlite3.Connection, job: Job, values: dict[str, Any]) -> Resource | None:
        """Change a document's resource, and queue its callback."""
        found = resources.get(connection, RESOURCES, job.id, job.owner)
        if found is None:
            return None
        now = self._wall()
        cleared = {"error_message": None, "error_details": ""}
        document = {**found.document, **cleared, **values}
        resources.replace(connection, RESOURCES, found.id, found.name, document, now)
        changed = Resource(RESOURCES, found.id, found.name, found.created_at, now, document)
        times = {"created_at": iso(found.created_at), "updated_at": iso(now)}
        body = {**show_document(changed), **times}
        queue_webhook(connection, job.id, document.get("callback_url", ""), "document", body, now, job.owner)
        return changed


def _indexed(document_id: str) -> dict[str, Any]:
    """What the resource says of a document that is ready."""
    connection = store.open_store(store.knowledge_path())
    try:
        found = store.get_document(connection, document_id)
    finally:
        connection.close()
    crawled = found.crawl is not None
    return {
        "status": "ready",
        "progress": 100,
        "error_details": found.message,
        "passages_count": found.passages,
        "crawled_urls": list(found.urls) if crawled else [],
        "last_crawled_at": iso(found.crawled_at) if crawled and found.crawled_at else None,
        "crawl_count": found.crawls if crawled else 0,
    }


def _log_path(document_id: str) -> Path:
    return home() / "documents" / f"{document_id}.log"


def _forget(document_id: str) -> None:
    _log_path(document_id).unlink(missing_ok=True)
    connection = store.open_store(store.knowledge_path())
    try:
        store.remove_document(connection, document_id)
    finally:
        connection.close()
