"""Words that bear on the floor, by language: commands to stop, signs of listening, hesitation.

The lists are in `words.yaml`. A language without one has no such words; then only sound and silence decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("words.yaml")
LISTENING_MAX_WORDS = 4
_UNSPACED = frozenset(("zh", "ja", "th"))
"""Languages written without spaces: phrases are looked for as they stand."""
# Vowel signs and the like belong to a word, although `\w` does not count all of them.
_COMBINING = "\u0300-\u036f\u0900-\u0dff\u0e30-\u0e4e"
_WORDLIKE = re.compile(rf"[^\w'’\-{_COMBINING}]+", re.UNICODE)


def plain(text: str) -> str:
    """Lower case, without punctuation, one space between words."""
    return " ".join(_WORDLIKE.sub(" ", text.casefold().replace("’", "'")).replace(" -", " ").split())


@dataclass(frozen=True, slots=True)
class FloorWords:
    """One language's phrases, as tuples of words, the longest first; see `words.yaml` for what each is."""

    language: str
    stop: tuple[tuple[str, ...], ...] = ()
    start: tuple[tuple[str, ...], ...] = ()
    listening: tuple[tuple[str, ...], ...] = ()
    hesitating: tuple[tuple[str, ...], ...] = ()

    def asks_to_stop(self, text: str) -> bool:
        """Whether the words take the floor at once: "wait", "yeah, hold on", "no", "actually"."""
        words = self._words(text)
        if any(_starts(words[at:], self.stop) for at in range(len(words))):
            return True
        rest = words
        while (length := _starts(rest, self.listening)) > _starts(rest, self.start):
            rest = rest[length:]
        return _starts(rest, self.start) > 0

    def is_listening(self, text: str) -> bool:
        """Whether the words only show listening: "mhm", "yeah right", "i see". False for empty text."""
        words = self._words(text)
        if not words or (self.language not in _UNSPACED and len(words) > LISTENING_MAX_WORDS):
            return False
        while words:
            length = _starts(words, self.listening)
            if not length:
                return False
            words = words[length:]
        return True

    def count(self, text: str) -> int:
        """How many words the text has; in a language without spaces, half as many as characters."""
        words = self._words(text)
        return (len(words) + 1) // 2 if self.language in _UNSPACED else len(words)

    def hesitates(self, text: str) -> bool:
        """Whether the text ends in a filled pause or in a word after which more is to come."""
        words = self._words(text)
        return any(words[-len(phrase) :] == phrase for phrase in self.hesitating)

    def _words(self, text: str) -> tuple[str, ...]:
        line = plain(text)
        return tuple(line.replace(" ", "")) if self.language in _UNSPACED else tuple(line.split())


@cache
def floor_words(language: str) -> FloorWords:
    """The phrases of a language by its code ("en", "pt-BR"); without a list, no phrases."""
    code = language.replace("_", "-").split("-")[0].lower()
    lists = _lists().get("no" if code in ("nb", "nn") else code)
    if lists is None:
        return FloorWords(code)
    return FloorWords(code, **{kind: _phrases(line.split(","), code) for kind, line in lists.items()})


def languages() -> tuple[str, ...]:
    """The codes of the languages that have lists."""
    return tuple(_lists())


@cache
def _lists() -> dict[str, dict[str, str]]:
    # Arabic and Persian commas part phrases too, where somebody writes them.
    text = _FILE.read_text(encoding="utf-8").replace("،", ",")
    loaded: dict[str, dict[str, str]] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return loaded


def _phrases(phrases: Iterable[str], language: str) -> tuple[tuple[str, ...], ...]:
    lines = (plain(phrase) for phrase in phrases)
    unspaced = language in _UNSPACED
    split = {tuple(line.replace(" ", "")) if unspaced else tuple(line.split()) for line in lines if line}
    return tuple(sorted(split, key=lambda phrase: (-len(phrase), phrase)))


def _starts(words: tuple[str, ...], phrases: tuple[tuple[str, ...], ...]) -> int:
    """How many words the longest phrase that they start with has; 0 for none."""
    return next((len(phrase) for phrase in phrases if words[: len(phrase)] == phrase), 0)
