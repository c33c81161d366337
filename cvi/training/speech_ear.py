"""How one person's mouth sounds, read through a speech recognizer's encoder.

A ridge regression on the encoder's features and on what the shipped map hears in them, to what the footage
shows. It foretells lips on stretches left out of the fit much better than the last layer of a small network
can (`cvi.training.ear`); that one is learned as well, for conversations and for where the encoder is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.base import Controls
from cvi.face.sound_mouth import SHAPES
from cvi.face.speech_mouth import SpeechEncoder, SpeechMap, in_context, shipped_map
from cvi.training.ear import FITTED
from cvi.training.metrics import correlation

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_COLUMNS = [SHAPES.index(name) for name in FITTED]
_RIDGES = (0.3, 1.0, 3.0)
_HEARD = 10.0
"""How much cheaper it is to follow what the shipped map hears than any feature: of 0, 3, 10 and 30 the one
that foretold held-out lips of three real speakers best (`scripts/measure_ears FILM --tune`)."""
_LAGS = (-3, -2, -1, 0, 1, 2, 3)
_LAG_PAYS = 0.02
"""So much correlation a lag must bring: mouths shape a sound a little before it is heard, which is no lag."""
FOLDS = 4
_LEAST, _MOST = 200, 3000
"""Frames to learn from; of more a part is taken, evenly."""
_MOST_STRETCH = 1.8


@dataclass(frozen=True, slots=True)
class SpeechEar:
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


def learn_speech_ear(
    encoder: SpeechEncoder, pcm: Pcm, shown: Floats, used: Bools, fps: float
) -> SpeechEar | None:
    """`pcm` the film's sound, int16 at PLAYED_HZ; `shown` (n, FITTED) what the mouth did in each frame, 0..1;
    `used` (n,) frames with speech to learn from. None where there are too few."""
    count = len(shown)
    frames = np.flatnonzero(used)
    if len(frames) < _LEAST:
        return None
    frames = frames[:: -(-len(frames) // _MOST)]
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
        return correlation(lags[lag][:, 0], answers(lag)[:, 0]) - (_LAG_PAYS if lag else 0.0)

    lag = max(_LAGS, key=worth)
    wanted = answers(lag)
    foretold = {ridge: fit.left_out(wanted, here, ridge) for ridge in _RIDGES}
    ridge = max(_RIDGES, key=lambda ridge: correlation(foretold[ridge][:, 0], wanted[:, 0]))
    heard = foretold[ridge]
    # What was never heard is foretold too meekly: stretched to move as much as the truth.
    stretch = np.clip(wanted.std(0) / np.maximum(heard.std(0), 1e-6), 1.0, _MOST_STRETCH)
    return SpeechEar(
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
