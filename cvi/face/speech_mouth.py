"""The mouth read from sound through a speech recognizer's encoder, where its weights are installed.

The encoder is Whisper's smallest (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision"), as it stands inside Smart Turn v3. A linear map takes its features around a moment to the
mouth. The shipped map was learned by `scripts/train_speech_mouth.py` from synthetic speech with known phone
times; a person's own map (`cvi.training.audio.audio_to_mouth`) is fitted to their footage. On real voices
both follow the lips better than the network of `sound_mouth`, at about 20 ms of computing for a second of
sound, so they serve recorded speech.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm, to_float
from cvi.audio.mel import BANDS, HOP, log_mel
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError
from cvi.face.sound_mouth import HOP_S, SHAPES, MouthReader, SoundRun, load_mouth_network, load_weights
from cvi.onnx import open_session

Floats = npt.NDArray[np.float32]

RATE_HZ = 50
"""Feature i stands for the time from i / RATE_HZ to (i + 1) / RATE_HZ."""
LAYERS = (4, 6)
"""Which of the graph's layer normalisations are read: the inputs of the third and the fourth of the four
blocks. Of every layer alone and several together these two predicted held-out lips of three real speakers
best (`scripts/measure_mouth_models FILM --tune`)."""
WIDTH = 384
_NORMS = 10
_WINDOW = 400
"""Features of one window, 8 s."""
_MARGIN = 100
"""Features nearer than this to a window's edge are taken from the next window, where they have context."""
_PART = _WINDOW - 2 * _MARGIN
_MODEL = "smart-turn-v3"
_REMEDY = f"Get it with: cvi models pull {_MODEL}"


class SpeechEncoder:
    """The encoder in ONNX Runtime on one thread. One caller at a time."""

    def __init__(self, weights: Path) -> None:
        """Raises MissingError without the file, EngineError for another network."""
        if not weights.is_file():
            raise MissingError(f"The speech encoder {weights} is not here.", _REMEDY)
        self._session = _opened(weights)
        self._last: tuple[Pcm, Floats] | None = None

    def features(self, pcm: Pcm, first: int = 0) -> Floats:
        """`pcm` int16 at PLAYED_HZ -> its features from number `first` on, (n - first, 2 * WIDTH).

        n is len(pcm) in RATE_HZ, rounded down. Takes about 80 ms for each 4 s of sound; the features of the
        last whole sound are cached.
        """
        count = len(pcm) * RATE_HZ // PLAYED_HZ
        if self._last is not None and first == 0 and np.array_equal(self._last[0], pcm):
            return self._last[1]
        out = np.zeros((max(0, count - first), len(LAYERS) * WIDTH), np.float32)
        for part in range(first, count, _PART):
            end = min(part + _PART, count)
            window = self._window_features(pcm, part - _MARGIN)
            out[part - first : end - first] = window[_MARGIN : _MARGIN + end - part]
        if first == 0:
            self._last = (pcm, out)
        return out

    def _window_features(self, pcm: Pcm, start: int) -> Floats:
        """The features of 8 s from feature `start` on, (_WINDOW, 2 * WIDTH); silence beyond both ends."""
        per = PLAYED_HZ // RATE_HZ
        low, high = max(start, 0) * per, min((start + _WINDOW) * per, len(pcm))
        heard = to_float(resample(pcm[low:high], PLAYED_HZ, HEARD_HZ))
        samples = np.zeros(_WINDOW * HEARD_HZ // RATE_HZ, np.float32)
        at = max(-start, 0) * HEARD_HZ // RATE_HZ
        heard = heard[: len(samples) - at]
        samples[at : at + len(heard)] = heard
        # Unit variance, as in the network's training.
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7, dtype=np.float32)
        layers = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return np.concatenate([layer[0] for layer in layers], 1)


