"""The espeak-ng voice: small, robotic, in a hundred languages, with times of every sound."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator

from cvi.audio.block import PLAYED_HZ
from cvi.audio.resample import resample
from cvi.errors import UsageError
from cvi.tts.base import Phone, Speech, TtsSettings
from cvi.tts.espeak_library import Espeak, espeak
from cvi.tts.speech_timeline import speech, split_sounds, words_from_onsets
from cvi.tts.spoken import spoken_form
from cvi.tts.spoken_text import SpokenText, SpokenWord
from cvi.tts.voice_thread import VoiceThread

# Of six variants the one pocketsphinx understood best, on five sentences: 34 of 47 words, the plain voice 15.
_DEFAULT_VOICES = {"en": "en-us+f2", "zh": "cmn+f3", "no": "nb+f3"}
_WORDS_PER_MINUTE = 165
_PITCH = 48
_PITCH_RANGE = 58


class EspeakTts:
    """Speaks each text in one piece, some 1000 times faster than it sounds.

    `speed` scales words a minute (80 to 450), `pitch` the middle of the voice.
    """

    name = "espeak"

    def __init__(self, library: Espeak, settings: TtsSettings) -> None:
        """Raises UsageError for a voice that espeak-ng does not have."""
        self._library = library
        self._language = settings.language.replace("_", "-").lower()
        self._voice = settings.voice or _DEFAULT_VOICES.get(self._language, f"{self._language}+f3")
        self._words_per_minute = round(min(450, max(80, _WORDS_PER_MINUTE * settings.speed)))
        self._pitch = round(min(99, max(0, _PITCH * settings.pitch)))
        if not library.has_voice(self._voice):
            raise UsageError(
                f"espeak-ng has no voice '{self._voice}'.",
                "Try en-us+f2, en-gb+m3, or another of its languages.",
            )
        self._thread = VoiceThread("espeak", self._synthesize)

    def voices(self) -> list[str]:
        """Every language; a variant may follow: en-us+f3, de+m2."""
        return self._library.voices()

    async def warm(self) -> None:
        await self._thread.warm()

    def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`; phones and words have the library's own times."""
        spoken = spoken_form(text, self._language)
        if self._language.split("-")[0] == "en":
            spoken = spoken.with_words(_letter_name(text))
        return self._thread.speak(spoken)

    def close(self) -> None:
        self._thread.close()

    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        # A capital with a stop is an initial to espeak-ng, and no end of a sentence.
        text = re.sub(r"\b([A-Z])\.(?= )", r"\1;", spoken.text)
        sound = self._library.synthesize(
            text, self._voice, self._words_per_minute, self._pitch, _PITCH_RANGE, cancelled
        )
        if cancelled.is_set():
            return
        end_s = len(sound.pcm) / sound.rate_hz
        phones: list[Phone] = []
        for (start_s, symbol), (until_s, _) in zip(
            sound.phones, [*sound.phones[1:], (end_s, "")], strict=True
        ):
            phones += split_sounds(symbol, start_s, until_s)
        words = words_from_onsets(spoken, _onsets(spoken, sound.words), end_s, phones)
        piece = speech(resample(sound.pcm, sound.rate_hz, PLAYED_HZ), phones, words)
        if piece is not None:
            yield piece


def _onsets(spoken: SpokenText, events: tuple[tuple[float, int], ...]) -> dict[int, float]:
    """Seconds by index of word. espeak says some neighbours as one and some words as several."""
    starts = [word.start for word in spoken.words]
    onsets: dict[int, float] = {}
    for at_s, position in events:
        onsets.setdefault(max(0, bisect_right(starts, position) - 1), at_s)
    return onsets


def _letter_name(text: str) -> Callable[[SpokenWord, str], str]:
    """espeak-ng reads a spelled A as the article; "eh" sounds as the letter's name."""

    def change(word: SpokenWord, said: str) -> str:
        spelled = said == "A" and text[word.source_start : word.source_end] != "A"
        return "eh" if spelled else said

    return change


def build(settings: TtsSettings) -> EspeakTts:
    """Raises MissingError without the library, UsageError for an unknown voice."""
    return EspeakTts(espeak(), settings)
