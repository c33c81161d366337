"""What the control vector means for one person: learned from their footage.

The sound (or the phones, where the script is known) gives what the driver would ask of any face; the
footage shows what this face did. A small regression joins the two. Regressions answer weakly where they are
unsure, and a mouth that barely opens is the most common fault of talking heads: so the answer's spread is
brought back to the person's own. Closed lips are not left to a regression at all: where the driver has them
met, they are this person's closed lips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.driver import MouthDriver
from cvi.face.loudness import FRAME_S, levels_db
from cvi.face.neural.mouth_map import SPOKEN_TERM, MouthMap, terms
from cvi.replica.shape import MouthSpace, corner_lift, opening
from cvi.tts.base import Phone

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_RIDGE = 0.02
_MOST_LAG_FRAMES = 4
_UNSURE = 0.4
"""Below this correlation a component's weak answer is not made stronger: it would be noise."""
_LEAST_SMILE = 0.012
"""Of the face's width: corners that rise less in all the footage are no smile."""
_LEAST_SPOKEN = 25
"""Frames."""
_VOICED_DB, _QUIET_DB = -26.0, -50.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Sound from `start_s` on, with its phones' times counted from there; no phones: the sound alone."""

    start_s: float
    pcm: Pcm
    phones: tuple[Phone, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """`lag_frames` the picture lies behind the sound in the footage; `agreement` correlation of the asked
    and the shown opening in training; `smiled` whether the footage showed a smile."""

    mouth: MouthMap
    lag_frames: int
    agreement: float
    smiled: bool


def asked(utterances: Sequence[Utterance], count: int, fps: float) -> list[Controls]:
    """What the driver asks of a face in each of `count` frames, of their middles."""
    driver = MouthDriver()
    for utterance in utterances:
        driver.append(utterance.phones, utterance.pcm, utterance.start_s)
    shapes = [driver.mouth_at((index + 0.5) / fps) for index in range(count)]
    return [
        Controls(jaw=s.jaw, wide=s.wide, round=s.round, press=s.press, tuck=s.tuck, tongue=s.tongue)
        for s in shapes
    ]


def voiced_frames(pcm: Pcm, count: int, fps: float) -> Bools:
    """In which frames the person speaks; `pcm` at PLAYED_HZ. Gaps shorter than 0.2 s count as speech."""
    levels = levels_db(pcm)
    out = np.zeros(count, np.bool_)
    if not len(levels):
        return out
    loud = float(np.percentile(levels, 90))
    heard = levels > max(loud + _VOICED_DB, _QUIET_DB)
    reach = round(0.1 / FRAME_S)
    near = np.convolve(heard, np.ones(2 * reach + 1), "same") > 0
    for index in range(count):
        first, end = round(index / fps / FRAME_S), round((index + 1) / fps / FRAME_S)
        out[index] = bool(near[first:end].any())
    return out


def learn_mouth(
    space: MouthSpace, mouth: Floats, controls: Sequence[Controls], train: Bools, voiced: Bools
) -> Learned:
    """`mouth` (n, k) coefficients shown, `controls` n asked, `train` and `voiced` bool (n,).

    Raises UsageError for footage in which hardly anything is said.
    """
    shown = opening(space.decode(mouth))
    rest, closed = _rest(mouth, shown, train, voiced), _closed(mouth, shown, train)
    x = np.stack([terms(control) for control in controls])
    lag = _lag(x, mouth - rest, train & voiced)
    # Row i of the asked belongs to frame i + lag of the shown.
    frames = np.flatnonzero(train & voiced)
    frames = frames[(frames - lag >= 0) & (frames - lag < len(x))]
    if len(frames) < _LEAST_SPOKEN:
        raise UsageError(
            "Hardly any speech is heard in this footage.",
            "Film a minute of clear speech, near the microphone.",
        )
    x, y = x[frames - lag], mouth[frames] - rest
    weak = _ridge(x, y)
    weights = _stretched(weak, x @ weak, _spread(x @ weak, y))
    drawn = MouthMap(
        rest=rest,
        closed=closed,
        weights=weights.astype(np.float32),
        smile=np.zeros_like(rest),
        least=_edge(mouth[train], 0.002, -0.15),
        most=_edge(mouth[train], 0.998, 0.15),
        reach=_reach(mouth[train], rest, closed),
    )
    near = [controls[int(frame) - lag] for frame in frames]
    drawn = _opened(drawn, near, space, shown[frames])
    smile = _smile(space, mouth[train], shown[train])
    agreement = _correlation(_openings(drawn, near, space), shown[frames])
    whole = replace(drawn, smile=smile)
    return Learned(whole, lag, agreement, bool(np.any(smile)))


def whole_sound(pcm: Pcm) -> list[Utterance]:
    """The film's sound without a script: one long utterance, read by ear."""
    assert pcm.ndim == 1
    return [Utterance(0.0, pcm)] if len(pcm) > PLAYED_HZ // 10 else []


def _ridge(x: Floats, y: Floats) -> npt.NDArray[np.float64]:
    """Through the origin: no asking is rest."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.asarray(np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y))


def _lag(x: Floats, y: Floats, used: Bools) -> int:
    """The shift at which the asked explains the shown best."""
    scores: list[tuple[float, int, int]] = []
    for lag in range(-_MOST_LAG_FRAMES, _MOST_LAG_FRAMES + 1):
        frames = np.flatnonzero(used)
        frames = frames[(frames - lag >= 0) & (frames - lag < len(x))]
        if len(frames) < 20:
            return 0
        here, there = x[frames - lag], y[frames]
        left = there - here @ _ridge(here, there)
        scores.append((float((left**2).sum()) / len(frames), abs(lag), lag))
    return min(scores)[2]


def _spread(answer: npt.NDArray[np.floating], truth: Floats) -> Floats:
    """For each component the factor that gives the answer the truth's deviation, (k,)."""
    gains = np.ones(truth.shape[1], np.float32)
    for k in range(truth.shape[1]):
        r = _correlation(answer[:, k], truth[:, k])
        if r > _UNSURE:
            gains[k] = min(float(truth[:, k].std() / max(answer[:, k].std(), 1e-6)), 1 / _UNSURE)
    return gains


def _stretched(
    weights: npt.NDArray[np.floating], answers: npt.NDArray[np.floating], gains: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Weights (TERMS, k) whose answers (n, k) vary by `gains` (k,) more, about the mean they have.

    The mean is put into the term that is 1 wherever anything is said, so that rest stays rest.
    """
    out = weights * gains
    out[SPOKEN_TERM] += (1 - gains) * answers.mean(0)
    return np.asarray(out)


def _opened(mouth: MouthMap, controls: Sequence[Controls], space: MouthSpace, shown: Floats) -> MouthMap:
    """The map, its weights so scaled that lips open as far as the person's."""
    for _ in range(4):
        deviation = float(_openings(mouth, controls, space).std())
        factor = min(max(float(shown.std()) / max(deviation, 1e-6), 0.7), 1.4)
        answers = np.stack([terms(control) for control in controls]) @ mouth.weights
        gains = np.full(answers.shape[1], factor)
        mouth = replace(mouth, weights=_stretched(mouth.weights, answers, gains).astype(np.float32))
    return mouth


def _openings(mouth: MouthMap, controls: Sequence[Controls], space: MouthSpace) -> Floats:
    return opening(space.decode(np.stack([mouth(control) for control in controls])))


def _rest(mouth: Floats, shown: Floats, train: Bools, voiced: Bools) -> Floats:
    """The mouth that waits: of the silent frames those with the lips nearest, or of all where none is."""
    silent = np.flatnonzero(train & ~voiced)
    frames = silent if len(silent) >= 12 else np.flatnonzero(train)
    few = max(6, len(frames) // (3 if len(silent) >= 12 else 20))
    nearest = frames[np.argsort(shown[frames], kind="stable")[:few]]
    return np.asarray(np.median(mouth[nearest], axis=0), np.float32)


def _closed(mouth: Floats, shown: Floats, train: Bools) -> Floats:
    """Lips together: the frames where they are nearest."""
    frames = np.flatnonzero(train)
    nearest = frames[np.argsort(shown[frames], kind="stable")[: max(5, len(frames) // 50)]]
    return np.asarray(mouth[nearest].mean(0), np.float32)


def _smile(space: MouthSpace, mouth: Floats, shown: Floats) -> Floats:
    """From an ordinary mouth to the broadest smile of the footage, at lips about as near; zeros where the
    footage shows none."""
    calm = shown <= np.percentile(shown, 40)
    if calm.sum() < 40:
        return np.zeros(mouth.shape[1], np.float32)
    shapes = mouth[calm]
    lift = corner_lift(space.decode(shapes))
    low, middle, high = np.percentile(lift, [35, 65, 97])
    if high - (low + middle) / 2 < _LEAST_SMILE:
        return np.zeros(mouth.shape[1], np.float32)
    ordinary = shapes[(lift >= low) & (lift <= middle)].mean(0)
    return np.asarray(shapes[lift >= high].mean(0) - ordinary, np.float32)


def _reach(mouth: Floats, rest: Floats, closed: Floats) -> Floats:
    """How far from rest this person's mouths go; closed lips are always within."""
    far = float(np.quantile(np.linalg.norm(mouth - rest, axis=1), 0.95))
    return np.array([max(far, 1.001 * float(np.linalg.norm(closed - rest)))], np.float32)


def _edge(values: Floats, quantile: float, margin: float) -> Floats:
    reach = np.quantile(values, 0.998, axis=0) - np.quantile(values, 0.002, axis=0)
    return np.asarray(np.quantile(values, quantile, axis=0) + margin * reach, np.float32)


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 3 or float(a.std()) < 1e-9 or float(b.std()) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
