"""A Piper voice's own alignment, read as phones and words.

Piper tells a time for each code point of its IPA: stress marks, length marks, spaces and punctuation
have times of their own, and a diphthong is two.
"""

from __future__ import annotations

from cvi.tts.base import Phone
from cvi.tts.ipa import sounds
from cvi.tts.spoken_text import SpokenText
from cvi.tts.timeline import TimedWord, words_by_length, words_from_onsets

_PAUSES = frozenset("^$_.,;:!?-'\"()¡¿«»—…")
_SHORTEST_SILENCE_S = 0.060
"""A shorter gap between words is the way from one sound to the next; the mouth does not rest in it."""
_JOINED = frozenset("aɪ aʊ ɔɪ eɪ oʊ əʊ ɪə eə ʊə tʃ dʒ".split())


class Alignment:
    """Built with `add`, in order. Empty for a voice that tells no durations."""

    def __init__(self) -> None:
        self.phones: list[Phone] = []
        self._onsets: list[float] = []
        self._in_word = False
        self._stress: str = ""
        self._sound_start: float | None = None

    def add(self, symbol: str, start_s: float, end_s: float) -> None:
        if symbol == " " or symbol in _PAUSES:
            self._in_word = False
            if end_s - start_s < _SHORTEST_SILENCE_S and self.phones:
                self._lengthen(end_s)
            else:
                self.phones.append(Phone("", start_s, end_s))
            return
        if not self._in_word:
            self._onsets.append(start_s)
        if symbol in ("ˈ", "ˌ"):
            self._stress = symbol
            # The mark's time belongs to the sound after it.
            self._sound_start = start_s
            self._in_word = True
            return
        ipa, stress = sounds(self._stress + symbol)[0]
        if not ipa:
            self._lengthen(end_s)
            return
        last = self.phones[-1] if self.phones and self._in_word else None
        if last and not self._stress and last.ipa + ipa in _JOINED:
            self.phones[-1] = Phone(last.ipa + ipa, last.start_s, end_s, last.stress)
        else:
            self.phones.append(
                Phone(ipa, self._sound_start if self._sound_start is not None else start_s, end_s, stress)
            )
        # A stress mark stands before the syllable's first sound; it lies on the vowel.
        if stress or not self._stress:
            self._stress = ""
        self._sound_start = None
        self._in_word = True

    def words(self, spoken: SpokenText, end_s: float) -> list[TimedWord]:
        """Times of the spoken words: the voice's own when it cut the same words, else by length."""
        if self.phones and len(self._onsets) == len(spoken.words):
            return words_from_onsets(spoken, dict(enumerate(self._onsets)), end_s, self.phones)
        sounding = [phone for phone in self.phones if phone.ipa]
        if not sounding:
            return words_by_length(spoken, 0.0, end_s)
        return words_from_onsets(spoken, {0: sounding[0].start_s}, sounding[-1].end_s, self.phones)

    def _lengthen(self, end_s: float) -> None:
        if self.phones:
            last = self.phones[-1]
            self.phones[-1] = Phone(last.ipa, last.start_s, end_s, last.stress)
