"""Bytes of tokens -> text that may be shown: whole UTF-8 characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class PieceReader:
    """Feeds on the bytes of one token after another.

    A character may be spread over tokens, and so may a stop string; whatever could still turn out to
    be the beginning of one is held back. Once `stopped`, the stop string and all after it are gone.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(text for text in stop if text)
        self._pending = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """The text that is now certain; often "" or more than the piece itself."""
        return self._take(self._decoder.decode(piece), final=False)

    def finish(self) -> str:
        """What was held back, once no more pieces come."""
        return self._take(self._decoder.decode(b"", final=True), final=True)

    def _take(self, text: str, final: bool) -> str:
        if self.stopped:
            return ""
        self._pending += text
        # The one complete first wins, so that it does not matter how the text was cut into tokens.
        found = [(self._pending.find(stop), stop) for stop in self._stop]
        ends = [(start + len(stop), start) for start, stop in found if start >= 0]
        if ends:
            self.stopped = True
            out, self._pending = self._pending[: min(ends)[1]], ""
            return out
        keep = 0 if final else self._unsure()
        cut = len(self._pending) - keep
        out, self._pending = self._pending[:cut], self._pending[cut:]
        return out

    def _unsure(self) -> int:
        """Length of the longest tail that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for size in range(min(longest, len(self._pending)), 0, -1):
            tail = self._pending[-size:]
            if any(stop.startswith(tail) for stop in self._stop):
                return size
        return 0
