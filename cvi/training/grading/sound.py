"""Where somebody speaks in the sound, and how far the voice stands above the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm, to_float
from cvi.engine_registry import build
from cvi.training.grading.faults import Span
from cvi.training.grading.spans import runs
from cvi.turns.base import VAD_HOP_S, VAD_HOP_SAMPLES, VadEngine, VadSettings

SPOKEN = 0.5
_SHORTEST_SPEECH_S, _SHORTEST_GAP_S = 0.15, 0.25
_GUARD_HOPS = 6
"""Near speech a room still rings: what is called noise keeps 0.2 s from it."""
_LEAST_NOISE_HOPS = 15
SILENT_DB = -60.0


@dataclass(frozen=True, slots=True)
class Voice:
    """`speech` stretches in seconds; `snr_db` of the voice above what is heard between them, NaN where
    nobody speaks; `level_db` of the voice, 0 is full scale."""

    speech: tuple[Span, ...]
    snr_db: float
    level_db: float

    @property
    def speech_s(self) -> float:
        return float(sum(end - start for start, end in self.speech))


def listen(pcm: Pcm) -> Voice:
    """Find the voice in 16 kHz sound. About 4 ms a second of sound. Raises MissingError without the
    voice activity network."""
    count = len(pcm) // VAD_HOP_SAMPLES
    if count == 0:
        return Voice((), float("nan"), -100.0)
    hops = pcm[: count * VAD_HOP_SAMPLES].reshape(count, VAD_HOP_SAMPLES)
    samples = to_float(hops.reshape(-1)).reshape(hops.shape).astype(np.float64)
    # Without each hop's mean: an offset of the microphone, or rumble below 30 Hz, is nothing one hears.
    power = np.var(samples, axis=1)
    detector: VadEngine = build("vad", "silero", VadSettings())
    spoken = _tidy(np.array([detector.probability(hop) for hop in hops]) > SPOKEN)
    speech = tuple((a * VAD_HOP_S, b * VAD_HOP_S) for a, b in runs(spoken))
    if not spoken.any():
        return Voice((), float("nan"), _db(float(power.mean())))
    near = np.convolve(spoken, np.ones(2 * _GUARD_HOPS + 1), "same") > 0
    quiet = np.sort(power[~near]) if (~near).sum() >= _LEAST_NOISE_HOPS else np.sort(power)[: count // 20 + 1]
    # The middle of the quiet hops: a cough or a door is no noise floor.
    noise = float(np.median(quiet))
    voiced = float(np.mean(power[spoken]))
    snr = _db(max(voiced - noise, 1e-12)) - _db(max(noise, 1e-10))
    return Voice(speech, min(snr, 80.0), _db(voiced))


def _tidy(spoken: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Close short gaps, then drop short speech."""
    tidy = spoken.copy()
    for start, end in runs(~tidy):
        if start > 0 and end < len(tidy) and (end - start) * VAD_HOP_S < _SHORTEST_GAP_S:
            tidy[start:end] = True
    for start, end in runs(tidy):
        if (end - start) * VAD_HOP_S < _SHORTEST_SPEECH_S:
            tidy[start:end] = False
    return tidy


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-10)))


def log_mel(pcm: Pcm, times_s: npt.NDArray[np.float64], bands: int = 24) -> npt.NDArray[np.float64]:
    """Logarithmic energies [n, bands], 60 to 7600 Hz, of 40 ms around each time."""
    size = round(0.040 * HEARD_HZ)
    padded = np.pad(to_float(pcm), size)
    window = np.hanning(size).astype(np.float32)
    edges = _hertz(np.linspace(_mel(60.0), _mel(7600.0), bands + 2))
    bins = np.fft.rfftfreq(size, 1 / HEARD_HZ)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rising, falling), 0.0, None)
    out = np.empty((len(times_s), bands))
    for row, time_s in enumerate(times_s):
        start = int(np.clip(round(time_s * HEARD_HZ) + size // 2, 0, len(padded) - size))
        spectrum = np.abs(np.fft.rfft(padded[start : start + size] * window)) ** 2
        out[row] = np.log(bank @ spectrum + 1e-4)
    return out


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float64)
