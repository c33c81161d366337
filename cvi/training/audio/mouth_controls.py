"""What the control vector means for one person: learned from their footage.

How far the jaw opens and the corners spread is seen in the footage itself; which mouth goes with that is a
small regression on it, through the resting mouth. The sound (or the phones, where the script is known) gives
what the driver asks of any face: its requests are so scaled that this mouth moves as much as the person's
does. Closed lips are not left to a regression: where the driver has them met, they are this person's closed
lips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.neural.mouth_map import HINTS, JAW_SQUARED, JAW_TERMS, SPOKEN_TERM, TERMS, MouthMap, terms
from cvi.training.evaluation.quality_metrics import correlation
from cvi.training.footage.mouth_space import MouthSpace, corner_lift, opening, width

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_RIDGE = 0.02
_MOST_LAG_FRAMES = 4
_LAG_PAYS = 0.02
"""So much less a lag must leave unexplained: mouths shape a sound a little before it is heard."""
_FULL, _FEW = 0.98, 0.02
"""Quantiles of what the footage shows that count as a mouth wide open, spread and pursed."""
_OPEN_ASKED = 0.8
"""What the driver asks for an open vowel that is stressed; `jaw` 1 is a shout."""
_HELD = 0.1
"""How dearly the regression on teeth and tongue pays: they are hardly seen."""
_LEAST_SMILE = 0.012
"""Of the face's width: corners that rise less in all the footage are no smile."""
_UNHEARD = 0.87
"""An ear that fits frames it was not fitted to opened lips 0.89, 1.24 and 1.34 times as far as the truth's in
what was held out of three films."""
_LEAST_SPOKEN, _LEAST_REST = 25, 6
"""Frames."""
_TOGETHER = 0.12
"""Of the way from closed lips to wide open: lips nearer than this count as together."""
_ANY, _OWN = (4.0, 0.3), (1.2, 0.2)
"""The largest gain and floor of the jaw. An ear that moves as much as the person needs little: unbounded,
lips opened 1.15 and 1.36 times as far as the truth's in unheard speech of two of three films."""


@dataclass(frozen=True, slots=True)
class LearnedMouth:
    """`lag_frames` the picture lies behind the sound in the footage; `agreement` correlation of the asked
    and the shown opening in training; `smiled` whether the footage showed a smile. A jaw asked for is taken
    `gain` times, and `floor` more wherever anything is said."""

    mouth: MouthMap
    lag_frames: int
    agreement: float
    smiled: bool
    gain: float
    floor: float


def check_spoken(frames: int) -> None:
    """Raises UsageError where too few frames are spoken to learn a mouth from."""
    if frames < _LEAST_SPOKEN:
        raise UsageError(
            "Hardly any speech is heard in this footage.",
            "Film a minute of clear speech, near the microphone.",
        )


def learn_mouth(
    space: MouthSpace,
    mouth: Floats,
    controls: Sequence[Controls],
    train: Bools,
    voiced: Bools,
    own: bool = False,
) -> LearnedMouth:
    """`mouth` (n, k) coefficients shown, `controls` n asked, `train` and `voiced` bool (n,). `own` says that
    what is asked is in this person's terms already (`shown_controls`), and needs little scaling.

    Raises UsageError for footage in which hardly anything is said.
    """
    shown = opening(space.decode(mouth))
    rest, closed = _rest(mouth, shown, train, voiced), _closed(mouth, shown, train)
    gauge = shown_controls(space, mouth, train, rest)
    x = np.stack([terms(control) for control in controls])
    lag = _lag(x, mouth - rest, train & voiced)
    # Row i of the asked belongs to frame i + lag of the shown.
    frames = np.flatnonzero(train & voiced)
    frames = frames[(frames - lag >= 0) & (frames - lag < len(x))]
    check_spoken(len(frames))
    seen = np.stack([terms(_controls(row)) for row in gauge[train]])
    weights = _ridge(seen, mouth[train] - rest)
    near = [controls[int(frame) - lag] for frame in frames]
    drawn = MouthMap(
        rest=rest,
        closed=closed,
        weights=weights.astype(np.float32),
        smile=np.zeros_like(rest),
        least=_edge(mouth[train], 0.002, -0.15),
        most=_edge(mouth[train], 0.998, 0.15),
        reach=_reach(mouth[train], rest, closed),
    )
    gain, floor = _opened(drawn, near, space, shown[frames], *(_OWN if own else _ANY))
    drawn = replace(drawn, weights=scaled_jaw(drawn.weights, gain, floor))
    drawn = _hinted(drawn, near, mouth[frames])
    smile = _smile(space, mouth[train], shown[train])
    agreement = correlation(_openings(drawn, near, space), shown[frames])
    whole = replace(drawn, smile=smile)
    return LearnedMouth(whole, lag, agreement, bool(np.any(smile)), gain, floor)


def jaw_scale_for(
    learned: LearnedMouth, space: MouthSpace, mouth: Floats, controls: Sequence[Controls], used: Bools
) -> tuple[float, float]:
    """Gain and floor of the jaw that an ear should ask for of a mouth that was learned for phones: its lips
    open as far as the person's in the frames `used` (n,), about the same mean."""
    frames = np.flatnonzero(used)
    frames = frames[(frames - learned.lag_frames >= 0) & (frames - learned.lag_frames < len(controls))]
    near = [controls[int(frame) - learned.lag_frames] for frame in frames]
    moves = float(_openings(learned.mouth, near, space).std())
    fits = float(opening(space.decode(mouth[frames])).std()) / max(moves, 1e-6)
    gain = _UNHEARD * min(max(fits, 0.7), _OWN[0])
    return gain, (1 - gain) * float(np.mean([control.jaw for control in near]))


