"""By how much sound and picture are apart, from how well the one foretells the other.

For every lag a linear map from the sound of a moment to the mouth at that moment is learned on four fifths
of the film and tried on the fifth; the lag at which the mouth is foretold best is the offset. It needs no
trained network, and is only sure where the mouth follows the sound at all. The map sees 40 ms of sound and
no more: given the neighbours too it foretells a little better, but at every lag, and the offset of a film
that was 160 ms late came out anywhere from 97 to 227 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.training.grading.faults import Span
from cvi.training.grading.geometry import lips_height, mouth_opening, mouth_width
from cvi.training.grading.sound import log_mel
from cvi.training.grading.spans import flagged
from cvi.training.landmarks import Track

MOST_LAG_S = 0.52
LEAST_SPEECH_S = 6.0
SURE_OF = 0.25
"""The correlation that says that the mouth follows the sound at all."""
_RIDGE = 30.0
_FOLDS = 5

Series = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Offset:
    """`late_s` by how much the sound comes after the picture (negative: before it); `sure` whether the mouth
    follows the sound well enough to tell; `correlation` at that lag, `unshifted` with the film as it is."""

    late_s: float
    sure: bool
    correlation: float
    unshifted: float


def measure_offset(track: Track, pcm: Pcm, speech: tuple[Span, ...]) -> Offset:
    """Compare sound (16 kHz) and mouth where somebody speaks and the face is seen."""
    fps, count = track.fps, len(track)
    reach = round(MOST_LAG_S * fps)
    wanted = flagged([(a - 0.3, b + 0.3) for a, b in speech], count, fps) & track.present
    wanted[: reach + 1] = wanted[max(count - reach - 1, 0) :] = False
    rows = np.flatnonzero(wanted)
    if len(rows) < LEAST_SPEECH_S * fps:
        return Offset(0.0, False, 0.0, 0.0)
    mouth = _mouth(track)
    sound = _steady(log_mel(pcm, np.arange(count) / fps + 0.5 / fps), round(2 * fps))
    heard = sound[rows]
    heard = (heard - heard.mean(0)) / (heard.std(0) + 1e-6)
    lags = np.arange(-reach, reach + 1)
    # The mouth at row - lag beside the sound at row: sound that comes late belongs to an earlier mouth.
    shapes = np.concatenate([mouth[rows - lag] for lag in lags], axis=1)
    found = _foretold(heard, shapes).reshape(len(lags), mouth.shape[1]).mean(1)
    best = int(np.argmax(found))
    late = float(lags[best])
    if 0 < best < len(lags) - 1:
        left, top, right = found[best - 1 : best + 2]
        bend = left - 2 * top + right
        late += 0.5 * float((left - right) / bend) if bend < 0 else 0.0
    apart = np.abs(lags - lags[best]) * 1.0 / fps > 0.16
    stands_out = float(found[best] - found[apart].max()) if apart.any() else 0.0
    sure = bool(found[best] > SURE_OF and stands_out > 0.03)
    return Offset(late / fps, sure, float(found[best]), float(found[reach]))


def _mouth(track: Track) -> Series:
    """[n, 3]: opening, height of the lips, width; slow changes taken away, gaps bridged."""
    columns = []
    for series in (
        mouth_opening(track.landmarks),
        lips_height(track.landmarks),
        mouth_width(track.landmarks),
    ):
        known = np.flatnonzero(np.isfinite(series))
        columns.append(np.interp(np.arange(len(series)), known, series[known]))
    return _steady(np.stack(columns, 1), round(track.fps))


def _steady(values: Series, half: int) -> Series:
    """What is left when the mean over `half` frames on either side is taken away."""
    padded = np.pad(values, ((half + 1, half), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    return np.asarray(values - (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1), np.float64)


def _foretold(inputs: Series, outputs: Series) -> Series:
    """For each column of `outputs`, how its prediction correlates with it, a fifth foretold by the rest."""
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
