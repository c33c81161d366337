"""The mouth read from sound through a speech recognizer's encoder, where its weights are here.

A linear map of the encoder's features around a moment to the mouth. The shipped one was learned by
`scripts/train_speech_mouth.py` from synthetic speech whose phone times are known; a person's own
(`cvi.training.speech_ear`) adds what their footage taught. On real voices both follow the lips better than
`sound_mouth`'s network, at some 20 ms of computing for a second of sound: for sound that is known beforehand.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.sound_features import HOP_S
from cvi.face.sound_mouth import SHAPES, MouthReader, Run, load_ear
from cvi.face.speech_encoder import RATE_HZ, SpeechEncoder

Floats = npt.NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("speech_mouth.npz")
SPEECH_EAR = "speech_ear.npz"
"""In the folder of a trained replica."""
CONTEXT = (-4, -2, -1, 0, 1, 2, 4)
"""Features that are seen around a moment: 80 ms on either side."""


@dataclass(frozen=True, slots=True)
class SpeechMap:
    """`weights` (d, 6) and `bias` (6,): features with their context (n, d) -> SHAPES of `sound_mouth` (n, 6),
    each 0..1."""

    weights: Floats
    bias: Floats

    def __call__(self, seen: Floats) -> Floats:
        return np.asarray(np.clip(seen @ self.weights + self.bias, 0.0, 1.0), np.float32)

    def with_jaw(self, gain: float, floor: float) -> SpeechMap:
        """The same with the jaw taken `gain` times and `floor` more."""
        jaw = SHAPES.index("jaw")
        weights, bias = self.weights.copy(), self.bias.copy()
        weights[:, jaw] *= gain
        bias[jaw] = gain * bias[jaw] + floor
        return SpeechMap(weights, bias)


class SpeechMouth:
    """A `MouthReader`: encoder and map. One thread at a time."""

    def __init__(self, encoder: SpeechEncoder, mapping: SpeechMap) -> None:
        self._encoder, self._map = encoder, mapping

    def read(self, run: Run, first: int) -> Floats:
        times = np.arange(first, len(run.levels)) * HOP_S
        if not len(times):
            return np.zeros((0, len(self._map.bias)), np.float32)
        # The map at the features' own pace, then between them: they are half as many.
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
    """What is heard around each moment: (n, 2 * WIDTH) -> (len(times_s), d), interpolated in time."""
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
    return _read(WEIGHTS)


def load_speech_map(folder: Path) -> SpeechMap | None:
    """A trained replica's own map; None where it has none. Raises UsageError for a damaged file."""
    path = folder / SPEECH_EAR
    if not path.is_file():
        return None
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error


def map_bytes(mapping: SpeechMap) -> bytes:
    """As it is stored, about 65 kB."""
    stream = io.BytesIO()
    half = {name: getattr(mapping, name).astype(np.float16) for name in SpeechMap.__slots__}
    np.savez_compressed(stream, allow_pickle=False, **half)
    return stream.getvalue()


def reader_for(folder: Path, encoder: SpeechEncoder | None) -> MouthReader | None:
    """The best there is for recorded sound and the replica in `folder`: through the encoder where there is
    one, the person's own before the shipped; None for the network that is shipped for everybody."""
    if encoder is None:
        return load_ear(folder)
    return SpeechMouth(encoder, load_speech_map(folder) or shipped_map())


def _read(path: Path) -> SpeechMap:
    with np.load(path, allow_pickle=False) as file:
        return SpeechMap(*(file[name].astype(np.float32) for name in SpeechMap.__slots__))
