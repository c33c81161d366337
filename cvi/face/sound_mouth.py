"""The mouth read from the sound alone, for voices that tell no phone times and for recorded speech.

A small network (log-mel in, mouth out) that `scripts/train_sound_mouth.py` trained on synthetic speech
whose phone times are known, against the mouth that those phones give.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.face.loudness import ReferenceLevel
from cvi.face.mouth import ease
from cvi.face.sound_features import CONTEXT, HOP, HOP_S, WINDOW, Floats, band_levels_db, inputs, loudness_db

WEIGHTS = Path(__file__).with_name("sound_mouth.npz")
EAR = "ear.npz"
"""In the folder of a trained replica."""
SHAPES = ("jaw", "wide", "round", "tongue", "lips", "teeth")
_GATE_DB, _SILENCE_DB = -32.0, -58.0
_NEAR_S, _GONE_S = 0.035, 0.080
"""From a voiced frame: what is shaped in full, and from where it is exact rest."""
_KERNEL_S = 0.030
# Contact is a yes or a no: what the network is half sure of is sharpened.
_UNSURE, _SURE = 0.30, 0.62

Heard = tuple[float, float, float, float, float, float]
"""jaw, wide, round, tongue; contact of the lips, contact of lip and teeth."""
NOTHING: Heard = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of sound without a gap, as far as it is known. `pcm` int16 at PLAYED_HZ; `levels` (n, BANDS) of
    its n frames, of which frame i stands for the moment i * HOP_S; `reference_db` its loud level."""

    pcm: Pcm
    levels: Floats
    reference_db: float


class MouthReader(Protocol):
    """What reads the mouth from sound. Blocking; one thread at a time."""

    def read(self, run: Run, first: int) -> Floats:
        """SHAPES of the run's frames from `first` on, (n - first, 6), each 0..1."""


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer: inputs (n, d) -> SHAPES (n, 6), each 0..1. As a `MouthReader` it needs no more than
    the run's levels, and a moment."""

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def __call__(self, x: Floats) -> Floats:
        inner = np.tanh(x @ self.hidden + self.hidden_bias)
        return np.asarray(1.0 / (1.0 + np.exp(-(inner @ self.out + self.out_bias))), np.float32)

    def read(self, run: Run, first: int) -> Floats:
        begin = max(0, first - max(CONTEXT))
        return self(inputs(run.levels[begin:], run.reference_db))[first - begin :]


@lru_cache(maxsize=1)
def shipped() -> Network:
    """The network that ships with the program, 50 kB."""
    with np.load(WEIGHTS, allow_pickle=False) as file:
        return Network(*(file[name].astype(np.float32) for name in Network.__slots__))


def load_ear(folder: Path) -> Network | None:
    """A trained replica's own network, learned from its person's voice; None where it has none.

    Raises UsageError for a damaged file.
    """
    path = folder / EAR
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return Network(*(file[name].astype(np.float32) for name in Network.__slots__))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error


class SoundMouth:
    """Mouths by time, fed with sound piece by piece, asked at any time.

    The end of what is known is shaped as if silence followed, and anew when more comes. 110 ms after the
    last sound every answer is exactly NOTHING. Not thread-safe.
    """

    def __init__(self, reader: MouthReader | None = None) -> None:
        """`reader` in place of the shipped network."""
        self._reader = reader
        self._level = ReferenceLevel()
        self._times: list[float] = []
        self._values: list[Heard] = []
        self._first = 0
        """Index in `_times` of the first frame of the run of sound that goes on."""
        self._levels: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._pcm: Pcm = np.zeros(0, np.int16)
        self._rest: Pcm = np.zeros(0, np.int16)
        self._end_s = -1.0

    def append(self, pcm: Pcm, start_s: float) -> None:
        """Add int16 mono sound at PLAYED_HZ that begins at `start_s`; pieces that join are heard as one."""
        if not len(pcm):
            return
        if abs(start_s - self._end_s) > 1e-3 or not self._levels.size:
            self._first = len(self._times)
            self._run_s = start_s
            self._levels = np.zeros((0, 0), np.float32)
            self._pcm = np.zeros(0, np.int16)
            # Half a window of silence first, so that the first frame is the sound's first moment.
            self._rest = np.zeros(WINDOW // 2, np.int16)
        self._end_s = start_s + len(pcm) / PLAYED_HZ
        self._pcm = np.concatenate((self._pcm, pcm)) if len(self._pcm) else pcm
        sound = np.concatenate((self._rest, pcm))
        new = band_levels_db(sound)
        self._rest = sound[len(new) * HOP :]
        before = len(self._levels)
        self._levels = np.concatenate((self._levels, new)) if before else new
        if len(self._levels):
            # What had no full context is shaped again.
            self._shape(max(0, before - max(CONTEXT)))

    def at(self, t_s: float) -> Heard:
        """The mouth at `t_s`; NOTHING itself away from sound."""
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
            return NOTHING
        # At the ends of what is known the missing frames count as silence.
        total = max(total, weights)
        jaw, wide, round_, tongue, lips, teeth = (value / total for value in sums)
        return (jaw, wide, round_, tongue, _sharp(lips), _sharp(teeth))

    def _shape(self, first: int) -> None:
        """(Re)make the values of the run's frames from `first` on."""
        loud = loudness_db(self._levels)
        new_from = len(self._times) - self._first
        reference = self._level.hear(loud[new_from:].astype(np.float64))
        reader = self._reader or shipped()
        shaped = reader.read(Run(self._pcm, self._levels, reference), first)
        voiced = np.flatnonzero(loud > max(_SILENCE_DB, reference + _GATE_DB))
        del self._times[self._first + first :], self._values[self._first + first :]
        for index, row in enumerate(shaped, first):
            self._times.append(self._run_s + index * HOP_S)
            here = _presence(index, voiced)
            self._values.append(
                NOTHING if here == 0.0 else tuple(float(value) * here for value in row)  # type: ignore[arg-type]
            )


def _presence(index: int, voiced: npt.NDArray[np.intp]) -> float:
    """1 near a voiced frame, exactly 0 from 80 ms away."""
    place = int(np.searchsorted(voiced, index))
    near = [abs(int(voiced[k]) - index) for k in (place - 1, place) if 0 <= k < len(voiced)]
    if not near:
        return 0.0
    return 1.0 - ease((min(near) * HOP_S - _NEAR_S) / (_GONE_S - _NEAR_S))


def _sharp(contact: float) -> float:
    return ease((contact - _UNSURE) / (_SURE - _UNSURE))
