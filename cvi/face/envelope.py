"""The mouth read from the sound alone: for voices that tell no phone times, and for loudness.

Every 10 ms the spectrum of 20 ms of sound gives an opening (loudness of the voice's band below the
recent loud level, more for sound rich in the first formant of open vowels), and from the balance of
the second formant's region against the first's a spread or rounded tendency. Hiss closes the jaw.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm, to_float

FRAME_S = 0.010
_FRAME = int(PLAYED_HZ * FRAME_S)
_FFT = 512
_RANGE_DB = 26.0
_SILENCE_DB = -52.0
_KERNEL_S = 0.060

Soft = tuple[float, float, float, float]
"""jaw, wide, round, tongue: what is shaped smoothly; contacts are not in it."""


class ReferenceLevel:
    """How loud this voice is when it is loud, dBFS of 20 ms; follows slowly, so one shout is not the norm."""

    def __init__(self) -> None:
        self.db: float | None = None

    def hear(self, levels_db: npt.NDArray[np.float64]) -> float:
        voiced = levels_db[levels_db > _SILENCE_DB]
        if len(voiced):
            loud = float(np.percentile(voiced, 90))
            weight = min(0.5, len(voiced) / 100)
            self.db = loud if self.db is None else self.db + weight * (loud - self.db)
        return -20.0 if self.db is None else self.db


def levels_db(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Loudness of each whole 10 ms, shape (len // 240,), dBFS; -120 is digital silence."""
    frames = to_float(pcm[: len(pcm) // _FRAME * _FRAME]).reshape(-1, _FRAME).astype(np.float64)
    level: npt.NDArray[np.float64] = 10.0 * np.log10(np.mean(frames * frames, axis=1) + 1e-12)
    return level


class Envelope:
    """Openings by time, fed with sound piece by piece, asked at any time.

    Frames are silent (exactly zero) below the gate, and smoothing reaches 60 ms, so 70 ms after the
    last sound every answer is exactly zero. Not thread-safe.
    """

    def __init__(self) -> None:
        self._level = ReferenceLevel()
        self._tilt_db: float | None = None
        self._times: list[float] = []
        self._values: list[Soft] = []
        self._rest = np.zeros(0, dtype=np.int16)
        self._rest_s = 0.0

    def append(self, pcm: Pcm, start_s: float) -> None:
        """Add int16 mono sound at PLAYED_HZ that begins at `start_s`; pieces that join are heard as one."""
        if abs(start_s - (self._rest_s + len(self._rest) / PLAYED_HZ)) > 1e-3:
            self._rest, self._rest_s = np.zeros(0, dtype=np.int16), start_s
        sound = np.concatenate((self._rest, pcm))
        count = max(0, len(sound) // _FRAME - 1)
        if count:
            whole = np.lib.stride_tricks.sliding_window_view(to_float(sound), 2 * _FRAME)[::_FRAME][:count]
            self._analyse(whole, self._rest_s)
        self._rest = sound[count * _FRAME :]
        self._rest_s += count * FRAME_S

    def at(self, t_s: float) -> Soft:
        """The smoothed shape at `t_s`; exact zeros away from sound."""
        first = bisect_left(self._times, t_s - _KERNEL_S)
        last = bisect_left(self._times, t_s + _KERNEL_S)
        total = jaw = wide = round_ = 0.0
        for index in range(first, last):
            offset = (self._times[index] - t_s) / _KERNEL_S
            weight = (1.0 - offset * offset) ** 2
            value = self._values[index]
            total += weight
            jaw += weight * value[0]
            wide += weight * value[1]
            round_ += weight * value[2]
        if jaw == 0.0 and wide == 0.0 and round_ == 0.0:
            return (0.0, 0.0, 0.0, 0.0)
        # At the ends of what is known the missing frames count as silence.
        total = max(total, _KERNEL_S / FRAME_S * 16 / 15)
        return (jaw / total, wide / total, round_ / total, 0.0)

    def _hear_tilt(self, voiced_db: npt.NDArray[np.float64]) -> None:
        """Learn the voice's own balance, so that a dark voice is not a rounded one."""
        if len(voiced_db):
            middle = float(np.median(voiced_db))
            weight = min(0.5, len(voiced_db) / 200)
            before = middle if self._tilt_db is None else self._tilt_db
            self._tilt_db = before + weight * (middle - before)

    def _analyse(self, frames: npt.NDArray[np.float32], start_s: float) -> None:
        """frames: (n, 480) float."""
        power = np.abs(np.fft.rfft(frames * np.hanning(2 * _FRAME), _FFT, axis=1)) ** 2
        hz = np.fft.rfftfreq(_FFT, 1 / PLAYED_HZ)

        def band(low: float, high: float) -> npt.NDArray[np.float64]:
            return np.asarray(power[:, (hz >= low) & (hz < high)].sum(axis=1), dtype=np.float64) + 1e-9

        # Parseval with the window's power and the one-sided spectrum: mean square of the band.
        scale = 2.0 / (_FFT * 2 * _FRAME * 0.375)
        voice_db = 10.0 * np.log10(band(200, 3400) * scale)
        reference = self._level.hear(voice_db)
        loud = np.clip((voice_db - reference + _RANGE_DB) / _RANGE_DB, 0.0, 1.15)
        loud[voice_db < max(_SILENCE_DB, reference - _RANGE_DB)] = 0.0
        first_formant = band(200, 1100)
        open_share = band(550, 1100) / first_formant
        hiss = band(3800, 11000) / band(200, 11000)
        tilt_db = 10.0 * np.log10(band(1600, 3000) / first_formant)
        self._hear_tilt(tilt_db[(loud > 0.5) & (hiss < 0.3)])
        bright_db = tilt_db - (self._tilt_db if self._tilt_db is not None else -21.0)
        # Only close vowels are clearly spread or rounded; an open one shows its jaw.
        close = np.minimum(loud, 1.0) * np.clip(1.0 - open_share / 0.35, 0.0, 1.0) * (1.0 - hiss)
        jaw = loud**1.3 * (0.3 + 0.6 * np.sqrt(open_share)) * (1.0 - 0.75 * hiss)
        wide = 0.75 * close * np.clip((bright_db + 4.0) / 8.0, 0.0, 1.0)
        rounded = 0.9 * close * np.clip((-bright_db - 2.0) / 8.0, 0.0, 1.0)
        for index in range(len(frames)):
            self._times.append(start_s + (index + 1) * FRAME_S)
            shape = (float(min(1.0, jaw[index])), float(wide[index]), float(rounded[index]), 0.0)
            self._values.append(shape if loud[index] > 0.0 else (0.0, 0.0, 0.0, 0.0))
