"""Words that bear on the floor, by language: commands to stop, signs of listening, hesitation.

The lists are in `words.yaml`. A language without one has no such words; then only sound and silence decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("words.yaml")
LISTENING_MAX_WORDS = 4
_LATELY_WORDS = 10
_REPEATED_SHARE = 0.75
"""A recognizer hears faint words wrong: so many of them must be those that were said."""
_UNSPACED = frozenset(("zh", "ja", "th"))
"""Languages written without spaces: phrases are looked for as they stand."""
# Vowel signs and the like belong to a word, although `\w` does not count all of them.
_COMBINING = "\u0300-\u036f\u0900-\u0dff\u0e30-\u0e4e"
_VOWELS = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿāăąēęěīįőūůűаеёиоуыэюяіїєαεηιουω]+")
_WORDLIKE = re.compile(rf"[^\w'’\-{_COMBINING}]+", re.UNICODE)


def plain(text: str) -> str:
    """Lower case, without punctuation, one space between words."""
    return " ".join(_WORDLIKE.sub(" ", text.casefold().replace("’", "'")).replace(" -", " ").split())


def spoken_syllables(text: str) -> int:
    """At least how many syllables a text has: groups of vowels, or its words or characters where it has none.

    >>> [spoken_syllables(text) for text in ("yes", "uh huh", "mhm yeah", "嗯嗯")]
    [1, 2, 2, 2]
    """
    line = plain(text)
    syllables = 0
    for word in line.split():
        unspaced = sum("\u3040" <= letter <= "\u9fff" or "\u0e01" <= letter <= "\u0e30" for letter in word)
        syllables += unspaced or max(len(_VOWELS.findall(word)), 1)
    return syllables


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

    def repeats(self, text: str, said: str) -> bool:
        """Whether `text` is what `said` just ended in: two words or more, most of them in pieces of it,
        and no command to stop behind them.

        >>> floor_words("en").repeats("towns below the", "old sailors told of towns below the waves")
        True
        """
        words = self._words(text)
        own = self._words(said)[-(len(words) + _LATELY_WORDS) :]
        least = 4 if self.language in _UNSPACED else 2
        if len(words) < least or not own:
            return False
        blocks = SequenceMatcher(None, own, words, autojunk=False).get_matching_blocks()
        after = words[max(block.b + block.size for block in blocks if block.size or len(blocks) == 1) :]
        if any(_starts(after[at:], self.stop + self.start) for at in range(len(after))):
            return False
        same, longest = sum(block.size for block in blocks), max(block.size for block in blocks)
        return longest >= least and same >= _REPEATED_SHARE * len(words) and longest >= 0.4 * len(words)

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