def shown_controls(space: MouthSpace, mouth: Floats, train: Bools, rest: Floats) -> Floats:
    """What the mouth did in each frame in the driver's own terms, (n, 3): `jaw`, `wide` and `round`."""
    points = space.decode(mouth)
    still = space.decode(rest[None])
    gap, across = opening(points), width(points)
    low, usual = float(opening(still)[0]), float(width(still)[0])
    high = float(np.quantile(gap[train], _FULL))
    spread, pursed = np.quantile(across[train], (_FULL, _FEW))
    least = 1e-3
    jaw = (gap - low) / max(high - low, least)
    wide = (across - usual) / max(float(spread) - usual, least)
    purse = (usual - across) / max(usual - float(pursed), least)
    return np.asarray(np.clip(np.stack([_OPEN_ASKED * jaw, wide, purse], 1), 0, 1), np.float32)


def resting_mouth(space: MouthSpace, mouth: Floats, train: Bools, voiced: Bools) -> Floats:
    """The mouth that waits, (k,)."""
    return _rest(mouth, opening(space.decode(mouth)), train, voiced)


def _ridge(x: Floats, y: Floats) -> npt.NDArray[np.float64]:
    """Through the origin: no asking is rest."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.asarray(np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y))


def _lag(x: Floats, y: Floats, used: Bools) -> int:
    """The shift at which the asked explains the shown best."""
    scores: list[tuple[float, int, int]] = []
    none = 1 - _LAG_PAYS
    for lag in range(-_MOST_LAG_FRAMES, _MOST_LAG_FRAMES + 1):
        frames = np.flatnonzero(used)
        frames = frames[(frames - lag >= 0) & (frames - lag < len(x))]
        if len(frames) < 20:
            return 0
        here, there = x[frames - lag], y[frames]
        left = there - here @ _ridge(here, there)
        scores.append((float((left**2).sum()) / len(frames) * (none if lag == 0 else 1.0), abs(lag), lag))
    return min(scores)[2]


def _opened(
    mouth: MouthMap,
    controls: Sequence[Controls],
    space: MouthSpace,
    shown: Floats,
    most_gain: float,
    most_floor: float,
) -> tuple[float, float]:
    """Gain and floor for a driver that asks for more or less than the person shows: with them lips open as
    far, and as far in the mean, as the person's."""
    gain, floor = 1.0, 0.0
    fitted = mouth
    for _ in range(8):
        openings = _openings(fitted, controls, space)
        factor = float(shown.std()) / max(float(openings.std()), 1e-6)
        gain = min(gain * min(max(factor, 0.7), 1.4), most_gain)
        fitted = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor))
        openings = _openings(fitted, controls, space)
        # Of the whole opening the jaw's linear term makes the most.
        higher = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor + 0.05))
        slope = float((_openings(higher, controls, space) - openings).mean()) / 0.05
        if slope > 1e-6:
            floor += min(max(float(shown.mean() - openings.mean()) / slope, -0.1), 0.1)
        floor = min(max(floor, -most_floor), most_floor)
        fitted = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor))
    return gain, floor


def scaled_jaw(weights: Floats, gain: float, floor: float) -> Floats:
    """The weights with `jaw` taken `gain` times, and `floor` of it wherever anything is said."""
    jaw = np.zeros(TERMS, np.float32)
    jaw[list(JAW_TERMS)] = 1.0
    squares = np.zeros(TERMS, np.float32)
    squares[JAW_SQUARED] = 1.0
    out = weights * (1 + (gain - 1) * jaw + (gain**2 - 1) * squares)[:, None]
    out[SPOKEN_TERM] += floor * weights[JAW_TERMS[0]]
    return np.asarray(out, np.float32)


def _hinted(mouth: MouthMap, controls: Sequence[Controls], shown: Floats) -> MouthMap:
    """With what is left for the lip at the teeth and the tongue to explain."""
    rows = list(HINTS)
    x = np.stack([terms(control) for control in controls])[:, rows].astype(np.float64)
    left = shown - np.stack([mouth(control) for control in controls])
    found = np.linalg.solve(x.T @ x + _HELD * len(x) * np.eye(len(rows)), x.T @ left)
    weights = mouth.weights.copy()
    weights[rows] = found
    return replace(mouth, weights=weights)


def _controls(gauge: Floats) -> Controls:
    jaw, wide, purse = (float(value) for value in gauge)
    return Controls(jaw=jaw, wide=wide, round=purse)


def _openings(mouth: MouthMap, controls: Sequence[Controls], space: MouthSpace) -> Floats:
    return opening(space.decode(np.stack([mouth(control) for control in controls])))


def _rest(mouth: Floats, shown: Floats, train: Bools, voiced: Bools) -> Floats:
    """The mouth that waits: lips together and still, in silence where the footage has it.

    Who draws breath between two sentences is silent with parted lips: that is no rest.
    """
    frames = np.flatnonzero(train)
    low, high = np.quantile(shown[frames], (0.02, 0.98))
    together = frames[shown[frames] <= low + _TOGETHER * (high - low)]
    silent = together[~voiced[together]]
    chosen = silent if len(silent) >= _LEAST_REST else together
    moving = np.zeros(len(shown))
    moving[1:-1] = np.abs(shown[2:] - shown[:-2])
    few = max(_LEAST_REST, len(chosen) // 3)
    stillest = chosen[np.argsort(moving[chosen], kind="stable")[:few]]
    return np.asarray(np.median(mouth[stillest], axis=0), np.float32)


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
