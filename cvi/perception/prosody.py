"""Sound -> pitch, loudness and spectrum in steps of 20 ms.

Pitch by the normalized square difference of P. McLeod and G. Wyvill, "A Smarter Way to Find Pitch" (2005),
computed by FFT; 0.1 ms a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import FLOOR_DB

STEP = 320
STEP_S = STEP / HEARD_HZ
_WINDOW = 800
_SIZE = 2048
LOWEST_HZ, HIGHEST_HZ = 65.0, 500.0
CLEAR = 0.7
"""Clarity of the period from which on a step is voiced: on flite's and Piper's voices vowels lie at 0.85 and
above, breath and fricatives under 0.5."""
_OF_BEST_PEAK = 0.9
_SILENT_DB = -60.0
_BANDS_HZ = (100, 300, 500, 800, 1200, 1800, 2600, 3600, 5000, 7000)


@dataclass(frozen=True, slots=True)
class VoiceStep:
    """20 ms of sound that end at `end_s`. `pitch_hz` is 0 where it is not voiced; `level_db` below full
    scale; `bands` the levels, dB, of nine frequency bands from 100 to 7000 Hz."""

    end_s: float
    pitch_hz: float
    level_db: float
    bands: npt.NDArray[np.float32]


class Prosody:
    """Steps from sound of any block size, 16 kHz. Not thread-safe."""

    def __init__(self) -> None:
        self._sound = np.zeros(0, np.float32)
        self._window = np.hanning(_WINDOW).astype(np.float32)
        edges = np.round(np.array(_BANDS_HZ) * _SIZE / HEARD_HZ).astype(int)
        self._edges = edges

    def push(self, pcm: Pcm, end_s: float) -> list[VoiceStep]:
        """The steps that these samples complete; `end_s` is the time just after the last of them."""
        self._sound = np.concatenate((self._sound, pcm.astype(np.float32) / np.float32(32768)))
        steps = []
        while len(self._sound) >= _WINDOW + STEP:
            self._sound = self._sound[STEP:]
            late_s = (len(self._sound) - _WINDOW) / HEARD_HZ
            steps.append(self._step(self._sound[:_WINDOW], end_s - late_s))
        return steps

    def _step(self, sound: npt.NDArray[np.float32], end_s: float) -> VoiceStep:
        recent = sound[-STEP:]
        power = float(recent @ recent) / STEP
        level_db = max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB
        if level_db < _SILENT_DB:
            return VoiceStep(end_s, 0.0, level_db, np.full(len(_BANDS_HZ) - 1, FLOOR_DB, np.float32))
        spectrum = np.fft.rfft(sound - sound.mean(), _SIZE)
        energy = np.abs(spectrum) ** 2
        sums = np.add.reduceat(energy, self._edges)[:-1]
        bands = np.asarray(10 * np.log10(sums + 1e-9), np.float32)
        return VoiceStep(end_s, self._pitch(sound, energy), level_db, bands)

    @staticmethod
    def _pitch(sound: npt.NDArray[np.float32], energy: npt.NDArray[np.floating]) -> float:
        longest = int(HEARD_HZ / LOWEST_HZ) + 2
        shortest = int(HEARD_HZ / HIGHEST_HZ)
        same = np.fft.irfft(energy, _SIZE)[: longest + 1]
        squares = np.concatenate(([0.0], np.cumsum((sound - sound.mean()).astype(np.float64) ** 2)))
        lags = np.arange(longest + 1)
        both = squares[_WINDOW - lags] + squares[-1] - squares[lags]
        clarity = 2 * same / np.maximum(both, 1e-9)
        inner = clarity[1:-1]
        peaks = np.flatnonzero((inner > clarity[:-2]) & (inner >= clarity[2:])) + 1
        peaks = peaks[peaks >= shortest]
        if not len(peaks) or (best := float(clarity[peaks].max())) < CLEAR:
            return 0.0
        lag = int(peaks[np.argmax(clarity[peaks] >= _OF_BEST_PEAK * best)])
        left, top, right = clarity[lag - 1 : lag + 2]
        bend = left - 2 * top + right
        exact = lag + (0.5 * (left - right) / bend if bend < 0 else 0.0)
        return float(HEARD_HZ / exact)
