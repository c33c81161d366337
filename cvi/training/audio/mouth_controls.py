"""What the control vector means for one person, learned from their footage.

How far the jaw opens and the corners spread is measured in the footage; the mouth's coefficients are a small
linear regression on that, through the resting mouth. The sound, or the script's phones, gives the controls
that the driver asks of any face; they are scaled so that this mouth moves as much as the person's does.
Closed lips are not regressed: where the driver asks for contact, the mouth is this person's closed lips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.neural.rig import HINTS, JAW_SQUARED, JAW_TERMS, SPOKEN_TERM, TERMS, MouthMap, terms
from cvi.training.arrays import Bools, Doubles, Floats
from cvi.training.evaluation.quality_metrics import correlation
from cvi.training.footage.mouth_space import MouthSpace, corner_lift, opening, width

_RIDGE = 0.02
_MOST_LAG_FRAMES = 4
_LAG_PAYS = 0.02
"""Share of the residual that a lag must remove: mouths shape a sound a little before it is heard."""
_FULL, _FEW = 0.98, 0.02
"""Quantiles of the footage that count as a mouth wide open, spread and pursed."""
_OPEN_ASKED = 0.8
"""The driver's `jaw` for a stressed open vowel; 1 is a shout."""
_HINT_RIDGE = 0.1
"""Penalty of the regression on teeth and tongue, which footage hardly shows."""
_LEAST_SMILE = 0.012
"""Face widths that the mouth's corners must rise by for a smile."""
_HELD_OUT_GAIN = 0.87
"""A model scaled to frames it was not fitted to opened lips 0.89, 1.24 and 1.34 times as far as the truth in
the held-out parts of three films."""
_LEAST_SPOKEN_FRAMES, _LEAST_REST_FRAMES = 25, 6
_TOGETHER = 0.12
"""Of the way from closed lips to wide open: lips nearer than this count as closed."""
_ANY, _OWN = (4.0, 0.3), (1.2, 0.2)
"""The largest gain and floor of the jaw: for any driver, and for a model fitted to this person, which needs
little: unbounded, lips opened 1.15 and 1.36 times as far as the truth in held-out speech of two of three
films."""


@dataclass(frozen=True, slots=True)
class LearnedMouth:
    """`lag_frames` by which the picture is behind the sound; `agreement` the correlation of requested and
    shown opening in training; `smiled` whether the footage has a smile. The requested jaw is multiplied by
    `gain`, and `floor` is added while anything is said."""

    mouth: MouthMap
    lag_frames: int
    agreement: float
    smiled: bool
    gain: float
    floor: float


def check_spoken(frames: int) -> None:
    """Raise UsageError where too few frames have speech to learn a mouth from."""
    if frames < _LEAST_SPOKEN_FRAMES:
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
    """Fit the map from controls to mouths. `mouth` (n, k) coefficients shown, `controls` n requested, `train`
    and `voiced` bool (n,). `own` says that the controls come from a model fitted to this person
    (`shown_controls`) and need little scaling.

    Raises UsageError for footage in which hardly anything is said.
    """
    shown = opening(space.decode(mouth))
    rest, closed = _rest(mouth, shown, train, voiced), _closed(mouth, shown, train)
    gauge = shown_controls(space, mouth, train, rest)
    x = np.stack([terms(control) for control in controls])
    lag = _lag(x, mouth - rest, train & voiced)
    # Request i belongs to shown frame i + lag.
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
    gain, floor = _jaw_scale(drawn, near, space, shown[frames], *(_OWN if own else _ANY))
    drawn = replace(drawn, weights=scaled_jaw(drawn.weights, gain, floor))
    drawn = _hinted(drawn, near, mouth[frames])
    smile = _smile(space, mouth[train], shown[train])
    agreement = correlation(_openings(drawn, near, space), shown[frames])
    whole = replace(drawn, smile=smile)
    return LearnedMouth(whole, lag, agreement, bool(np.any(smile)), gain, floor)


def jaw_scale_for(
    learned: LearnedMouth, space: MouthSpace, mouth: Floats, controls: Sequence[Controls], used: Bools
) -> tuple[float, float]:
    """Gain and floor of the jaw for an audio-to-mouth model whose controls go to a mouth learned from phones:
    the lips then open as far as the person's in the frames `used` (n,), about the same mean."""
    frames = np.flatnonzero(used)
    frames = frames[(frames - learned.lag_frames >= 0) & (frames - learned.lag_frames < len(controls))]
    near = [controls[int(frame) - learned.lag_frames] for frame in frames]
    moves = float(_openings(learned.mouth, near, space).std())
    fits = float(opening(space.decode(mouth[frames])).std()) / max(moves, 1e-6)
    gain = _HELD_OUT_GAIN * min(max(fits, 0.7), _OWN[0])
    return gain, (1 - gain) * float(np.mean([control.jaw for control in near]))


def shown_controls(space: MouthSpace, mouth: Floats, train: Bools, rest: Floats) -> Floats:
    """What the mouth did in each frame, as the driver's controls `jaw`, `wide` and `round`: (n, 3), 0..1."""
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
    """The resting mouth's coefficients, (k,)."""
    return _rest(mouth, opening(space.decode(mouth)), train, voiced)