def _opened(weights: Path) -> Any:
    """A session of the network up to the layers in LAYERS, with these as outputs."""
    import onnx

    try:
        model = onnx.load(str(weights))
        norms = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"]
        read = [norms[index] for index in LAYERS] if len(norms) == _NORMS else []
        # ONNX Runtime drops what the remaining outputs do not need.
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in read)
    except Exception as error:  # onnx's errors have no common base
        raise EngineError(f"The speech encoder {weights.name} cannot be read.", _REMEDY) from error
    session = open_session(model.SerializeToString(), f"speech encoder {weights.name}", _REMEDY)
    shape = (BANDS, _WINDOW * HEARD_HZ // RATE_HZ // HOP)
    inputs = [(node.name, tuple(node.shape[1:])) for node in session.get_inputs()]
    outputs = [tuple(node.shape[1:]) for node in session.get_outputs()]
    if not read or inputs != [("input_features", shape)] or any(s != (_WINDOW, WIDTH) for s in outputs):
        raise EngineError(f"{weights.name} is not Smart Turn v3, whose encoder is read.", _REMEDY)
    return session


WEIGHTS = Path(__file__).with_name("speech_mouth.npz")
SPEECH_MAP = "speech_ear.npz"
"""File in the folder of a trained replica: a map fitted to its person."""
CONTEXT = (-4, -2, -1, 0, 1, 2, 4)
"""Offsets of the features that the map takes: 80 ms on either side of a moment."""


@dataclass(frozen=True, slots=True)
class SpeechMap:
    """A linear map: features in context (n, d) -> SHAPES (n, 6), each 0..1. `weights` (d, 6), `bias` (6,)."""

    weights: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """`features` (n, d) from `in_context` -> (n, 6)."""
        return np.asarray(np.clip(features @ self.weights + self.bias, 0.0, 1.0), np.float32)

    def with_jaw(self, gain: float, floor: float) -> SpeechMap:
        """The same map with `gain` times the jaw plus `floor`."""
        jaw = SHAPES.index("jaw")
        weights, bias = self.weights.copy(), self.bias.copy()
        weights[:, jaw] *= gain
        bias[jaw] = gain * bias[jaw] + floor
        return SpeechMap(weights, bias)


class SpeechMouth:
    """A `MouthReader` of encoder and map. One thread at a time."""

    def __init__(self, encoder: SpeechEncoder, mapping: SpeechMap) -> None:
        self._encoder, self._map = encoder, mapping

    def read(self, run: SoundRun, first: int) -> Floats:
        """As `MouthReader.read`."""
        times = np.arange(first, len(run.levels)) * HOP_S
        if not len(times):
            return np.zeros((0, len(self._map.bias)), np.float32)
        # The map runs at the features' rate, half that of the run's frames; its output is interpolated.
        low = max(0, int(times[0] * RATE_HZ) - 1)
        from_ = max(0, low + min(CONTEXT))
        features = self._encoder.features(run.pcm, from_)
        if not len(features):
            return np.zeros((len(times), len(self._map.bias)), np.float32)
        middles = (np.arange(low, from_ + len(features)) + 0.5) / RATE_HZ
        shapes = self._map(in_context(features, middles - from_ / RATE_HZ))
        columns = [np.interp(times, middles, shape) for shape in shapes.T]
        return np.stack(columns, 1).astype(np.float32)


def in_context(features: Floats, times_s: npt.NDArray[np.floating]) -> Floats:
    """Features around each of `times_s`: (n, 2 * WIDTH) -> (len(times_s), d), interpolated in time."""
    place = times_s * RATE_HZ - 0.5
    columns = []
    for offset in CONTEXT:
        at = np.clip(place + offset, 0, len(features) - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, len(features) - 1)
        share = (at - low)[:, None].astype(np.float32)
        columns.append(features[low] * (1 - share) + features[high] * share)
    return np.concatenate(columns, 1)


@lru_cache(maxsize=1)
def shipped_map() -> SpeechMap:
    """The map that ships with the program."""
    return load_weights(SpeechMap, WEIGHTS)


def load_speech_map(folder: Path) -> SpeechMap | None:
    """The map fitted to the person of the replica in `folder`; None where it has none.

    Raises UsageError for a damaged file.
    """
    path = folder / SPEECH_MAP
    return load_weights(SpeechMap, path) if path.is_file() else None


def map_bytes(mapping: SpeechMap) -> bytes:
    """The map as an npz file, about 65 kB."""
    stream = io.BytesIO()
    half = {name: getattr(mapping, name).astype(np.float16) for name in SpeechMap.__slots__}
    np.savez_compressed(stream, allow_pickle=False, **half)
    return stream.getvalue()


def best_reader(folder: Path, encoder: SpeechEncoder | None) -> MouthReader | None:
    """The best reader of recorded sound for the replica in `folder`.

    With `encoder` a `SpeechMouth`, without it the replica's own `MouthNetwork`; None stands for the shipped
    one.
    """
    if encoder is None:
        return load_mouth_network(folder)
    return SpeechMouth(encoder, load_speech_map(folder) or shipped_map())
