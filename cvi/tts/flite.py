"""The flite voices: clear English from a small system library, with times of every sound."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import AsyncIterator, Iterator

from cvi.audio.block import PLAYED_HZ
from cvi.audio.resample import resample
from cvi.errors import UsageError
from cvi.tts.base import Phone, Speech, TtsSettings
from cvi.tts.flite_library import VOICES, Flite, FliteSound, flite
from cvi.tts.ipa import ARPABET
from cvi.tts.speech_timeline import speech, split_sounds, words_from_onsets
from cvi.tts.spoken import spoken_form
from cvi.tts.spoken_text import SpokenText
from cvi.tts.voice_thread import VoiceThread

_LETTERS = {
    "ß": "s",
    "æ": "e",
    "Æ": "E",
    "ø": "o",
    "Ø": "O",
    "œ": "e",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "ð": "d",
    "þ": "t",
}
_SLOWEST, _FASTEST = 0.4, 3.0


class FliteTts:
    """Speaks each text in one piece, some 40 times faster than it sounds. English only.

    `speed` and `pitch` are factors on the voice's own (slt is a woman, rms and awb are men).
    """

    name = "flite"

    def __init__(self, library: Flite, settings: TtsSettings) -> None:
        """Raises UsageError for another language or an unknown voice, MissingError for one not installed."""
        if settings.language.lower().replace("_", "-").split("-")[0] != "en":
            raise UsageError(
                f"flite speaks only English, not '{settings.language}'.",
                "Choose the espeak or the piper voice.",
            )
        self._voice = settings.voice or VOICES[0]
        if self._voice not in VOICES:
            raise UsageError(f"flite has no voice '{self._voice}'.", f"Choose one of: {', '.join(VOICES)}.")
        library.load_voice(self._voice)
        self._library = library
        self._speed = min(_FASTEST, max(_SLOWEST, settings.speed))
        self._pitch = min(2.0, max(0.5, settings.pitch))
        self._thread = VoiceThread("flite", self._synthesize)

    def voices(self) -> list[str]:
        """The voices installed on this machine."""
        return self._library.voices()

    async def warm(self) -> None:
        await self._thread.warm()

    def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`; phones and words have the library's own times."""
        return self._thread.speak(spoken_form(text))

    def close(self) -> None:
        self._thread.close()

    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        sound = self._library.synthesize(_ascii(spoken.text), self._voice, self._speed, self._pitch)
        if cancelled.is_set():
            return
        end_s = len(sound.pcm) / sound.rate_hz
        phones = _phones(sound)
        words = words_from_onsets(spoken, _onsets(spoken, sound), end_s, phones)
        piece = speech(resample(sound.pcm, sound.rate_hz, PLAYED_HZ), phones, words)
        if piece is not None:
            yield piece


def build(settings: TtsSettings) -> FliteTts:
    """Raises MissingError without the library or the voice, UsageError for an unknown voice or language."""
    return FliteTts(flite(), settings)


def _ascii(text: str) -> str:
    """One ASCII character for each of `text`, so that places stay the same."""
    plain = (unicodedata.normalize("NFKD", _LETTERS.get(char, char))[0] for char in text)
    return "".join(char if char.isascii() else " " for char in plain)


def _phones(sound: FliteSound) -> list[Phone]:
    phones: list[Phone] = []
    at = 0.0
    for segment in sound.segments:
        end = max(at, segment.end_s)
        phones += split_sounds(ARPABET.get(segment.name, ""), at, end, segment.stress)
        at = end
    return phones


def _onsets(spoken: SpokenText, sound: FliteSound) -> dict[int, float]:
    """Seconds by index of word: the beginning of the first sound of the word's first token."""
    begins: dict[int, float] = {}
    at = 0.0
    for segment in sound.segments:
        if segment.token >= 0:
            begins.setdefault(segment.token, at)
        at = segment.end_s
    onsets: dict[int, float] = {}
    place, text = 0, _ascii(spoken.text)
    for index, token in enumerate(sound.tokens):
        found = text.find(token, place)
        if found < 0:
            continue
        place = found + len(token)
        word = next((n for n, word in enumerate(spoken.words) if word.start <= found < word.end), None)
        if word is not None and index in begins:
            onsets.setdefault(word, begins[index])
    return onsets
