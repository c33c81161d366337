"""The mouth read from sound alone, for voices without phone times and for recorded speech.

Its features are mel bands and loudness, relative to the voice's own level. The default `MouthReader` is a
small network (mel bands in, mouth out) that `scripts/train_sound_mouth.py` trained on synthetic speech with
known phone times; its targets were the mouths that those phones give.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_left
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm, to_float
from cvi.errors import UsageError
from cvi.face.motion import ease

Floats = npt.NDArray[np.float32]

HOP_S = 0.010
HOP = int(PLAYED_HZ * HOP_S)
WINDOW = 600
BANDS = 28
_FFT, _LOW_HZ, _HIGH_HZ = 1024, 80.0, 8000.0
_FLOOR_DB, _SPAN_DB = -50.0, 60.0
CONTEXT = tuple(range(-12, 13, 2))
"""Offsets of the frames that the network takes: 120 ms on either side."""
FRAME_S = 0.010
_FRAME = int(PLAYED_HZ * FRAME_S)
_FAINTEST_VOICE_DB = -52.0


def band_levels_db(pcm: Pcm) -> Floats:
    """Levels of BANDS mel bands each 10 ms: (n, BANDS) dBFS, n = whole windows in `pcm` (int16, PLAYED_HZ).

    Frame i is the sound from i * HOP on, WINDOW samples long.
    """
    count = (len(pcm) - WINDOW) // HOP + 1
    if count <= 0:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(to_float(pcm), WINDOW)[::HOP][:count]
    window, filters = _bank()
    power = np.square(np.abs(np.fft.rfft(frames * window, _FFT, axis=1)))
    return np.asarray(10.0 * np.log10(power @ filters + 1e-10), np.float32)


def loudness_db(levels: Floats) -> Floats:
    """Loudness of each frame, (n,) dBFS, from `levels` (n, BANDS): the sum of its bands below 4 kHz."""
    return np.asarray(10.0 * np.log10(np.power(10.0, levels[:, :20] / 10.0).sum(1) + 1e-10), np.float32)


def inputs(levels: Floats, reference_db: float) -> Floats:
    """Frames with their context as the network takes them: (n, BANDS) -> (n, len(CONTEXT) * BANDS).

    Silence is assumed beyond both ends. `reference_db`: the level of the voice's loud parts in `loudness_db`.
    """
    scaled = np.clip((levels - reference_db - _FLOOR_DB) / _SPAN_DB, 0.0, 1.2).astype(np.float32)
    edge = max(CONTEXT)
    padded = np.pad(scaled, ((edge, edge), (0, 0)))
    return np.concatenate([padded[edge + k : edge + k + len(scaled)] for k in CONTEXT], axis=1)


@lru_cache(maxsize=1)
def _bank() -> tuple[Floats, Floats]:
    """The window (WINDOW,) and triangular filters (bins, BANDS), O'Shaughnessy's mel scale."""

    def mel(hz: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))

    low, high = mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = np.linspace(low, high, BANDS + 2)
    place = mel(np.fft.rfftfreq(_FFT, 1 / PLAYED_HZ))[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    window = np.hanning(WINDOW)
    # A full-scale tone within one band is about 0 dB.
    return window.astype(np.float32), (filters * (4.0 / window.sum() ** 2)).astype(np.float32)


class ReferenceLevel:
    """The level of a voice's loud parts, dBFS: a slow average, so that one shout does not set it."""

    def __init__(self) -> None:
        self.db: float | None = None

    def update(self, levels_db: npt.NDArray[np.float64]) -> float:
        """Take in more levels (n,); returns the reference, -20 before any voice."""
        voiced = levels_db[levels_db > _FAINTEST_VOICE_DB]
        if len(voiced):
            loud = float(np.percentile(voiced, 90))
            weight = min(0.5, len(voiced) / 100)
            self.db = loud if self.db is None else self.db + weight * (loud - self.db)
        return -20.0 if self.db is None else self.db


