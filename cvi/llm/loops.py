"""Noticing that a model has begun to repeat itself."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LONGEST_PERIOD_WORDS = 8
_PHRASE_WORDS = 5
_PHRASE_TIMES = 3


class LoopGuard:
    """Remembers the words of one reply.

    A loop is a sentence of three words or more said before, the same 1 to 8 words three times running
    (a single word four times), or the same five words for the third time anywhere.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._sentences: set[tuple[str, ...]] = set()
        self._phrases: dict[tuple[str, ...], int] = {}
        self._sentence: list[str] = []

    def check(self, text: str, ends_sentence: bool) -> int | None:
        """Take in the next clause; where in it the loop begins, in characters, None if it does not."""
        spans = list(_WORD.finditer(text))
        new = [match.group().lower() for match in spans]
        if ends_sentence and len(self._sentence) + len(new) >= 3:
            whole = (*self._sentence, *new)
            if whole in self._sentences:
                return 0
            self._sentences.add(whole)
        self._sentence = [] if ends_sentence else [*self._sentence, *new]
        before = len(self._words)
        for word in new:
            self._words.append(word)
            back = self._loop_length()
            if back:
                first = max(len(self._words) - back - before, 0)
                return spans[first].start()
        return None

    def _loop_length(self) -> int:
        """How many of the last words only repeat what was said; 0 when they do not."""
        words = self._words
        for period in range(1, _LONGEST_PERIOD_WORDS + 1):
            times = 4 if period == 1 else 3
            tail = words[-period:]
            if len(words) >= period * times and words[-period * times :] == tail * times:
                return period * (times - 1)
        if len(words) >= _PHRASE_WORDS:
            phrase = tuple(words[-_PHRASE_WORDS:])
            self._phrases[phrase] = self._phrases.get(phrase, 0) + 1
            if self._phrases[phrase] >= _PHRASE_TIMES:
                return _PHRASE_WORDS
        return 0
