"""How one person's mouth sounds: the sound-driven mouth, its last layer learned anew from their footage.

The mouth that is read from sound alone (`cvi.face.sound_mouth`) was learned from synthetic voices. What it
has learned to hear serves for everybody; what it makes of that is fitted here to one person, not farther from
the shipped weights than pays on stretches of the footage that were left out of the fit.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.sound_features import HOP_S, WINDOW, ReferenceLevel, band_levels_db, inputs, loudness_db
from cvi.face.sound_mouth import SHAPES, MouthNetwork, shipped_network

FITTED = ("jaw", "wide", "round")
"""What footage shows plainly. Tongue and contacts stay as they were shipped."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_COLUMNS = [SHAPES.index(name) for name in FITTED]
_STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""How dearly a weight pays for leaving its shipped value: the best is chosen for each person."""
_LAGS = (-3, -2, -1, 0, 1, 2, 3)
_LAG_PAYS = 0.03
"""So much correlation a lag must bring: mouths shape a sound a little before it is heard, which is no lag."""
_FOLDS = 6
_STEPS = 8
_KERNEL = (0.309, 0.79, 1.0, 0.79, 0.309)
"""As `SoundMouth.at` weighs the frames of 10 ms around a moment."""
_LEAST = 200
"""Frames."""
_MOST_STRETCH = 2.0


@dataclass(frozen=True, slots=True)
class Ear:
    """`network` in place of the shipped one; `agreement` the correlation of heard and shown jaw on stretches
    left out of the fit, `before` the shipped network's there; `lag_frames` the picture lies behind the
    sound."""

    network: MouthNetwork
    agreement: float
    before: float
    lag_frames: int


def learn_ear(pcm: Pcm, shown: Floats, used: Bools, fps: float) -> Ear | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to learn from. None where there are too few or where it brings nothing."""
    frames = np.flatnonzero(used)
    if len(frames) < _LEAST:
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

    lag = max(_LAGS, key=lambda lag: score(lag, _STRENGTHS[2]) - (_LAG_PAYS if lag else 0.0))
    strength = max(_STRENGTHS, key=lambda strength: score(lag, strength))
    agreement, before = score(lag, strength), score(lag, None)
    if not agreement > before:
        return None
    x = _shifted(heard, lag)[frames]
    weights = _spread(x, shown[frames], _fitted(x, shown[frames], start, strength))
    out, bias = network.out.copy(), network.out_bias.copy()
    out[:, _COLUMNS], bias[_COLUMNS] = weights[:-1], weights[-1]
    return Ear(replace(network, out=out, out_bias=bias), agreement, before, lag)


def ear_bytes(ear: Ear) -> bytes:
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
