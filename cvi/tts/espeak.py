"""The espeak-ng voice: small, robotic, in a hundred languages, with times of every sound.

libespeak-ng is called through ctypes; it comes with the package espeakng-loader. It holds one global state
and is not thread-safe, so one lock guards every call, whichever engine makes it.

Specification: speak_lib.h of espeak-ng 1.52.
"""

from __future__ import annotations

import ctypes
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError, UsageError
from cvi.tts.base import Phone, Speech, TtsSettings
from cvi.tts.local_voice import LocalVoice
from cvi.tts.normalization.spoken_text import SpokenText, SpokenWord
from cvi.tts.speech_timeline import speech, split_sounds, words_from_onsets

# Of six variants the one pocketsphinx understood best, on five sentences: 34 of 47 words, the plain voice 15.
_DEFAULT_VOICES = {"en": "en-us+f2", "zh": "cmn+f3", "no": "nb+f3"}
_WORDS_PER_MINUTE = 165
_PITCH = 48
_PITCH_RANGE = 58
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x1, 0x2, 0x8000
_UTF8 = 1
_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_BY_CHARACTER = 1


class EspeakTts(LocalVoice):
    """Speaks each text in one piece, some 1000 times faster than it sounds, with the library's own times.

    `speed` scales words a minute (80 to 450), `pitch` the middle of the voice.
    """

    name = "espeak"

    def __init__(self, library: Espeak, settings: TtsSettings) -> None:
        """Raises UsageError for a voice that espeak-ng does not have."""
        super().__init__(settings.language.replace("_", "-").lower())
        self._library = library
        self._voice = settings.voice or _DEFAULT_VOICES.get(self._language, f"{self._language}+f3")
        self._words_per_minute = round(min(450, max(80, _WORDS_PER_MINUTE * settings.speed)))
        self._pitch = round(min(99, max(0, _PITCH * settings.pitch)))
        if not library.has_voice(self._voice):
            raise UsageError(
                f"espeak-ng has no voice '{self._voice}'.",
                "Try en-us+f2, en-gb+m3, or another of its languages.",
            )

    def voices(self) -> list[str]:
        """The names of all languages; a variant may follow one: en-us+f3, de+m2."""
        return self._library.voices()

    def _normalized(self, text: str) -> SpokenText:
        spoken = super()._normalized(text)
        return spoken.with_words(_letter_name(text)) if self._language.split("-")[0] == "en" else spoken

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
    """Seconds by index of word. espeak-ng joins some words and divides others."""
    starts = [word.start for word in spoken.words]
    onsets: dict[int, float] = {}
    for at_s, position in events:
        onsets.setdefault(max(0, bisect_right(starts, position) - 1), at_s)
    return onsets


def _letter_name(text: str) -> Callable[[SpokenWord, str], str]:
    """espeak-ng reads a spelled A as the article; "eh" sounds as the letter's name."""

    def change(word: SpokenWord, spelling: str) -> str:
        is_letter = spelling == "A" and text[word.source_start : word.source_end] != "A"
        return "eh" if is_letter else spelling

    return change


def build(settings: TtsSettings) -> EspeakTts:
    """Raises MissingError without the library, UsageError for an unknown voice."""
    return EspeakTts(espeak(), settings)


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class EspeakSound:
    """Samples at `rate_hz`; events as (seconds, character offset) for words, (seconds, symbol) for phones."""

    pcm: Pcm
    rate_hz: int
    words: tuple[tuple[float, int], ...]
    phones: tuple[tuple[float, str], ...]


class Espeak:
    """The library, initialized once in a process; get it with `espeak()`."""

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError, RuntimeError) as error:
            raise MissingError(
                f"espeak-ng cannot be loaded ({error}).", "Install it with: pip install espeakng-loader"
            ) from error
        options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        self._rate_hz = int(self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), options))
        if self._rate_hz <= 0:
            raise EngineError(
                "espeak-ng did not start.", "Reinstall it: pip install --force-reinstall espeakng-loader"
            )
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self._callback = _CALLBACK(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()
        self._voice = ""
        self._samples: list[bytes] = []
        self._words: list[tuple[float, int]] = []
        self._phones: list[tuple[float, str]] = []
        self._cancelled: threading.Event | None = None

    def seed(self, number: int) -> None:
        """Seed the random breath and flutter of voices, so that they repeat in a fresh process."""
        with self._lock:
            self._lib.espeak_ng_SetRandSeed(ctypes.c_long(number))

    def voices(self) -> list[str]:
        """The languages, sorted; each takes a variant after a plus sign (en-us+f2)."""
        with self._lock:
            return sorted(self._files())

    def has_voice(self, voice: str) -> bool:
        """Whether the library has this language, file or variant."""
        with self._lock:
            return self._select(voice)

    def synthesize(
        self,
        text: str,
        voice: str,
        words_per_minute: int,
        pitch: int,
        pitch_range: int,
        cancelled: threading.Event,
    ) -> EspeakSound:
        """Blocks for a few milliseconds. `pitch` and `pitch_range` are 0 to 99. Raises EngineError."""
        with self._lock:
            if not self._select(voice):
                raise EngineError(f"espeak-ng has no voice '{voice}'.", "Choose one of its languages.")
            for parameter, value in (
                (_RATE_PARAMETER, words_per_minute),
                (_PITCH_PARAMETER, pitch),
                (_RANGE_PARAMETER, pitch_range),
            ):
                self._lib.espeak_SetParameter(parameter, value, 0)
            self._samples, self._words, self._phones, self._cancelled = [], [], [], cancelled
            encoded = text.encode()
            status = self._lib.espeak_Synth(encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
            if status != 0:
                raise EngineError(f"espeak-ng failed with status {status}.", "Try another voice.")
            pcm = np.frombuffer(b"".join(self._samples), dtype=np.int16)
            return EspeakSound(pcm, self._rate_hz, tuple(self._words), tuple(self._phones))

    def _select(self, voice: str) -> bool:
        if voice == self._voice:
            return True
        language, plus, variant = voice.partition("+")
        file = self._files().get(language)
        for name in (voice, f"{file}{plus}{variant}" if file else ""):
            if name and self._lib.espeak_SetVoiceByName(name.encode()) == 0:
                self._voice = voice
                return True
        return False

    def _files(self) -> dict[str, str]:
        """Which of the library's voice files speaks a language; the library itself asks for the file."""
        listed = self._lib.espeak_ListVoices(None)
        files: dict[str, str] = {}
        index = 0
        while listed[index]:
            voice = listed[index].contents
            # `languages` is a priority byte followed by the name.
            files.setdefault(ctypes.string_at(voice.languages + 1).decode(), voice.identifier.decode())
            index += 1
        return files

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        """Called by the library on the synthesizing thread; a return of 1 aborts."""
        if samples and count > 0:
            self._samples.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            at_s = event.sample / self._rate_hz
            if event.type == _EVENT_WORD:
                self._words.append((at_s, event.text_position - 1))
            elif event.type == _EVENT_PHONEME:
                # Up to eight bytes, without a terminator when it needs them all.
                raw = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8)
                self._phones.append((at_s, raw.split(b"\0")[0].decode(errors="ignore")))
            index += 1
        return 1 if self._cancelled is not None and self._cancelled.is_set() else 0


_loading = threading.Lock()
_loaded: list[Espeak] = []


def espeak() -> Espeak:
    """The process's one library. Raises MissingError, EngineError."""
    with _loading:
        if not _loaded:
            _loaded.append(Espeak())
        return _loaded[0]
