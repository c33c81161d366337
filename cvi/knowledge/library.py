"""The library of a machine: adding files, folders and web pages, keeping them up to date, removing them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from cvi.embeddings.base import Embedder
from cvi.embeddings.shared import shared_embedder
from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.errors import CviError, UsageError
from cvi.files import is_folder, locked, sha256_of
from cvi.knowledge import store, web
from cvi.knowledge.indexing import check_model, index_blocks
from cvi.knowledge.injection import addresses_model
from cvi.knowledge.reading.blocks import Block, DocumentError
from cvi.knowledge.reading.formats import SUFFIXES
from cvi.knowledge.reading.reader import check_file, read_file
from cvi.knowledge.store import StoredDocument, StoredPassage
from cvi.paths import user_path

Told = Callable[[StoredDocument, int, int], None]
"""How many passages of how many of a document are done."""


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding one source: `changed` if anything was read anew; `error` if it cannot be used."""

    source: str
    document: StoredDocument | None
    changed: bool
    error: CviError | None = None


class Library:
    """One knowledge base, open for reading and writing. Event loop only; an asynchronous context manager.

    One source is indexed at a time, by one process at a time.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        embedder: Embedder | None = None,
        allowed: tuple[str, ...] = (),
        crawl_pause_s: float = web.PAUSE_S,
    ) -> None:
        """`allowed` as in `OutboundPolicy`. Raises CviError when the base cannot be used."""
        self._path = path or store.knowledge_path()
        self._embedder = embedder
        self._client = OutboundClient(OutboundPolicy(allowed))
        self._pause_s = crawl_pause_s
        self.connection = store.open_store(self._path)

    async def __aenter__(self) -> Library:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        self.connection.close()

    def every(self) -> list[StoredDocument]:
        """All documents, newest first."""
        return store.every_document(self.connection)

    def find(self, name: str) -> StoredDocument:
        """A document by id, source or name, or by the beginning of its id. Raises UsageError."""
        documents = self.every()
        source = _key(name)
        for matches in (
            [each for each in documents if name == each.id or each.source in (name, source)],
            [each for each in documents if each.name == name],
            [each for each in documents if len(name) >= 3 and each.id.startswith(name)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise UsageError(f"'{name}' is the name of {len(matches)} documents.", "Give the id instead.")
        raise UsageError(f"There is no document '{name}'.", "See what there is with: cvi knowledge list")

    def passages(self, document: StoredDocument, first: int = 0, limit: int = -1) -> list[StoredPassage]:
        """A document's passages, in its order."""
        return store.passages_of(self.connection, document.id, first, limit)

    def remove(self, document: StoredDocument) -> None:
        """Remove a document and everything that was made of it; its file stays."""
        store.remove_document(self.connection, document.id)

    async def add_all(
        self,
        sources: Sequence[str],
        *,
        tags: Sequence[str] = (),
        crawl: tuple[int, int] | None = None,
        told: Told = lambda document, done, of: None,
        added: Callable[[Added], None] = lambda one: None,
    ) -> list[Added]:
        """Add files, folders and addresses one after the other; what cannot be used stops none of the rest.

        Raises CviError only for what concerns all of them: a full disk, a base of another model.
        """
        results = []
        for source in self._expanded(sources):
            try:
                one = await self.add(source, tags=tags, crawl=crawl, told=told)
            except (DocumentError, UsageError) as error:
                one = Added(source, None, False, error)
            results.append(one)
            added(one)
        return results

    async def add(
        self,
        source: str,
        *,
        id: str | None = None,
        name: str = "",
        tags: Sequence[str] = (),
        crawl: tuple[int, int] | None = None,
        told: Told = lambda document, done, of: None,
        again: bool = False,
    ) -> Added:
        """Add one file or address, or bring it up to date; what has not changed is not read, unless `again`.

        Raises DocumentError for one that cannot be used; the document then says so too, and the version
        before stays.
        """
        address = is_address(source)
        document = store.add_document(
            self.connection, _key(source), name or _name_of(source), id=id, tags=tags, crawl=crawl
        )
        with self._alone():
            try:
                return await (self._add_address if address else self._add_file)(document, told, again)
            except DocumentError as error:
                kept = " The version before is still used." if document.version else ""
                self._set(document, state="error", code=error.code, message=f"{error.message}{kept}")
                raise DocumentError(
                    error.code, f"{_name_of(source)}: {error.message}", error.remedy
                ) from error
            except (CviError, OSError, asyncio.CancelledError):
                with suppress(CviError):
                    self._set(document, state=document.state)
                raise

    async def sync(
        self,
        folders: Sequence[str] = (),
        *,
        told: Told = lambda document, done, of: None,
        added: Callable[[Added], None] = lambda one: None,
    ) -> list[Added]:
        """Bring files up to date: read those that changed, remove those that are gone.

        With `folders`, also add what is new in them, and leave the rest alone. Pages are read again when they
        are added again.
        """
        gone, sources = self._differences(folders)
        for each in gone:
            self.remove(each)
            added(Added(each.source, None, True))
        return await self.add_all(sources, told=told, added=added)

    def _differences(self, folders: Sequence[str]) -> tuple[list[StoredDocument], list[str]]:
        """The documents whose files are gone, and the files to look at."""
        roots = [Path(_key(each)) for each in folders]
        for root in roots:
            if not root.is_dir():
                raise UsageError(f"{root} is no folder.", "Give a folder, or nothing for all documents.")
        inside = [
            each
            for each in self.every()
            if not is_address(each.source)
            and (not roots or any(Path(each.source).is_relative_to(root) for root in roots))
        ]
        gone = [each for each in inside if not Path(each.source).exists()]
        sources = [each.source for each in inside if each not in gone]
        sources += [str(path) for root in roots for path in files_in(root)]
        return gone, list(dict.fromkeys(sources))

    # -- one document -----------------------------------------------------------------------------

    async def _add_file(self, document: StoredDocument, told: Told, again: bool) -> Added:
        path = Path(document.source)
        await asyncio.to_thread(check_file, path)  # before half a gigabyte is hashed
        try:
            digest = await asyncio.to_thread(sha256_of, path)
        except OSError as error:
            raise DocumentError(
                "file_download_failed", f"It cannot be read: {error.strerror}.", "Check its path."
            ) from error
        if digest == document.sha256 and document.version and not again:
            if document.state != "ready":
                self._set(document, state="ready", code="", message="")
            return Added(document.source, store.get_document(self.connection, document.id), False)
        self._set(document, state="processing")
        blocks = await read_file(path)
        return await self._index(document, blocks, told, sha256=digest)

    async def _add_address(self, document: StoredDocument, told: Told, again: bool) -> Added:
        self._set(document, state="recrawling" if document.version else "processing")
        if document.crawl is None:
            pages = [await web.read_address(self._client, document.source)]
        else:
            depth, most = document.crawl
            pages = await web.crawl(self._client, document.source, depth, most, pause_s=self._pause_s)
        urls = json.dumps([page.url for page in pages])
        blocks = [block for page in pages for block in page.blocks]
        return await self._index(
            document, blocks, told, urls=urls, crawls=document.crawls + 1, crawled_at=time.time()
        )

    async def _index(
        self, document: StoredDocument, blocks: list[Block], told: Told, **values: object
    ) -> Added:
        if self._embedder is None:
            self._embedder = await asyncio.to_thread(shared_embedder)
        check_model(self.connection, self._embedder)
        odd = sum(addresses_model(block.text) for block in blocks)
        message = f"{odd} of its paragraphs order a model about; those sentences are left out." if odd else ""

        def progress(passages: int, of: int) -> None:
            told(document, passages, of)

        done = await index_blocks(
            self.connection, document, blocks, self._embedder, progress, message=message, **values
        )
        return Added(document.source, done, True)

    def _set(self, document: StoredDocument, **values: object) -> None:
        with store.writing(self.connection):
            store.change_document(self.connection, document.id, **values)

    def _expanded(self, sources: Sequence[str]) -> Iterator[str]:
        for source in sources:
            path = user_path(source)
            if not is_address(source) and is_folder(path):
                found = files_in(path)
                yield from map(str, found)
                if not found:
                    raise UsageError(f"There is no document in {path}.", f"Known are: {' '.join(SUFFIXES)}")
            else:
                yield source

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with locked(self._path.with_suffix(".lock")):
            yield


def is_address(source: str) -> bool:
    """Whether a source is a web address rather than a path."""
    return source.startswith(("http://", "https://"))


def files_in(folder: Path) -> list[Path]:
    """The documents in a folder and its folders, hidden ones left out, in order."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root) / name
            for name in sorted(names)
            if not name.startswith((".", "~$")) and Path(name).suffix.lower() in SUFFIXES
        ]
    return found


def _key(source: str) -> str:
    """How a source is stored: an address as it is, a path from the root."""
    return source if is_address(source) else str(user_path(source).absolute())


def _name_of(source: str) -> str:
    if is_address(source):
        parts = urlsplit(source)
        return unquote(Path(parts.path).name) or str(parts.hostname)
    return Path(source).name
