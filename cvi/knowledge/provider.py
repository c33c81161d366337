"""What a conversation knows from documents: searches while the participant speaks, ready when they stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cvi.embeddings.base import Embedder
from cvi.knowledge.asking import REFERS_BACK
from cvi.knowledge.following import FollowingSearch, FoundNote
from cvi.knowledge.notes import BEFORE, GATE_LOG_ODDS, HEAD, Budget, Note, choose, write_note
from cvi.knowledge.search import Found, Scope, Searcher
from cvi.knowledge.store import StoredPassage, knowledge_path

SEARCHED = 8
"""So many passages are looked at for each note."""
CLEARLY_BETTER = 0.5
"""A passage takes the place of one that the model has read where its log-odds are so much higher. On the
development questions, word by word, as many have their answer among what is told as without it."""
SENTENCE_CLEARLY_BETTER = 0.01
"""The same for a sentence outside of what was told of a passage: its cosine counts 53 in the log-odds."""


class KnowledgeProvider(FollowingSearch):
    """A `ContextProvider` over the documents of a scope; see `FollowingSearch`.

    The note of a turn stays while nothing is found that answers clearly better, so that the model has read it
    when the last word comes. A turn that only asks about the answer before ("where does it say that?") is
    told that answer's passages again.
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
        self._begins = False
        self._current = self._before = Note("")
        super().__init__()

    def search(self, text: str) -> FoundNote:
        """The passages for these words, as a note; on the search's thread."""
        if self._begins:
            self._begins = False
            self._before, self._current = self._current if self._current.passages else self._before, Note("")
        self._current = self._note(text)
        return FoundNote(
            self._current.text, tuple(map(_reference, self._current.passages)), self._current.closest
        )

    def turn_begins(self) -> None:
        """See `FollowingSearch`."""
        self._begins = True

    def ended(self) -> None:
        """Close the knowledge base."""
        self._searcher.close()

    def _note(self, text: str) -> Note:
        found = self._searcher.search(text, SEARCHED)
        asking = self._searcher.asking(text)
        if asking.refers_back >= REFERS_BACK and self._before.passages:
            return replace(self._before, text=self._before.text.replace(HEAD, BEFORE, 1), closest="")
        wanted = {each.passage: asking.gated(each.relevance) for each in found}
        best = max(wanted.values(), default=GATE_LOG_ODDS - 1.0)
        kept = max((wanted.get(each, GATE_LOG_ODDS - 1.0) for each in self._current.passages), default=None)
        stands = kept is not None and kept >= max(best, GATE_LOG_ODDS) - CLEARLY_BETTER
        if stands and all(_told(self._current, each) for each in found):
            return self._current
        if best < GATE_LOG_ODDS and asking.asks < 0:
            return Note("")
        return write_note(choose(found, self._budget, asking), self._budget.window)


def _told(note: Note, found: Found) -> bool:
    """Whether a note holds what of a passage is closest to the question, or nearly; also where it holds
    nothing of that passage."""
    if found.passage not in note.passages or found.closest in note.text:
        return True
    told = [score for text, score in found.sentences if text in note.text]
    best = max(score for _, score in found.sentences)
    return max(told, default=0.0) >= best - SENTENCE_CLEARLY_BETTER


def _reference(passage: StoredPassage) -> str:
    place = f", page {passage.page}" if passage.page else f", {passage.url}" if passage.url else ""
    heading = f", {passage.heading}" if passage.heading else ""
    return f"{passage.document}{place}{heading} [{passage.document_id}:{passage.position}]"
