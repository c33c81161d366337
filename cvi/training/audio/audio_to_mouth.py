"""Audio-to-mouth models fitted to one person: from band levels, and from a speech recognizer's encoder.

The shipped models (`cvi.face.sound_mouth`, `cvi.face.speech_mouth`) were learned from synthetic voices. Of
the band model only the last layer is fitted anew, held near the shipped weights by a strength that is chosen
on stretches left out of the fit. The encoder model is a ridge regression on the encoder's features and on the
shipped map's predictions; it predicts the lips of unheard stretches much better. The band model serves live
conversations, and machines without the encoder.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.base import Controls
from cvi.face.sound_mouth import (
    HOP_S,
    SHAPES,
    WINDOW,
    MouthNetwork,
    ReferenceLevel,
    band_levels_db,
    inputs,
    loudness_db,
    shipped_network,
)
from cvi.face.speech_mouth import SpeechEncoder, SpeechMap, in_context, shipped_map
from cvi.training.arrays import Bools, Doubles, Floats
from cvi.training.evaluation.quality_metrics import correlation

FITTED = ("jaw", "wide", "round")
"""Controls that footage shows clearly. Tongue and lip contacts keep the shipped weights."""


_COLUMNS = [SHAPES.index(name) for name in FITTED]
_STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""Penalties for leaving the shipped weights; the best is chosen for each person."""
_LAGS = (-3, -2, -1, 0, 1, 2, 3)
_LEAST_LAG_GAIN = 0.03
"""Correlation that a lag must add: mouths shape a sound a little before it is heard, without any lag."""
_FOLDS = 6
_STEPS = 8
_KERNEL = (0.309, 0.79, 1.0, 0.79, 0.309)
"""As `SoundMouth.at` weighs the frames of 10 ms around a moment."""
_LEAST_FRAMES = 200
_MOST_STRETCH = 2.0
FOLDS = 4
"""Parts of the film in the encoder model's cross-validation."""
_RIDGES = (0.3, 1.0, 3.0)
_SHIPPED_WEIGHT = 10.0
"""Weight of the shipped map's predictions among the inputs: of 0, 3, 10 and 30 the one that predicted
held-out lips of three real speakers best (`scripts/measure_mouth_models FILM --tune`)."""
_LEAST_ENCODER_LAG_GAIN = 0.02
_MOST_FRAMES = 3000
"""Of more frames than this an evenly spaced part is taken."""
_MOST_ENCODER_STRETCH = 1.8


@dataclass(frozen=True, slots=True)
class BandMouthModel:
    """`network` replaces the shipped one; `agreement` the correlation of predicted and shown jaw on stretches
    left out of the fit, `before` the shipped network's; `lag_frames` by which the picture is behind the
    sound."""

    network: MouthNetwork
    agreement: float
    before: float
    lag_frames: int


