"""Spoken words with the written words they come from, and the form that all rules have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_STOPS = ".?!"


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """`spoken.text[start:end]` says the written word `original[source_start:source_end]`."""

    start: int
    end: int
    source_start: int
    source_end: int


@dataclass(frozen=True, slots=True)
class SpokenText:
    """The text for a voice, and where each of its words comes from.

    `words` are in order and cover every word of `text`; several may share one source, and sources
    never overlap nor go back.
    """

    text: str
    words: tuple[SpokenWord, ...]

    def sentences(self) -> list[SpokenText]:
        """This text cut after each `.`, `?` and `!`; each part begins with a word."""
        parts: list[SpokenText] = []
        first = 0
        for index, word in enumerate(self.words):
            after = self.words[index + 1].start if index + 1 < len(self.words) else len(self.text)
            if index + 1 < len(self.words) and not any(s in self.text[word.end : after] for s in _STOPS):
                continue
            start = self.words[first].start
            words = tuple(
                SpokenWord(w.start - start, w.end - start, w.source_start, w.source_end)
                for w in self.words[first : index + 1]
            )
            parts.append(SpokenText(self.text[start:after].rstrip(), words))
            first = index + 1
        return parts

    def with_words(self, change: Callable[[SpokenWord, str], str]) -> SpokenText:
        """This text with words respelled for one voice; `change` gets a word and its spelling."""
        parts: list[str] = []
        words: list[SpokenWord] = []
        at = length = 0
        for word in self.words:
            said = change(word, self.text[word.start : word.end])
            parts += [self.text[at : word.start], said]
            start = length + word.start - at
            length, at = start + len(said), word.end
            words.append(SpokenWord(start, length, word.source_start, word.source_end))
        return SpokenText("".join([*parts, self.text[at:]]), tuple(words))


class Writer:
    """Collects the spoken words of a text. Rules call only `say` and `pause`."""

    def __init__(self, source: str, language: str) -> None:
        self.source = source
        self.language = language
        self._parts: list[str] = []
        self._length = 0
        self._words: list[SpokenWord] = []

    @property
    def last_source(self) -> str:
        """The written word of the last spoken one, "" at the beginning."""
        return self.source[self._words[-1].source_start : self._words[-1].source_end] if self._words else ""

    @property
    def at_start(self) -> bool:
        """Whether the next word begins a sentence."""
        return not self._parts or self._parts[-1][-1] in _STOPS

    def say(self, spoken: str, source_start: int, source_end: int) -> None:
        """Say some words for one written word. A comma within is kept as a pause."""
        for spoken_word in spoken.split():
            bare = spoken_word.rstrip(",")
            if not bare:
                self.pause(",")
                continue
            if self._parts:
                self._put(" ")
            start = self._length
            self._put(bare)
            self._words.append(SpokenWord(start, self._length, source_start, source_end))
            if bare != spoken_word:
                self.pause(",")

    def pause(self, mark: str) -> None:
        """A mark after the last word; of several the strongest stays."""
        if not self._words or not mark:
            return
        last = self._parts[-1]
        if last in (",", ";", ":"):
            if mark not in (",", ";", ":"):
                self._parts[-1] = mark
                self._length += len(mark) - 1
        elif last[-1] not in _STOPS:
            self._put(mark)

    def spoken_text(self) -> SpokenText:
        """What was collected, without a pause at the end."""
        text = "".join(self._parts)
        bare = text.rstrip(",;:")
        return SpokenText(bare, tuple(self._words))

    def _put(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)


Action = Callable[[re.Match[str], Writer], str | None]
"""Returns what a voice says for the match: "" for nothing, or where the action has called the writer itself;
None leaves the match to the next rule."""

Rule = tuple[re.Pattern[str], Action]
"""A pattern that is tried at the scanner's place, and its action."""
