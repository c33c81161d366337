"""What the voices that run on this machine have in common: a thread, normalized text, readable scripts."""

from __future__ import annotations

import threading
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import EngineError
from cvi.threads import NativeThread
from cvi.tts.base import Speech
from cvi.tts.normalization.normalizer import normalize
from cvi.tts.normalization.spoken_text import SpokenText

LOUDNESS_DB = -23.0
"""The RMS of every voice's speech, against full scale. Peaks of speech lie 12 to 18 dB above."""
_MOST_GAIN_DB = 15.0
_KNEE = 0.8
_SAMPLE = "Hello, and welcome. It is good to see you here: there are 21 things to look at."
_FRAME = PLAYED_HZ // 50
_PAUSE_DB = -30.0
"""Against the loudest 20 ms; what is below is a pause."""


class LocalVoice(ABC):
    """A `TtsEngine` that speaks on a thread of its own. Methods are called from the event loop.

    A subclass sets `name` and implements `_synthesize`.
    """

    name: str

    def __init__(self, language: str) -> None:
        """`language` is a code such as "en" or "pt-BR", in which texts are normalized."""
        self._language = language
        self._thread = NativeThread(f"tts-{self.name}")
        self._gain = 1.0

    async def warm(self) -> None:
        """Synthesize two sentences, which reads the voice's memory in, and measure how loud it is.

        From then on its speech has LOUDNESS_DB. Raises EngineError.
        """
        pieces = await self._thread.run(lambda: list(self._synthesize(normalize(_SAMPLE), threading.Event())))
        if pieces:
            self._gain = gain_to(LOUDNESS_DB, np.concatenate([piece.pcm for piece in pieces]))

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`. A closed iterator stops the thread as soon as the voice looks."""
        check_readable(text, self._language)
        spoken = self._normalized(text)
        async with aclosing(
            self._stream(spoken, lambda cancelled: self._synthesize(spoken, cancelled))
        ) as pieces:
            async for piece in pieces:
                yield piece

    async def _stream(
        self, spoken: SpokenText, make: Callable[[threading.Event], Iterator[Speech]]
    ) -> AsyncGenerator[Speech, None]:
        """What `make` yields on the thread, at the common loudness; nothing where `spoken` has no words."""
        if not spoken.words:
            return
        async with aclosing(self._thread.stream(make)) as pieces:
            async for piece in pieces:
                yield replace(piece, pcm=amplified(piece.pcm, self._gain))

    def close(self) -> None:
        """Let the thread end once the running call has returned."""
        self._thread.close()

    def _normalized(self, text: str) -> SpokenText:
        return normalize(text, self._language)

    @abstractmethod
    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        """Make speech of a text with words; blocks. Runs on the thread and ends early once `cancelled`."""


def gain_to(target_db: float, pcm: Pcm) -> float:
    """The factor that brings the speech in `pcm`, pauses left out, to an RMS of `target_db`; 1 for silence.

    At most _MOST_GAIN_DB up, so that a voice that failed is not made into noise.
    """
    frames = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64) / 32768
    power = np.square(frames).mean(axis=1)
    if not power.size or power.max() <= 1e-8:
        return 1.0
    speech = power[power > power.max() * 10 ** (_PAUSE_DB / 10)]
    gain_db = target_db - 10 * np.log10(speech.mean())
    return float(10 ** (min(gain_db, _MOST_GAIN_DB) / 20))


def amplified(pcm: Pcm, gain: float) -> Pcm:
    """`pcm` times `gain`; what would pass _KNEE of full scale is bent below it instead of clipped."""
    if gain == 1.0:
        return pcm
    x = pcm.astype(np.float32) * (gain / 32768)
    size = np.abs(x)
    bent = _KNEE + (1 - _KNEE) * np.tanh((size - _KNEE) / (1 - _KNEE))
    return (np.where(size > _KNEE, np.sign(x) * bent, x) * 32767).astype(np.int16)


_NAMES = {
    "CJK": "Chinese characters", "HIRAGANA": "Japanese kana", "KATAKANA": "Japanese kana",
    "HANGUL": "Korean letters", "CYRILLIC": "Cyrillic letters", "ARABIC": "Arabic letters",
    "HEBREW": "Hebrew letters", "DEVANAGARI": "Devanagari letters", "BENGALI": "Bengali letters",
    "GURMUKHI": "Gurmukhi letters", "GUJARATI": "Gujarati letters", "TAMIL": "Tamil letters",
    "TELUGU": "Telugu letters", "KANNADA": "Kannada letters", "MALAYALAM": "Malayalam letters",
    "SINHALA": "Sinhala letters", "THAI": "Thai letters", "LAO": "Lao letters", "KHMER": "Khmer letters",
    "MYANMAR": "Burmese letters", "GEORGIAN": "Georgian letters", "ARMENIAN": "Armenian letters",
    "ETHIOPIC": "Ethiopic letters", "GREEK": "Greek letters", "TIBETAN": "Tibetan letters",
}  # fmt: skip
"""By the first word of a letter's Unicode name."""
_READ_BY = {
    "CJK": "zh cmn yue ja ko", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko",
    "CYRILLIC": "ru uk bg be mk sr kk ky tg mn tt ba cv", "ARABIC": "ar fa ur ps sd ug ku", "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne sa kok", "BENGALI": "bn as", "GURMUKHI": "pa", "GUJARATI": "gu", "TAMIL": "ta",
    "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml", "SINHALA": "si", "THAI": "th", "LAO": "lo",
    "KHMER": "km", "MYANMAR": "my shn", "GEORGIAN": "ka", "ARMENIAN": "hy hyw", "ETHIOPIC": "am ti",
    "GREEK": "el grc", "TIBETAN": "bo",
}  # fmt: skip
_WHOLE_SYLLABLES = frozenset({"CJK", "HANGUL", "HIRAGANA", "KATAKANA"})


class UnreadableTextError(EngineError):
    """A text in a script that the voice cannot read."""


def check_readable(text: str, language: str) -> None:
    """Raise UnreadableTextError if most of `text` is in a script that `language` is not written in.

    Latin letters, and single Greek ones, are read in every language. A few foreign words pass.
    """
    code = language.replace("_", "-").split("-")[0].lower()
    found: Counter[str] = Counter()
    for word in text.split():
        scripts = Counter(_script(char) for char in word if char.isalpha())
        if scripts == {"GREEK": 1}:
            continue
        for script, letters in scripts.items():
            foreign = script in _READ_BY and code not in _READ_BY[script].split()
            found[script if foreign else ""] += letters * (3 if script in _WHOLE_SYLLABLES else 1)
    readable = found.pop("", 0)
    if found and sum(found.values()) > readable:
        [(script, _)] = found.most_common(1)
        raise UnreadableTextError(
            f"This voice cannot read {_NAMES[script]}; its language is '{language}'.",
            "Choose a voice that speaks the text's language.",
        )


def _script(char: str) -> str:
    return unicodedata.name(char, "").split(" ", 1)[0]