def fit_band_model(pcm: Pcm, shown: Floats, used: Bools, fps: float) -> BandMouthModel | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to fit to. None where they are too few or the fit is no better."""
    frames = np.flatnonzero(used)
    if len(frames) < _LEAST_FRAMES:
        return None
    network = shipped_network()
    hidden = _hidden_layer(pcm, len(shown), fps, network)
    folds = np.minimum(np.arange(len(frames)) * _FOLDS // len(frames), _FOLDS - 1)
    start = np.vstack([network.out, network.out_bias])[:, _COLUMNS].astype(np.float64)

    def score(lag: int, strength: float | None) -> float:
        x = _shifted(hidden, lag)[frames]
        y = shown[frames]
        values = np.empty(len(frames))
        for fold in range(_FOLDS):
            out = folds == fold
            weights = start if strength is None else _fitted(x[~out], y[~out], start, strength)
            values[out] = _sigmoid(x[out] @ weights)[:, 0]
        return float(np.corrcoef(values, y[:, 0])[0, 1])

    lag = max(_LAGS, key=lambda lag: score(lag, _STRENGTHS[2]) - (_LEAST_LAG_GAIN if lag else 0.0))
    strength = max(_STRENGTHS, key=lambda strength: score(lag, strength))
    agreement, before = score(lag, strength), score(lag, None)
    if not agreement > before:
        return None
    x = _shifted(hidden, lag)[frames]
    weights = _spread(x, shown[frames], _fitted(x, shown[frames], start, strength))
    out, bias = network.out.copy(), network.out_bias.copy()
    out[:, _COLUMNS], bias[_COLUMNS] = weights[:-1], weights[-1]
    return BandMouthModel(replace(network, out=out, out_bias=bias), agreement, before, lag)


def band_model_bytes(model: BandMouthModel) -> bytes:
    """The network as an .npz file."""
    stream = io.BytesIO()
    parts = {name: np.asarray(getattr(model.network, name), np.float32) for name in MouthNetwork.__slots__}
    np.savez_compressed(stream, **parts)  # type: ignore[arg-type]
    return stream.getvalue()


def _hidden_layer(pcm: Pcm, count: int, fps: float, network: MouthNetwork) -> Doubles:
    """The hidden layer at each frame's middle, and a constant 1: (count, hidden + 1)."""
    levels = band_levels_db(np.concatenate([np.zeros(WINDOW // 2, np.int16), pcm]))
    reference = ReferenceLevel().update(loudness_db(levels).astype(np.float64))
    inner = np.tanh(inputs(levels, reference) @ network.hidden + network.hidden_bias)
    middles = np.rint((np.arange(count) + 0.5) / fps / HOP_S).astype(int)
    total = np.zeros((count, inner.shape[1]))
    for offset, weight in zip(range(-2, 3), _KERNEL, strict=True):
        total += weight * inner[np.clip(middles + offset, 0, len(inner) - 1)]
    return np.hstack([total / sum(_KERNEL), np.ones((count, 1))])


def _shifted(hidden: Doubles, lag: int) -> Doubles:
    """The rows of `lag` frames before."""
    return hidden[np.clip(np.arange(len(hidden)) - lag, 0, len(hidden) - 1)]


def _fitted(x: Doubles, y: Floats, start: Doubles, strength: float) -> Doubles:
    """Gauss-Newton least squares through the sigmoid, regularized towards `start`."""
    weights = start.copy()
    penalty = strength * np.eye(x.shape[1])
    for _ in range(_STEPS):
        answer = _sigmoid(x @ weights)
        for column in range(y.shape[1]):
            slope = x * (answer[:, column] * (1 - answer[:, column]))[:, None]
            pull = slope.T @ (y[:, column] - answer[:, column]) / len(x)
            pull -= strength * (weights[:, column] - start[:, column])
            weights[:, column] += np.linalg.solve(slope.T @ slope / len(x) + penalty, pull)
    return weights


def _spread(x: Doubles, y: Floats, weights: Doubles) -> Doubles:
    """The weights scaled so that each output varies as much as the truth, about the truth's mean."""
    out = weights.copy()
    for column in range(y.shape[1]):
        for _ in range(6):
            raw = x @ out[:, column]
            answer = _sigmoid(raw)
            slope = max(float((answer * (1 - answer)).mean()), 1e-3)
            gain = min(max(float(y[:, column].std() / max(answer.std(), 1e-6)), 0.8), 1.25)
            before = max(float(np.linalg.norm(weights[:-1, column])), 1e-9)
            gain = min(gain, _MOST_STRETCH * before / float(np.linalg.norm(out[:-1, column])))
            out[:, column] *= gain
            out[-1, column] += (1 - gain) * raw.mean() + float(y[:, column].mean() - answer.mean()) / slope
    return out


def _sigmoid(x: Doubles) -> Doubles:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -30, 30))))


@dataclass(frozen=True, slots=True)
class EncoderMouthModel:
    """`mapping` replaces the shipped one; `agreement` the correlation of predicted and shown jaw on stretches
    left out of the fit, `before` the shipped map's; `lag_frames` by which the picture is behind the sound.

    `fold_mappings`: FOLDS maps, each fitted without one part of the film; `fold` (n,) the part a frame is in.
    """

    mapping: SpeechMap
    agreement: float
    before: float
    lag_frames: int
    fold_mappings: tuple[SpeechMap, ...]
    fold: npt.NDArray[np.intp]

    def held_out(self, controls_of: Callable[[SpeechMap], list[Controls]]) -> list[Controls]:
        """The controls of each frame by the map that was fitted without it."""
        parts = [controls_of(mapping) for mapping in self.fold_mappings]
        return [parts[number][index] for index, number in enumerate(self.fold.tolist())]


