"""The flite voices: clear English from a small system library, with times of every sound.

libflite 2.2 is called through ctypes. Its voices are process-global objects whose features are set before
each call, so one lock guards everything.

Specification: cst_voice.h, cst_wave.h, cst_item.h of flite 2.2.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError, UsageError
from cvi.tts.base import Phone, Speech, TtsSettings
from cvi.tts.ipa import ARPABET
from cvi.tts.local_voice import LocalVoice
from cvi.tts.normalization.spoken_text import SpokenText
from cvi.tts.speech_timeline import speech, split_sounds, words_from_onsets

_LETTERS = {
    "ß": "s", "æ": "e", "Æ": "E", "ø": "o", "Ø": "O", "œ": "e", "ł": "l", "Ł": "L", "đ": "d", "ð": "d",
    "þ": "t",
}  # fmt: skip
_SLOWEST, _FASTEST = 0.4, 3.0
VOICES = ("slt", "rms", "awb", "kal16")
_REMEDY = "Install it with: apt install flite (Debian, Ubuntu), or choose the espeak voice."
_MEAN_F0_HZ = {"kal16": 95.0}
"""The diphone voice takes an absolute pitch; the others a factor."""
_MARK = b"cvi_token"


class FliteTts(LocalVoice):
    """Speaks each text in one piece, some 40 times faster than it sounds, with the library's own times.

    English only. `speed` and `pitch` are factors on the voice's own (slt is a woman, rms and awb are men).
    """

    name = "flite"

    def __init__(self, library: Flite, settings: TtsSettings) -> None:
        """Raises UsageError for another language or an unknown voice, MissingError for one not installed."""
        if settings.language.lower().replace("_", "-").split("-")[0] != "en":
            raise UsageError(
                f"flite speaks only English, not '{settings.language}'.",
                "Choose the espeak or the piper voice.",
            )
        super().__init__("en")
        self._voice = settings.voice or VOICES[0]
        if self._voice not in VOICES:
            raise UsageError(f"flite has no voice '{self._voice}'.", f"Choose one of: {', '.join(VOICES)}.")
        library.load_voice(self._voice)
        self._library = library
        self._speed = min(_FASTEST, max(_SLOWEST, settings.speed))
        self._pitch = min(2.0, max(0.5, settings.pitch))

    def voices(self) -> list[str]:
        """The voices installed on this machine."""
        return self._library.voices()

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


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    """The beginning of cst_voice."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class FliteSegment:
    """A speech sound in flite's spelling. `token` is the index of its token, -1 for pauses."""

    name: str
    end_s: float
    stress: int
    token: int


@dataclass(frozen=True, slots=True)
class FliteSound:
    """Samples at `rate_hz`, their segments, and flite's tokens of the text, without punctuation."""

    pcm: Pcm
    rate_hz: int
    segments: tuple[FliteSegment, ...]
    tokens: tuple[str, ...]


