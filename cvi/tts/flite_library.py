"""libflite and its voices through ctypes: text in, samples and segments out.

flite 2.2, a system package. Its voices are process-global objects whose features are set before each
call, so one lock guards everything.

Specification: cst_voice.h, cst_wave.h, cst_item.h of flite 2.2.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import Pcm
from cvi.errors import EngineError, MissingError

VOICES = ("slt", "rms", "awb", "kal16")
_REMEDY = "Install it with: apt install flite (Debian, Ubuntu), or choose the espeak voice."
_MEAN_F0_HZ = {"kal16": 95.0}
"""The diphone voice takes an absolute pitch; the others a factor."""
_MARK = b"cvi_token"


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
class Segment:
    """One sound in flite's spelling, until `end_s`; `token` counts the tokens of the text, -1 for pauses."""

    name: str
    end_s: float
    stress: int
    token: int


@dataclass(frozen=True, slots=True)
class FliteSound:
    """Samples at `rate_hz`, their segments, and the text's tokens as flite cut them, without punctuation."""

    pcm: Pcm
    rate_hz: int
    segments: tuple[Segment, ...]
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
        """Raises MissingError when the voice's library is not there."""
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

    def _segment(self, item: int) -> Segment:
        name, end_s = self._string(item, b"name"), float(self._lib.item_feat_float(item, b"end"))
        syllable = self._parent(item, b"SylStructure")
        word = self._lib.item_parent(syllable) if syllable else None
        token = self._parent(word, b"Token") if word else None
        if not syllable or not token:
            return Segment(name, end_s, 0, -1)
        stressed = self._lib.flite_ffeature_string(syllable, b"stress") == b"1"
        return Segment(name, end_s, int(stressed), int(self._lib.item_feat_int(token, _MARK)))

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
