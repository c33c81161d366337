"""How one person's mouth sounds: the sound-driven mouth, its last layer learned anew from their footage.

The mouth that is read from sound alone (`cvi.face.sound_mouth`) was learned from synthetic voices. What it
has learned to hear serves for everybody; what it makes of that is fitted here to one person, not farther from
the shipped weights than pays on stretches of the footage that were left out of the fit.


TODO How one person's mouth sounds, read through a speech recognizer's encoder.

A ridge regression on the encoder's features and on what the shipped map hears in them, to what the footage
shows. It foretells lips on stretches left out of the fit much better than the last layer of a small network
can (`cvi.training.audio.audio_to_mouth`); that one is learned as well, for conversations and for where the
encoder is not.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.base import Controls
from cvi.face.sound_features import HOP_S, WINDOW, ReferenceLevel, band_levels_db, inputs, loudness_db
from cvi.face.sound_mouth import SHAPES, MouthNetwork, shipped_network
from cvi.face.speech_mouth import SpeechEncoder, SpeechMap, in_context, shipped_map
from cvi.training.evaluation.quality_metrics import correlation

FITTED = ("jaw", "wide", "round")
"""What footage shows plainly. Tongue and contacts stay as they were shipped."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_COLUMNS = [SHAPES.index(name) for name in FITTED]
_STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""How dearly a weight pays for leaving its shipped value: the best is chosen for each person."""
_LAGS = (-3, -2, -1, 0, 1, 2, 3)
_LEAST_LAG_GAIN = 0.03
"""So much correlation a lag must bring: mouths shape a sound a little before it is heard, which is no lag."""
_FOLDS = 6
_STEPS = 8
_KERNEL = (0.309, 0.79, 1.0, 0.79, 0.309)
"""As `SoundMouth.at` weighs the frames of 10 ms around a moment."""
_LEAST_FRAMES = 200
"""Frames."""
_MOST_STRETCH = 2.0


@dataclass(frozen=True, slots=True)
class BandMouthModel:
    """`network` in place of the shipped one; `agreement` the correlation of heard and shown jaw on stretches
    left out of the fit, `before` the shipped network's there; `lag_frames` the picture lies behind the
    sound."""

    network: MouthNetwork
    agreement: float
    before: float
    lag_frames: int


def fit_band_model(pcm: Pcm, shown: Floats, used: Bools, fps: float) -> BandMouthModel | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to learn from. None where there are too few or where it brings nothing."""
    frames = np.flatnonzero(used)
    if len(frames) < _LEAST_FRAMES:
        return None
    network = shipped_network()
    heard = _heard(pcm, len(shown), fps, network)
    folds = np.minimum(np.arange(len(frames)) * _FOLDS // len(frames), _FOLDS - 1)
    start = np.vstack([network.out, network.out_bias])[:, _COLUMNS].astype(np.float64)

    def score(lag: int, strength: float | None) -> float:
        x = _shifted(heard, lag)[frames]
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
    x = _shifted(heard, lag)[frames]
    weights = _spread(x, shown[frames], _fitted(x, shown[frames], start, strength))
    out, bias = network.out.copy(), network.out_bias.copy()
    out[:, _COLUMNS], bias[_COLUMNS] = weights[:-1], weights[-1]
    return BandMouthModel(replace(network, out=out, out_bias=bias), agreement, before, lag)


def band_model_bytes(ear: BandMouthModel) -> bytes:
    """As it is stored."""
    stream = io.BytesIO()
    parts = {name: np.asarray(getattr(ear.network, name), np.float32) for name in MouthNetwork.__slots__}
    np.savez_compressed(stream, **parts)  # type: ignore[arg-type]
    return stream.getvalue()


def _heard(pcm: Pcm, count: int, fps: float, network: MouthNetwork) -> Doubles:
    """The hidden layer at each frame's middle, and a one: (count, hidden + 1)."""
    levels = band_levels_db(np.concatenate([np.zeros(WINDOW // 2, np.int16), pcm]))
    reference = ReferenceLevel().update(loudness_db(levels).astype(np.float64))
    inner = np.tanh(inputs(levels, reference) @ network.hidden + network.hidden_bias)
    middles = np.rint((np.arange(count) + 0.5) / fps / HOP_S).astype(int)
    total = np.zeros((count, inner.shape[1]))
    for offset, weight in zip(range(-2, 3), _KERNEL, strict=True):
        total += weight * inner[np.clip(middles + offset, 0, len(inner) - 1)]
    return np.hstack([total / sum(_KERNEL), np.ones((count, 1))])


def _shifted(heard: Doubles, lag: int) -> Doubles:
    """What was heard `lag` frames before."""
    return heard[np.clip(np.arange(len(heard)) - lag, 0, len(heard) - 1)]


def _fitted(x: Doubles, y: Floats, start: Doubles, strength: float) -> Doubles:
    """Least squares through the sigmoid by Gauss and Newton, held back towards `start`."""
    weights = start.copy()
    hold = strength * np.eye(x.shape[1])
    for _ in range(_STEPS):
        answer = _sigmoid(x @ weights)
        for column in range(y.shape[1]):
            slope = x * (answer[:, column] * (1 - answer[:, column]))[:, None]
            pull = slope.T @ (y[:, column] - answer[:, column]) / len(x)
            pull -= strength * (weights[:, column] - start[:, column])
            weights[:, column] += np.linalg.solve(slope.T @ slope / len(x) + hold, pull)
    return weights


def _spread(x: Doubles, y: Floats, weights: Doubles) -> Doubles:
    """The weights so stretched that each answer varies as much as the truth, about the truth's mean."""
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


_RIDGES = (0.3, 1.0, 3.0)
_HEARD = 10.0
"""How much cheaper it is to follow what the shipped map hears than any feature: of 0, 3, 10 and 30 the one
that foretold held-out lips of three real speakers best (`scripts/measure_ears FILM --tune`)."""
_LEAST_ENCODER_LAG_GAIN = 0.02
FOLDS = 4
_MOST_FRAMES = 3000
"""Of more frames than this an evenly spaced part is taken."""
_MOST_ENCODER_STRETCH = 1.8


@dataclass(frozen=True, slots=True)
class EncoderMouthModel:
    """`mapping` in place of the shipped one; `agreement` the correlation of heard and shown jaw on stretches
    left out of the fit, `before` the shipped map's there; `lag_frames` the picture lies behind the sound.

    `apart`: FOLDS maps, each fitted without its part of the film, and `fold` (n,) which part a frame is in:
    what is learned from their hearing is not learned from lips that they know.
    """

    mapping: SpeechMap
    agreement: float
    before: float
    lag_frames: int
    apart: tuple[SpeechMap, ...]
    fold: npt.NDArray[np.intp]

    def unknowing(self, hear: Callable[[SpeechMap], list[Controls]]) -> list[Controls]:
        """What `hear` makes of each frame by the map that was fitted without it."""
        parts = [hear(mapping) for mapping in self.apart]
        return [parts[number][index] for index, number in enumerate(self.fold.tolist())]


def fit_encoder_model(
    encoder: SpeechEncoder, pcm: Pcm, shown: Floats, used: Bools, fps: float
) -> EncoderMouthModel | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to learn from. None where there are too few."""
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
    fit = _Fit(seen[frames], shipped_map())
    here = fold[frames]

    def answers(lag: int) -> Floats:
        return shown[np.clip(frames + lag, 0, count - 1)]

    lags = {lag: fit.left_out(answers(lag), here, _RIDGES[1]) for lag in _LAGS}

    def worth(lag: int) -> float:
        return correlation(lags[lag][:, 0], answers(lag)[:, 0]) - (_LEAST_ENCODER_LAG_GAIN if lag else 0.0)

    lag = max(_LAGS, key=worth)
    wanted = answers(lag)
    foretold = {ridge: fit.left_out(wanted, here, ridge) for ridge in _RIDGES}
    ridge = max(_RIDGES, key=lambda ridge: correlation(foretold[ridge][:, 0], wanted[:, 0]))
    heard = foretold[ridge]
    # What was never heard is foretold too meekly: stretched to move as much as the truth.
    stretch = np.clip(wanted.std(0) / np.maximum(heard.std(0), 1e-6), 1.0, _MOST_ENCODER_STRETCH)
    return EncoderMouthModel(
        mapping=fit.mapping(wanted, np.ones(len(frames), np.bool_), ridge, stretch),
        agreement=correlation(heard[:, 0], wanted[:, 0]),
        before=correlation(fit.shipped[:, 0], wanted[:, 0]),
        lag_frames=lag,
        apart=tuple(fit.mapping(wanted, here != k, ridge, stretch) for k in range(FOLDS)),
        fold=fold,
    )


class _Fit:
    """Ridge regressions of many answers on one sound (m, d): its Gram matrix is made once."""

    def __init__(self, seen: Floats, start: SpeechMap) -> None:
        self._start = start
        self.shipped = seen @ start.weights + start.bias
        self._mean, self._spread = seen.mean(0), seen.std(0) + 1e-3
        self._heard_mean, self._heard_spread = self.shipped.mean(0), self.shipped.std(0) + 1e-3
        self._seen = (seen - self._mean) / self._spread
        self._heard = _HEARD * (self.shipped - self._heard_mean) / self._heard_spread
        width = seen.shape[1]
        self._gram = ((self._seen @ self._seen.T + self._heard @ self._heard.T) / width).astype(np.float64)
        self._width = width

    def left_out(self, answers: Floats, fold: npt.NDArray[np.intp], ridge: float) -> Doubles:
        """What is foretold of each row by a fit without its fold, (m, k)."""
        out = np.empty(answers.shape)
        for number in range(FOLDS):
            rest, part = fold != number, fold == number
            solved, middle = self._solved(answers, rest, ridge)
            out[part] = self._gram[np.ix_(part, rest)] @ solved + middle
        return out

    def mapping(self, answers: Floats, rows: Bools, ridge: float, stretch: Doubles) -> SpeechMap:
        """The fit as a map of plain features; what is not fitted stays as shipped."""
        solved, middle = self._solved(answers, rows, ridge)
        direct = self._seen[rows].T @ solved / self._width / self._spread[:, None]
        through = _HEARD * (self._heard[rows].T @ solved) / self._width / self._heard_spread[:, None]
        whole = (direct + self._start.weights @ through) * stretch
        at_mean = self._mean @ whole
        weights, bias = self._start.weights.copy(), self._start.bias.copy()
        weights[:, _COLUMNS], bias[_COLUMNS] = whole, middle - at_mean
        return SpeechMap(weights.astype(np.float32), bias.astype(np.float32))

    def _solved(self, answers: Floats, rows: Bools, ridge: float) -> tuple[Doubles, Doubles]:
        chosen = answers[rows].astype(np.float64)
        middle = chosen.mean(0)
        gram = self._gram[np.ix_(rows, rows)] + ridge * np.eye(int(rows.sum()))
        return np.linalg.solve(gram, chosen - middle), middle
