"""A search that follows the words while somebody speaks, and gives a note when they stop."""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from cvi.errors import CviError
from cvi.knowledge.terms import terms

WAIT_S = 1.0
"""A reply begins without its note rather than later."""
LEAST_LETTERS = 7
"""Fewer letters are a greeting or a "yes": nothing is looked up for them."""
KEPT = 64

log = logging.getLogger("cvi.knowledge")


@dataclass(frozen=True, slots=True)
class FoundNote:
    """What the model is told, and where it comes from, one line a place; for the journal. `quote`: what may
    be said in place of a reply that it does not support."""

    text: str
    sources: tuple[str, ...] = ()
    quote: str = ""


class FollowingSearch(ABC):
    """A `ContextProvider` whose notes come from `search`. All but `search` and `ended`: from the event loop.

    Searches run on a thread of its own, always for the newest words; those that were overtaken are dropped.
    """

    name: str

    def __init__(self) -> None:
        """Starts the thread: call it when everything that `search` needs is there."""
        self._notes: OrderedDict[str, FoundNote] = OrderedDict()
        self._wanted: str | None = None
        self._committed = ""
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"cvi-{self.name}", daemon=True)
        self._thread.start()

    @abstractmethod
    def search(self, text: str) -> FoundNote:
        """The note for these words; on the thread. What it raises is logged, and leaves no note."""

    def ended(self) -> None:  # noqa: B027 (a search may have nothing to close)
        """The last search is done; on the thread."""

    def turn_begins(self) -> None:  # noqa: B027
        """The words that are searched for next begin another turn."""

    def follow(self, partial: str) -> None:
        """Search for the words so far, unless that was done."""
        text = _plain(partial)
        with self._changed:
            self._begin_turn(text)
            if text not in self._notes and text != self._wanted and _asks(text):
                self._wanted = text
                self._changed.notify_all()

    def note(self, text: str) -> str:
        """The note for these words; where their search is not done, that of the words before them."""
        return self._note_of(text).text

    def used(self, text: str) -> list[str]:
        """Where the note for these words comes from."""
        return list(self._note_of(text).sources)

    def quote(self, text: str) -> str:
        """See `FoundNote`."""
        return self._note_of(text).quote

    def committed(self, text: str) -> None:
        """These words are a turn that is answered now: others are another turn's. Typed ones may come here
        before they are searched for."""
        with self._changed:
            self._begin_turn(_plain(text))
            self._committed = _plain(text)

    def _begin_turn(self, text: str) -> None:
        """Forget the notes of the turn before, where these words go on with no committed turn."""
        if self._committed and not text.startswith(self._committed):
            self._committed = ""
            self._notes.clear()
            self.turn_begins()

    def is_ready(self, text: str) -> bool:
        """Whether the search for these words is done, or none is needed."""
        plain = _plain(text)
        with self._changed:
            return plain in self._notes or not _asks(plain) or self._closed

    async def ready(self, text: str) -> None:
        """Return once the search for these words is done, or takes longer than a reply should wait."""
        self.follow(text)
        await asyncio.to_thread(self._wait, _plain(text))

    def outdated(self) -> None:
        """There is more to find than before: search anew for whatever is asked."""
        with self._changed:
            self._notes.clear()

    def close(self) -> None:
        """End the thread once its search has returned."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, plain: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: plain in self._notes or self._closed, WAIT_S)

    def _note_of(self, text: str) -> FoundNote:
        plain = _plain(text)
        with self._changed:
            if not _asks(plain):
                return FoundNote("")
            if plain in self._notes:
                return self._notes[plain]
            before = [words for words in self._notes if plain.startswith(words)]
            return self._notes[max(before, key=len)] if before else FoundNote("")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed:
                    break
                text = self._wanted or ""
            try:
                note = self.search(text)
            except Exception as error:  # a fault of a search must not end all later ones
                level = logging.WARNING if isinstance(error, CviError) else logging.ERROR
                log.log(level, "a search failed", exc_info=error)
                note = FoundNote("")
            with self._changed:
                self._notes[text] = note
                while len(self._notes) > KEPT:
                    self._notes.popitem(last=False)
                if self._wanted == text:
                    self._wanted = None
                self._changed.notify_all()
        self.ended()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _asks(text: str) -> bool:
    return sum(map(len, terms(text))) >= LEAST_LETTERS
