"""The sound of a film: where somebody speaks, the voice's level above the noise, the offset from the picture.

The offset: for every lag a linear map from the sound of a moment to the mouth at that moment is fitted on
four fifths of the film and tried on the fifth; the lag with the best prediction is the offset. It needs no
trained network, and is certain only where the mouth follows the sound at all. The map uses 40 ms of sound:
with the neighbours too it predicts a little better, but at every lag, and the offset of a film that was 160
ms late came out anywhere from 97 to 227 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm, to_float
from cvi.engine_registry import build
from cvi.training.arrays import Bools, Doubles
from cvi.training.footage.spans import Span, flagged, runs
from cvi.training.footage.tracking import FaceTrack
from cvi.training.grading.face_measures import lips_height, mouth_opening, mouth_width
from cvi.turns.base import VAD_HOP_S, VAD_HOP_SAMPLES, VadEngine, VadSettings

SPOKEN = 0.5
_SHORTEST_SPEECH_S, _SHORTEST_GAP_S = 0.15, 0.25
_GUARD_HOPS = 6
"""Hops around speech that are not taken for noise, since a room reverberates: 0.2 s."""
_LEAST_NOISE_HOPS = 15
SILENT_DB = -60.0


@dataclass(frozen=True, slots=True)
class SpeechMeasures:
    """`spans` with speech, seconds; `snr_db` of the voice above the sound between them, NaN where nobody
    speaks; `level_db` of the voice, 0 is full scale."""

    spans: tuple[Span, ...]
    snr_db: float
    level_db: float

    @property
    def speech_s(self) -> float:
        """Seconds of speech in all."""
        return float(sum(end - start for start, end in self.spans))


def measure_speech(pcm: Pcm) -> SpeechMeasures:
    """Find speech in 16 kHz sound, in about 4 ms for a second of it. Raises MissingError without the voice
    activity network."""
    count = len(pcm) // VAD_HOP_SAMPLES
    if count == 0:
        return SpeechMeasures((), float("nan"), -100.0)
    hops = pcm[: count * VAD_HOP_SAMPLES].reshape(count, VAD_HOP_SAMPLES)
    samples = to_float(hops.reshape(-1)).reshape(hops.shape).astype(np.float64)
    # The variance ignores a DC offset and rumble below 30 Hz, which are inaudible.
    power = np.var(samples, axis=1)
    detector: VadEngine = build("vad", "silero", VadSettings())
    spoken = _tidy(np.array([detector.probability(hop) for hop in hops]) > SPOKEN)
    speech = tuple((a * VAD_HOP_S, b * VAD_HOP_S) for a, b in runs(spoken))
    if not spoken.any():
        return SpeechMeasures((), float("nan"), _db(float(power.mean())))
    near = np.convolve(spoken, np.ones(2 * _GUARD_HOPS + 1), "same") > 0
    quiet = np.sort(power[~near]) if (~near).sum() >= _LEAST_NOISE_HOPS else np.sort(power)[: count // 20 + 1]
    # The median, since a cough or a door is no noise floor.
    noise = float(np.median(quiet))
    voiced = float(np.mean(power[spoken]))
    snr = _db(max(voiced - noise, 1e-12)) - _db(max(noise, 1e-10))
    return SpeechMeasures(speech, min(snr, 80.0), _db(voiced))


def _tidy(spoken: Bools) -> Bools:
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


def log_mel(pcm: Pcm, times_s: Doubles, bands: int = 24) -> Doubles:
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


def _hertz(mel: Doubles) -> Doubles:
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float64)


MOST_LAG_S = 0.52
LEAST_SPEECH_S = 6.0
SURE_OF = 0.25
"""The correlation from which the mouth is taken to follow the sound."""
_RIDGE = 30.0
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class SyncOffset:
    """`late_s` seconds the sound comes after the picture (negative: before it); `sure` whether the mouth
    follows the sound well enough to measure that; `correlation` at that lag, `unshifted` without one."""

    late_s: float
    sure: bool
    correlation: float
    unshifted: float


def measure_offset(track: FaceTrack, pcm: Pcm, speech: tuple[Span, ...]) -> SyncOffset:
    """The offset between sound (16 kHz) and mouth, from where somebody speaks and a face is seen."""
    fps, count = track.fps, len(track)
    reach = round(MOST_LAG_S * fps)
    wanted = flagged([(a - 0.3, b + 0.3) for a, b in speech], count, fps) & track.present
    wanted[: reach + 1] = wanted[max(count - reach - 1, 0) :] = False
    rows = np.flatnonzero(wanted)
    if len(rows) < LEAST_SPEECH_S * fps:
        return SyncOffset(0.0, False, 0.0, 0.0)
    mouth = _mouth(track)
    sound = _steady(log_mel(pcm, np.arange(count) / fps + 0.5 / fps), round(2 * fps))
    features = sound[rows]
    features = (features - features.mean(0)) / (features.std(0) + 1e-6)
    lags = np.arange(-reach, reach + 1)
    # The mouth at row - lag beside the sound at row: late sound belongs to an earlier mouth.
    shapes = np.concatenate([mouth[rows - lag] for lag in lags], axis=1)
    found = _predictability(features, shapes).reshape(len(lags), mouth.shape[1]).mean(1)
    best = int(np.argmax(found))
    late = float(lags[best])
    if 0 < best < len(lags) - 1:
        left, top, right = found[best - 1 : best + 2]
        bend = left - 2 * top + right
        late += 0.5 * float((left - right) / bend) if bend < 0 else 0.0
    far = np.abs(lags - lags[best]) * 1.0 / fps > 0.16
    stands_out = float(found[best] - found[far].max()) if far.any() else 0.0
    sure = bool(found[best] > SURE_OF and stands_out > 0.03)
    return SyncOffset(late / fps, sure, float(found[best]), float(found[reach]))


def _mouth(track: FaceTrack) -> Doubles:
    """[n, 3]: opening, height of the lips, width; high-pass filtered, gaps interpolated."""
    columns = []
    for series in (
        mouth_opening(track.landmarks),
        lips_height(track.landmarks),
        mouth_width(track.landmarks),
    ):
        known = np.flatnonzero(np.isfinite(series))
        columns.append(np.interp(np.arange(len(series)), known, series[known]))
    return _steady(np.stack(columns, 1), round(track.fps))


def _steady(values: Doubles, half: int) -> Doubles:
    """Values less their mean over `half` frames on either side."""
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    return np.asarray(values - (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1), np.float64)


def _predictability(inputs: Doubles, outputs: Doubles) -> Doubles:
    """The correlation of each column of `outputs` with its cross-validated prediction, five folds."""
    predicted = np.empty_like(outputs)
    fold = np.arange(len(inputs)) * _FOLDS // len(inputs)
    for number in range(_FOLDS):
        train, test = inputs[fold != number], inputs[fold == number]
        wanted = outputs[fold != number]
        level = wanted.mean(0)
        weights = np.linalg.solve(
            train.T @ train + _RIDGE * np.eye(train.shape[1]), train.T @ (wanted - level)
        )
        predicted[fold == number] = test @ weights + level
    predicted -= predicted.mean(0)
    centred = outputs - outputs.mean(0)
    norms = np.sqrt((predicted**2).sum(0) * (centred**2).sum(0))
    return np.asarray((predicted * centred).sum(0) / np.maximum(norms, 1e-12), np.float64)
