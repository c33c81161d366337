"""What a conversation knows from documents: searches while the participant speaks, ready when they stop."""

from __future__ import annotations

from pathlib import Path

from cvi.embeddings.base import Embedder
from cvi.knowledge.following import FollowingSearch, FoundNote
from cvi.knowledge.notes import Budget, Note, choose, write_note
from cvi.knowledge.search import Scope, Searcher
from cvi.knowledge.store import StoredPassage, knowledge_path

SEARCHED = 8
"""So many passages are looked at for each note."""


class KnowledgeProvider(FollowingSearch):
    """A `ContextProvider` over the documents of a scope; see `FollowingSearch`.

    The note of a turn stays while it holds what the words so far find, so that the model reads no other one
    at each word.
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
        self._turn = ""
        self._current = Note("")
        super().__init__()

    def search(self, text: str) -> FoundNote:
        """The passages for these words, as a note; on the search's thread."""
        note = self._search(text)
        return FoundNote(note.text, tuple(map(_reference, note.passages)))

    def ended(self) -> None:
        """Close the knowledge base."""
        self._searcher.close()

    def _search(self, text: str) -> Note:
        found = self._searcher.search(text, SEARCHED)
        chosen = choose(found, self._budget)
        same_turn = bool(self._turn) and text.startswith(self._turn)
        self._turn = text
        new, kept = write_note(chosen), self._current
        if same_turn and chosen and new.closest == kept.closest and set(new.passages) <= set(kept.passages):
            return kept
        self._current = new
        return new


def _reference(passage: StoredPassage) -> str:
    place = f", page {passage.page}" if passage.page else f", {passage.url}" if passage.url else ""
    heading = f", {passage.heading}" if passage.heading else ""
    return f"{passage.document}{place}{heading} [{passage.document_id}:{passage.position}]"