def _ridge(x: Floats, y: Floats) -> Doubles:
    """Ridge regression through the origin: zero controls are the resting mouth."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.asarray(np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y))


def _lag(x: Floats, y: Floats, used: Bools) -> int:
    """The lag at which the requested controls explain the shown mouths best."""
    scores: list[tuple[float, int, int]] = []
    none = 1 - _LAG_PAYS
    for lag in range(-_MOST_LAG_FRAMES, _MOST_LAG_FRAMES + 1):
        frames = np.flatnonzero(used)
        frames = frames[(frames - lag >= 0) & (frames - lag < len(x))]
        if len(frames) < 20:
            return 0
        requested, shown = x[frames - lag], y[frames]
        residual = shown - requested @ _ridge(requested, shown)
        scores.append((float((residual**2).sum()) / len(frames) * (none if lag == 0 else 1.0), abs(lag), lag))
    return min(scores)[2]


def _jaw_scale(
    mouth: MouthMap,
    controls: Sequence[Controls],
    space: MouthSpace,
    shown: Floats,
    most_gain: float,
    most_floor: float,
) -> tuple[float, float]:
    """Gain and floor with which the lips vary as much, and open as far in the mean, as the person's."""
    gain, floor = 1.0, 0.0
    fitted = mouth
    for _ in range(8):
        openings = _openings(fitted, controls, space)
        factor = float(shown.std()) / max(float(openings.std()), 1e-6)
        gain = min(gain * min(max(factor, 0.7), 1.4), most_gain)
        fitted = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor))
        openings = _openings(fitted, controls, space)
        higher = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor + 0.05))
        slope = float((_openings(higher, controls, space) - openings).mean()) / 0.05
        if slope > 1e-6:
            floor += min(max(float(shown.mean() - openings.mean()) / slope, -0.1), 0.1)
        floor = min(max(floor, -most_floor), most_floor)
        fitted = replace(mouth, weights=scaled_jaw(mouth.weights, gain, floor))
    return gain, floor


def scaled_jaw(weights: Floats, gain: float, floor: float) -> Floats:
    """The map's weights with `jaw` multiplied by `gain`, and `floor` of it added while anything is said."""
    jaw = np.zeros(TERMS, np.float32)
    jaw[list(JAW_TERMS)] = 1.0
    squares = np.zeros(TERMS, np.float32)
    squares[JAW_SQUARED] = 1.0
    out = weights * (1 + (gain - 1) * jaw + (gain**2 - 1) * squares)[:, None]
    out[SPOKEN_TERM] += floor * weights[JAW_TERMS[0]]
    return np.asarray(out, np.float32)


def _hinted(mouth: MouthMap, controls: Sequence[Controls], shown: Floats) -> MouthMap:
    """The map with the residual regressed on the lip at the teeth and the tongue."""
    rows = list(HINTS)
    x = np.stack([terms(control) for control in controls])[:, rows].astype(np.float64)
    residual = shown - np.stack([mouth(control) for control in controls])
    found = np.linalg.solve(x.T @ x + _HINT_RIDGE * len(x) * np.eye(len(rows)), x.T @ residual)
    weights = mouth.weights.copy()
    weights[rows] = found
    return replace(mouth, weights=weights)


def _controls(gauge: Floats) -> Controls:
    jaw, wide, purse = (float(value) for value in gauge)
    return Controls(jaw=jaw, wide=wide, round=purse)


def _openings(mouth: MouthMap, controls: Sequence[Controls], space: MouthSpace) -> Floats:
    return opening(space.decode(np.stack([mouth(control) for control in controls])))


def _rest(mouth: Floats, shown: Floats, train: Bools, voiced: Bools) -> Floats:
    """The resting mouth: lips closed and still, in silence where the footage has it. Silence alone is not
    enough, since lips are parted while drawing breath."""
    frames = np.flatnonzero(train)
    low, high = np.quantile(shown[frames], (0.02, 0.98))
    together = frames[shown[frames] <= low + _TOGETHER * (high - low)]
    silent = together[~voiced[together]]
    chosen = silent if len(silent) >= _LEAST_REST_FRAMES else together
    moving = np.zeros(len(shown))
    moving[1:-1] = np.abs(shown[2:] - shown[:-2])
    few = max(_LEAST_REST_FRAMES, len(chosen) // 3)
    stillest = chosen[np.argsort(moving[chosen], kind="stable")[:few]]
    return np.asarray(np.median(mouth[stillest], axis=0), np.float32)


def _closed(mouth: Floats, shown: Floats, train: Bools) -> Floats:
    """Closed lips: the mean of the frames in which they are nearest."""
    frames = np.flatnonzero(train)
    nearest = frames[np.argsort(shown[frames], kind="stable")[: max(5, len(frames) // 50)]]
    return np.asarray(mouth[nearest].mean(0), np.float32)


def _smile(space: MouthSpace, mouth: Floats, shown: Floats) -> Floats:
    """The difference from a neutral mouth to the broadest smiles, at nearly closed lips; zeros where the
    footage has no smile."""
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
    """How far from rest this person's mouths go, (1,); closed lips are always within."""
    far = float(np.quantile(np.linalg.norm(mouth - rest, axis=1), 0.95))
    return np.array([max(far, 1.001 * float(np.linalg.norm(closed - rest)))], np.float32)


def _edge(values: Floats, quantile: float, margin: float) -> Floats:
    reach = np.quantile(values, 0.998, axis=0) - np.quantile(values, 0.002, axis=0)
    return np.asarray(np.quantile(values, quantile, axis=0) + margin * reach, np.float32)
