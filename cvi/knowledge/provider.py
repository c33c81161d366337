"""What a conversation knows from documents: searches while the participant speaks, ready when they stop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from pathlib import Path

from cvi.embeddings.base import Embedder
from cvi.errors import CviError
from cvi.knowledge.notes import Budget, Note, choose, write_note
from cvi.knowledge.relevance import GATE
from cvi.knowledge.search import Scope, Searcher
from cvi.knowledge.store import StoredPassage, knowledge_path
from cvi.knowledge.terms import terms

WAIT_S = 1.0
"""A reply begins without its passages rather than later."""
LEAST_LETTERS = 10
"""Fewer letters are a greeting or a "yes": nothing is looked up for them."""
KEPT = 64
SEARCHED = 8
"""So many passages are looked at for each note."""

log = logging.getLogger("cvi.knowledge")


class KnowledgeProvider:
    """A `ContextProvider` over the documents of a scope. `follow`, `note` and `close` from the event loop.

    Searches run on a thread of its own, always for the newest words; those that were overtaken are dropped.
    The note of a turn stays while its passages are still among the best for the words so far, so that the
    model reads no other one at each word.
    """

    name = "knowledge"

    def __init__(
        self,
        embedder: Embedder,
        scope: Scope,
        budget: Budget,
        *,
        path: Path | None = None,
    ) -> None:
        """Raises CviError when the knowledge base cannot be used."""
        self._budget = budget
        self._searcher = Searcher(path or knowledge_path(), embedder, scope)
        self._notes: OrderedDict[str, Note] = OrderedDict()
        self._turn = ""
        self._current = Note("")
        self._wanted: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="cvi-knowledge", daemon=True)
        self._thread.start()

    def follow(self, partial: str) -> None:
        """Search for the words so far, unless that was done."""
        text = _plain(partial)
        with self._changed:
            if text not in self._notes and text != self._wanted and _asks(text):
                self._wanted = text
                self._changed.notify_all()

    def note(self, text: str) -> str:
        """The note for these words; where their search is not done, that of the words before them."""
        return self._note_of(text).text

    def used(self, text: str) -> list[str]:
        """The passages in the note for these words: document id, name, page, heading and position."""
        return [_reference(each) for each in self._note_of(text).passages]

    def is_ready(self, text: str) -> bool:
        """Whether the search for these words is done, or none is needed."""
        plain = _plain(text)
        with self._changed:
            return plain in self._notes or not _asks(plain) or self._closed

    async def ready(self, text: str) -> None:
        """Return once the search for these words is done, or takes longer than a reply should wait."""
        self.follow(text)
        await asyncio.to_thread(self._wait, _plain(text))

    def close(self) -> None:
        """End the thread once its search has returned."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, plain: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: plain in self._notes or self._closed, WAIT_S)

    def _note_of(self, text: str) -> Note:
        plain = _plain(text)
        with self._changed:
            if not _asks(plain):
                return Note("")
            if plain in self._notes:
                return self._notes[plain]
            before = [words for words in self._notes if plain.startswith(words)]
            return self._notes[max(before, key=len)] if before else Note("")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed:
                    break
                text = self._wanted or ""
            try:
                note = self._search(text)
            except Exception as error:  # a fault of a search must not end the conversation's knowledge
                level = logging.WARNING if isinstance(error, CviError) else logging.ERROR
                log.log(level, "a search failed", exc_info=error)
                note = Note("")
            with self._changed:
                self._notes[text] = note
                while len(self._notes) > KEPT:
                    self._notes.popitem(last=False)
                if self._wanted == text:
                    self._wanted = None
                self._changed.notify_all()
        self._searcher.close()

    def _search(self, text: str) -> Note:
        found = self._searcher.search(text, SEARCHED)
        chosen = choose(found, self._budget)
        same_turn = bool(self._turn) and text.startswith(self._turn)
        self._turn = text
        still = {each.passage.id for each in found if each.relevance >= GATE}
        kept = self._current.passages
        if same_turn and kept and chosen and chosen[0] in kept and all(each.id in still for each in kept):
            return self._current
        self._current = write_note(chosen)
        return self._current


def _plain(text: str) -> str:
    return " ".join(text.split())


def _asks(text: str) -> bool:
    return sum(map(len, terms(text))) >= LEAST_LETTERS


def _reference(passage: StoredPassage) -> str:
    place = f", page {passage.page}" if passage.page else f", {passage.url}" if passage.url else ""
    heading = f", {passage.heading}" if passage.heading else ""
    return f"{passage.document}{place}{heading} [{passage.document_id}:{passage.position}]"
