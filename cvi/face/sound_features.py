"""Features of sound for the mouth: mel bands and loudness, relative to the voice's own level."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm, to_float

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
_SILENCE_DB = -52.0


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
        voiced = levels_db[levels_db > _SILENCE_DB]
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