class Flite:
    """The library, loaded once in a process; get it with `flite()`."""

    def __init__(self) -> None:
        self._lib = _load("flite")
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", pointer, [text, pointer]),
            ("utt_wave", ctypes.POINTER(_Wave), [pointer]),
            ("delete_utterance", None, [pointer]),
            ("utt_relation", pointer, [pointer, text]),
            ("utt_relation_present", ctypes.c_int, [pointer, text]),
            ("relation_head", pointer, [pointer]),
            ("item_next", pointer, [pointer]),
            ("item_parent", pointer, [pointer]),
            ("item_as", pointer, [pointer, text]),
            ("item_feat_string", text, [pointer, text]),
            ("item_feat_int", ctypes.c_int, [pointer, text]),
            ("item_set_int", None, [pointer, text, ctypes.c_int]),
            ("item_feat_float", ctypes.c_float, [pointer, text]),
            ("flite_ffeature_string", text, [pointer, text]),
            ("feat_set_float", None, [pointer, text, ctypes.c_float]),
        ):
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self._lib.flite_init()
        self._lock = threading.Lock()
        self._voices: dict[str, int] = {}

    def voices(self) -> list[str]:
        """Those of `VOICES` whose libraries are on this machine."""
        return [voice for voice in VOICES if _found(f"flite_cmu_us_{voice}")]

    def load_voice(self, voice: str) -> None:
        """Load a voice, once. Raises MissingError without its library."""
        with self._lock:
            if voice not in self._voices:
                register = getattr(_load(f"flite_cmu_us_{voice}"), f"register_cmu_us_{voice}")
                register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
                self._voices[voice] = register(None)

    def synthesize(self, text: str, voice: str, speed: float, pitch: float) -> FliteSound:
        """Blocks for some 2 % of the sound's length. `text` is ASCII. Raises EngineError."""
        self.load_voice(voice)
        with self._lock:
            loaded = self._voices[voice]
            features = ctypes.cast(loaded, ctypes.POINTER(_Voice)).contents.features
            self._lib.feat_set_float(features, b"duration_stretch", 1.0 / speed)
            if voice in _MEAN_F0_HZ:
                self._lib.feat_set_float(features, b"int_f0_target_mean", _MEAN_F0_HZ[voice] * pitch)
            else:
                self._lib.feat_set_float(features, b"f0_shift", pitch)
            utterance = self._lib.flite_synth_text(text.encode("ascii"), loaded)
            if not utterance:
                raise EngineError(f"flite could not speak with the voice '{voice}'.", "Try another voice.")
            try:
                return self._read(utterance)
            finally:
                self._lib.delete_utterance(utterance)

    def _read(self, utterance: int) -> FliteSound:
        wave = self._lib.utt_wave(utterance)
        if not wave:
            raise EngineError("flite made no sound.", "Try another voice.")
        samples, rate_hz = wave.contents.num_samples, wave.contents.sample_rate
        if samples:
            pcm = np.ctypeslib.as_array(wave.contents.samples, (samples,)).copy()
        else:
            pcm = np.zeros(0, dtype=np.int16)
        tokens: list[str] = []
        for item in self._items(utterance, b"Token"):
            # Items of different relations share their features, so a mark is found from the sounds below.
            self._lib.item_set_int(item, _MARK, len(tokens))
            tokens.append(self._string(item, b"name"))
        segments = tuple(self._segment(item) for item in self._items(utterance, b"Segment"))
        return FliteSound(pcm, rate_hz, segments, tuple(tokens))

    def _segment(self, item: int) -> FliteSegment:
        name, end_s = self._string(item, b"name"), float(self._lib.item_feat_float(item, b"end"))
        syllable = self._parent(item, b"SylStructure")
        word = self._lib.item_parent(syllable) if syllable else None
        token = self._parent(word, b"Token") if word else None
        if not syllable or not token:
            return FliteSegment(name, end_s, 0, -1)
        stressed = self._lib.flite_ffeature_string(syllable, b"stress") == b"1"
        return FliteSegment(name, end_s, int(stressed), int(self._lib.item_feat_int(token, _MARK)))

    def _parent(self, item: int, relation: bytes) -> int | None:
        within = self._lib.item_as(item, relation)
        return self._lib.item_parent(within) if within else None

    def _items(self, utterance: int, relation: bytes) -> Iterator[int]:
        if not self._lib.utt_relation_present(utterance, relation):
            return
        item = self._lib.relation_head(self._lib.utt_relation(utterance, relation))
        while item:
            yield item
            item = self._lib.item_next(item)

    def _string(self, item: int, feature: bytes) -> str:
        return str(self._lib.item_feat_string(item, feature).decode("ascii", "replace"))


def _found(name: str) -> bool:
    try:
        _load(name)
    except MissingError:
        return False
    return True


def _load(name: str) -> ctypes.CDLL:
    """By the name of the release, then by whatever the linker knows."""
    for file in (f"lib{name}.so.1", ctypes.util.find_library(name)):
        if file:
            try:
                return ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
    raise MissingError(f"The system library lib{name} is not installed.", _REMEDY)


_loading = threading.Lock()
_loaded: list[Flite] = []


def flite() -> Flite:
    """The process's one library. Raises MissingError."""
    with _loading:
        if not _loaded:
            _loaded.append(Flite())
        return _loaded[0]
