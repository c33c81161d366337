"""One reply's speech as it grows: sound, phones and words on one time axis.

Position 0 is the reply's first sample. The timeline says what is heard at a position, never when;
the playout places it on the conversation's clock.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.tts.base import Speech

SENTENCE_GAP_S = 0.22
CLAUSE_GAP_S = 0.07
# A word counts as heard once this share of it has been.
HEARD_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    speech: Speech
    clause: int


class SpeechTimeline:
    """Append-only. Positions and lengths are samples at PLAYED_HZ."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._starts: list[int] = []
        self._clauses: list[str] = []
        self.length = 0
        self.complete = False

    def begin_clause(self, text: str, after_sentence: bool) -> None:
        """A new clause follows; a short silence parts it from the one before."""
        if self._clauses:
            self.length += round((SENTENCE_GAP_S if after_sentence else CLAUSE_GAP_S) * PLAYED_HZ)
        self._clauses.append(text)

    def append(self, speech: Speech) -> int:
        """Add sound to the current clause; returns the position of its first sample."""
        start = self.length
        self._pieces.append(_Piece(start, speech, len(self._clauses) - 1))
        self._starts.append(start)
        self.length += len(speech.pcm)
        return start

    def read(self, start: int, count: int) -> Pcm:
        """`count` samples from `start`; silence where there is no sound (yet)."""
        out = np.zeros(count, np.int16)
        index = max(bisect_right(self._starts, start) - 1, 0)
        for piece in self._pieces[index:]:
            if piece.start >= start + count:
                break
            begin = max(start, piece.start)
            end = min(start + count, piece.start + len(piece.speech.pcm))
            if begin < end:
                out[begin - start : end - start] = piece.speech.pcm[begin - piece.start : end - piece.start]
        return out

    @property
    def text(self) -> str:
        """Everything that was handed to the voice so far."""
        return " ".join(self._clauses)

    def text_heard(self, position: int) -> str:
        """The text up to the last word of which enough lies before `position`."""
        ends = [0] * len(self._clauses)
        for piece in self._pieces:
            words = piece.speech.words
            if not words and position >= piece.start + len(piece.speech.pcm) * HEARD_SHARE:
                ends[piece.clause] = len(self._clauses[piece.clause])
            for word in words:
                middle_s = word.start_s + HEARD_SHARE * (word.end_s - word.start_s)
                if piece.start + middle_s * PLAYED_HZ <= position:
                    ends[piece.clause] = max(ends[piece.clause], word.text_end)
        clauses = zip(self._clauses, ends, strict=True)
        return " ".join(_with_punctuation(clause, end) for clause, end in clauses if end)


def _with_punctuation(text: str, end: int) -> str:
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return text[:end]