def fit_encoder_model(
    encoder: SpeechEncoder, pcm: Pcm, shown: Floats, used: Bools, fps: float
) -> EncoderMouthModel | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to fit to. None where they are too few."""
    count = len(shown)
    frames = np.flatnonzero(used)
    if len(frames) < _LEAST_FRAMES:
        return None
    frames = frames[:: -(-len(frames) // _MOST_FRAMES)]
    fold = np.zeros(count, np.intp)
    for number, part in enumerate(np.array_split(frames, FOLDS)):
        fold[part[0] :] = number
    features = encoder.features(pcm)
    seen = in_context(features, (np.arange(count) + 0.5) / fps)
    fit = _RidgeFit(seen[frames], shipped_map())
    frame_fold = fold[frames]

    def targets(lag: int) -> Floats:
        return shown[np.clip(frames + lag, 0, count - 1)]

    lags = {lag: fit.left_out(targets(lag), frame_fold, _RIDGES[1]) for lag in _LAGS}

    def score_of(lag: int) -> float:
        return correlation(lags[lag][:, 0], targets(lag)[:, 0]) - (_LEAST_ENCODER_LAG_GAIN if lag else 0.0)

    lag = max(_LAGS, key=score_of)
    truth = targets(lag)
    predicted = {ridge: fit.left_out(truth, frame_fold, ridge) for ridge in _RIDGES}
    ridge = max(_RIDGES, key=lambda ridge: correlation(predicted[ridge][:, 0], truth[:, 0]))
    best = predicted[ridge]
    # Predictions for unheard sound vary too little: scaled to vary as much as the truth.
    stretch = np.clip(truth.std(0) / np.maximum(best.std(0), 1e-6), 1.0, _MOST_ENCODER_STRETCH)
    return EncoderMouthModel(
        mapping=fit.mapping(truth, np.ones(len(frames), np.bool_), ridge, stretch),
        agreement=correlation(best[:, 0], truth[:, 0]),
        before=correlation(fit.shipped[:, 0], truth[:, 0]),
        lag_frames=lag,
        fold_mappings=tuple(fit.mapping(truth, frame_fold != k, ridge, stretch) for k in range(FOLDS)),
        fold=fold,
    )


class _RidgeFit:
    """Ridge regressions of several targets on one sound's features (m, d), whose Gram matrix is computed
    once."""

    def __init__(self, seen: Floats, start: SpeechMap) -> None:
        self._start = start
        self.shipped = seen @ start.weights + start.bias
        self._mean, self._spread = seen.mean(0), seen.std(0) + 1e-3
        self._shipped_mean, self._shipped_spread = self.shipped.mean(0), self.shipped.std(0) + 1e-3
        self._scaled = (seen - self._mean) / self._spread
        self._scaled_shipped = _SHIPPED_WEIGHT * (self.shipped - self._shipped_mean) / self._shipped_spread
        width = seen.shape[1]
        self._gram = (
            (self._scaled @ self._scaled.T + self._scaled_shipped @ self._scaled_shipped.T) / width
        ).astype(np.float64)
        self._width = width

    def left_out(self, targets: Floats, fold: npt.NDArray[np.intp], ridge: float) -> Doubles:
        """The prediction of each row by a fit without its fold, (m, k)."""
        out = np.empty(targets.shape)
        for number in range(FOLDS):
            rest, part = fold != number, fold == number
            solved, middle = self._solved(targets, rest, ridge)
            out[part] = self._gram[np.ix_(part, rest)] @ solved + middle
        return out

    def mapping(self, targets: Floats, rows: Bools, ridge: float, stretch: Doubles) -> SpeechMap:
        """The fit as a map of the features; controls that are not fitted keep the shipped weights."""
        solved, middle = self._solved(targets, rows, ridge)
        direct = self._scaled[rows].T @ solved / self._width / self._spread[:, None]
        through = (
            _SHIPPED_WEIGHT
            * (self._scaled_shipped[rows].T @ solved)
            / self._width
            / self._shipped_spread[:, None]
        )
        whole = (direct + self._start.weights @ through) * stretch
        at_mean = self._mean @ whole
        weights, bias = self._start.weights.copy(), self._start.bias.copy()
        weights[:, _COLUMNS], bias[_COLUMNS] = whole, middle - at_mean
        return SpeechMap(weights.astype(np.float32), bias.astype(np.float32))

    def _solved(self, targets: Floats, rows: Bools, ridge: float) -> tuple[Doubles, Doubles]:
        chosen = targets[rows].astype(np.float64)
        middle = chosen.mean(0)
        gram = self._gram[np.ix_(rows, rows)] + ridge * np.eye(int(rows.sum()))
        return np.linalg.solve(gram, chosen - middle), middle
