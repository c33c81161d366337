"""Whether the persona listens: asleep until a wake phrase is heard, and again after a sleep phrase.

While it is asleep the participant's turns are heard and written into the transcript, and not answered.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Literal

from cvi.turns.words import plain

Heard = Literal["awake", "woke", "slept", "asleep"]
"""What a turn makes of it: it stays awake, wakes, falls asleep, stays asleep."""
# A recognizer seldom spells a name as it was written: "Hey June" is "hey june" or "hey joon".
_ALIKE = 0.75


class Attention:
    """Without phrases it is always awake. Event loop only."""

    def __init__(self, wake_phrase: str = "", sleep_phrase: str = "") -> None:
        self._wake, self._sleep = plain(wake_phrase), plain(sleep_phrase)
        self.awake = not self._wake
        """Whether turns are answered now."""

    def hear(self, text: str) -> Heard:
        """Take a whole turn's words."""
        if self.awake:
            if not says(text, self._sleep):
                return "awake"
            self.awake = False
            return "slept"
        # With a sleep phrase alone, anything said wakes it: nothing else could.
        if self._wake and not says(text, self._wake):
            return "asleep"
        self.awake = True
        return "woke"


def says(text: str, phrase: str) -> bool:
    """Whether the text holds the phrase, nearly as it is spelled; False for an empty phrase."""
    wanted, words = plain(phrase), plain(text).split()
    width = len(wanted.split())
    if not wanted or not words:
        return False
    if wanted in " ".join(words):
        return True
    windows = (" ".join(words[at : at + width]) for at in range(len(words) - width + 1))
    return any(SequenceMatcher(None, window, wanted).ratio() >= _ALIKE for window in windows)