def levels_db(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Loudness of each whole 10 ms of `pcm` (int16, PLAYED_HZ), shape (len // 240,), dBFS; -120 is digital
    silence."""
    frames = to_float(pcm[: len(pcm) // _FRAME * _FRAME]).reshape(-1, _FRAME).astype(np.float64)
    level: npt.NDArray[np.float64] = 10.0 * np.log10(np.mean(frames * frames, axis=1) + 1e-12)
    return level


WEIGHTS = Path(__file__).with_name("sound_mouth.npz")
MOUTH_NETWORK = "ear.npz"
"""File in the folder of a trained replica: a network fitted to its voice."""
SHAPES = ("jaw", "wide", "round", "tongue", "lips", "teeth")
"""Columns of what a reader returns: four controls, and contact of the lips, and of the lower lip and the
upper teeth."""
_GATE_DB, _SILENCE_DB = -32.0, -58.0
_NEAR_S, _GONE_S = 0.035, 0.080
"""Distance from the nearest voiced frame up to which the mouth is shaped in full, and from which it is at
rest."""
_KERNEL_S = 0.030
# Contact is binary: the network's output is sharpened between these two.
_UNSURE, _SURE = 0.30, 0.62

ShapeValues = tuple[float, float, float, float, float, float]
"""One moment: values of SHAPES, each 0..1."""
NO_SOUND: ShapeValues = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SoundRun:
    """Sound without a gap, as far as it is known. `pcm` int16 at PLAYED_HZ; `levels` (n, BANDS) of its n
    frames (`band_levels_db`), frame i for the moment i * HOP_S; `reference_db` the level of its loud
    parts."""

    pcm: Pcm
    levels: Floats
    reference_db: float


class MouthReader(Protocol):
    """Reads the mouth from sound. Used from one thread at a time."""

    def read(self, run: SoundRun, first: int) -> Floats:
        """SHAPES of the run's frames from `first` on, (n - first, 6), each 0..1. Blocks until done."""


@dataclass(frozen=True, slots=True)
class MouthNetwork:
    """A `MouthReader` with one hidden layer: `inputs` of a run's levels (n, d) -> SHAPES (n, 6), each
    0..1."""

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """`x` (n, d) from `sound_features.inputs` -> (n, 6)."""
        inner = np.tanh(x @ self.hidden + self.hidden_bias)
        return np.asarray(1.0 / (1.0 + np.exp(-(inner @ self.out + self.out_bias))), np.float32)

    def read(self, run: SoundRun, first: int) -> Floats:
        """As `MouthReader.read`."""
        begin = max(0, first - max(CONTEXT))
        return self(inputs(run.levels[begin:], run.reference_db))[first - begin :]


Weights = TypeVar("Weights")


def load_weights(kind: type[Weights], path: Path) -> Weights:
    """A dataclass of arrays from an npz file with an array for each field.

    Raises UsageError for a damaged file.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    try:
        with np.load(path, allow_pickle=False) as file:
            return kind(*(file[name].astype(np.float32) for name in names))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error


@lru_cache(maxsize=1)
def shipped_network() -> MouthNetwork:
    """The network that ships with the program, 50 kB."""
    return load_weights(MouthNetwork, WEIGHTS)


def load_mouth_network(folder: Path) -> MouthNetwork | None:
    """The network fitted to the voice of the replica in `folder`; None where it has none.

    Raises UsageError for a damaged file.
    """
    path = folder / MOUTH_NETWORK
    return load_weights(MouthNetwork, path) if path.is_file() else None


class SoundMouth:
    """The mouth by time, from sound that is appended piece by piece.

    The end of the known sound is shaped as if silence followed, and again when more comes. From 110 ms after
    the last sound the mouth is exactly NO_SOUND. Not thread-safe.
    """

    def __init__(self, reader: MouthReader | None = None) -> None:
        """`reader` replaces the shipped network."""
        self._reader = reader
        self._level = ReferenceLevel()
        self._times: list[float] = []
        self._values: list[ShapeValues] = []
        self._first = 0
        """Index in `_times` of the first frame of the current run."""
        self._levels: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._pcm: Pcm = np.zeros(0, np.int16)
        self._unread: Pcm = np.zeros(0, np.int16)
        self._end_s = -1.0

    def append(self, pcm: Pcm, start_s: float) -> None:
        """Add int16 mono sound at PLAYED_HZ that begins at `start_s`; pieces that join are read as one
        run."""
        if not len(pcm):
            return
        if abs(start_s - self._end_s) > 1e-3 or not self._levels.size:
            self._first = len(self._times)
            self._run_s = start_s
            self._levels = np.zeros((0, 0), np.float32)
            self._pcm = np.zeros(0, np.int16)
            # Half a window of silence first, so that frame 0 is centred on the first sample.
            self._unread = np.zeros(WINDOW // 2, np.int16)
        self._end_s = start_s + len(pcm) / PLAYED_HZ
        self._pcm = np.concatenate((self._pcm, pcm)) if len(self._pcm) else pcm
        sound = np.concatenate((self._unread, pcm))
        new = band_levels_db(sound)
        self._unread = sound[len(new) * HOP :]
        before = len(self._levels)
        self._levels = np.concatenate((self._levels, new)) if before else new
        if len(self._levels):
            # Frames that lacked context are shaped again.
            self._shape(max(0, before - max(CONTEXT)))

    def at(self, t_s: float) -> ShapeValues:
        """The mouth at `t_s`; NO_SOUND away from sound."""
        first = bisect_left(self._times, t_s - _KERNEL_S)
        last = bisect_left(self._times, t_s + _KERNEL_S)
        total = _KERNEL_S / HOP_S * 16 / 15
        sums = [0.0] * len(SHAPES)
        weights = 0.0
        for index in range(first, last):
            offset = (self._times[index] - t_s) / _KERNEL_S
            weight = (1.0 - offset * offset) ** 2
            weights += weight
            for channel, value in enumerate(self._values[index]):
                sums[channel] += weight * value
        if not any(sums):
            return NO_SOUND
        # Frames missing at the ends of the known sound count as silence.
        total = max(total, weights)
        jaw, wide, round_, tongue, lips, teeth = (value / total for value in sums)
        return (jaw, wide, round_, tongue, _sharp(lips), _sharp(teeth))

    def _shape(self, first: int) -> None:
        """Compute the values of the run's frames from `first` on, again where they exist."""
        loud = loudness_db(self._levels)
        new_from = len(self._times) - self._first
        reference = self._level.update(loud[new_from:].astype(np.float64))
        reader = self._reader or shipped_network()
        shaped = reader.read(SoundRun(self._pcm, self._levels, reference), first)
        voiced = np.flatnonzero(loud > max(_SILENCE_DB, reference + _GATE_DB))
        del self._times[self._first + first :], self._values[self._first + first :]
        for index, row in enumerate(shaped, first):
            self._times.append(self._run_s + index * HOP_S)
            presence = _presence(index, voiced)
            self._values.append(
                NO_SOUND if presence == 0.0 else tuple(float(value) * presence for value in row)  # type: ignore[arg-type]
            )


def _presence(index: int, voiced: npt.NDArray[np.intp]) -> float:
    """1 near a voiced frame, exactly 0 at 80 ms from one."""
    place = int(np.searchsorted(voiced, index))
    near = [abs(int(voiced[k]) - index) for k in (place - 1, place) if 0 <= k < len(voiced)]
    if not near:
        return 0.0
    return 1.0 - ease((min(near) * HOP_S - _NEAR_S) / (_GONE_S - _NEAR_S))


def _sharp(contact: float) -> float:
    return ease((contact - _UNSURE) / (_SURE - _UNSURE))
