"""Fitting how the signs of a pause are weighed, and judging it on recordings that were not fitted on.

A row is the last pause of a labelled silence: its signs, and whether the turn was over. The regression is
logistic, with a normal prior around the weights that are expected; no weight changes its sign. A
cross-validation leaves whole recordings (speakers) out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.decisions import Decision, folds
from cvi.bench.layers.measurement import wins
from cvi.bench.layers.simulation import HeardPause
from cvi.turns.floor_prediction import (
    MELODY_SIGNS,
    FloorWeights,
    SignWeight,
    log_odds,
    shipped_weights,
)

DIRECTIONS: Mapping[str, int] = {
    "words": 1,
    "punctuation": 1,
    "hesitation": -1,
    "sentence": 1,
    "voice": 1,
    "pitch_slope": -1,
    "pitch_end": -1,
    "level_end": -1,
    "fading_s": 1,
}
"""The signs that are weighed: 1 where more of it makes an end likelier, as research has it (Gravano and
Hirschberg, 2011). A weight that comes out the other way is nothing but chance, and becomes 0."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "language model": ("words",),
    "punctuation": ("punctuation",),
    "hesitation": ("hesitation",),
    "sentence length": ("sentence",),
    "turn model": ("voice",),
    "pitch": ("pitch_slope", "pitch_end"),
    "loudness": ("level_end", "fading_s"),
}
"""The witnesses, each a group of signs."""
WORD_SIGNS = ("words", "punctuation", "hesitation")
TEACHES: Mapping[str, tuple[str, ...]] = {
    "callers": WORD_SIGNS,
    "texts": WORD_SIGNS,
    "speech": ("sentence", *MELODY_SIGNS),
}
"""The sources that are no labelled recordings of people, and the signs that they teach. How synthetic voices
end says nothing of people's. `speech` is people's, but its ends are those of sentences, as the recognizer
tells them from what follows, so that of words it teaches nothing."""
PRIOR = 20.0
"""How many rows it takes until a sign's own weight counts as much as none."""
LEAST_ROWS = 100
"""A sign that fewer rows have is measured and not weighed."""
_LEAST_SPREAD = 0.3
FOLDS = 1000
"""More than there are recordings: each is left out alone."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FloorRows:
    """Pauses with their signs, their label, and the group that is left out together."""

    pauses: tuple[HeardPause, ...]
    signs: tuple[Mapping[str, float], ...]
    is_end: npt.NDArray[np.bool_]
    groups: tuple[str, ...]
    sources: tuple[str, ...]


def floor_rows(decisions: Iterable[Decision]) -> FloorRows:
    """The last judged pause of each labelled silence, with the signs that its source teaches."""
    found = [
        (pause, _taught(signs_of(pause), decision.source), decision)
        for decision in decisions
        for pause in [p for p in decision.pauses if p.signs][-1:]
    ]
    return FloorRows(
        tuple(pause for pause, _, _ in found),
        tuple(signs for _, signs, _ in found),
        np.array([decision.is_end for _, _, decision in found], bool),
        tuple(decision.group for _, _, decision in found),
        tuple(decision.source for _, _, decision in found),
    )


def signs_of(pause: HeardPause) -> dict[str, float]:
    """All signs of a pause, the turn model's among them."""
    return pause.signs if pause.voice is None else {**pause.signs, "voice": log_odds(pause.voice)}


def _taught(signs: Mapping[str, float], source: str) -> Mapping[str, float]:
    taught = TEACHES.get(source)
    return signs if taught is None else {name: signs[name] for name in taught if name in signs}


def fit_weights(
    rows: FloorRows, names: Sequence[str], chosen: npt.NDArray[np.bool_] | None = None
) -> FloorWeights:
    """Weights of the signs `names`, fitted on the `chosen` rows (all), which must hold ends and holds.

    Every row counts once, but ends and holds of a kind of rows weigh the same. A sign that a row does not
    have counts as its mean.
    """
    keep = np.ones(len(rows.signs), bool) if chosen is None else chosen
    values = np.array([[one.get(name, math.nan) for name in names] for one in rows.signs])[keep]
    ends, sources = rows.is_end[keep], np.array(rows.sources)[keep]
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    # A sign that is seldom there says no more than others.
    spread = np.where(spread < 1e-6, 1.0, np.maximum(spread, _LEAST_SPREAD * np.isin(names, WORD_SIGNS)))
    x = np.nan_to_num((values - mean) / spread)
    balance = np.zeros(len(ends))
    for source in set(sources):
        here = sources == source if source in TEACHES else ~np.isin(sources, tuple(TEACHES))
        balance[here] = balanced(ends[here])
    direction = np.array([DIRECTIONS[name] for name in names])
    allowed = np.ones(len(names), bool)
    while True:
        fitted = logistic_regression(_with_offset(x[:, allowed]), ends.astype(float), balance)
        w = np.zeros(len(names))
        w[allowed] = fitted[:-1]
        if not (wrong := allowed & (w * direction < 0)).any():
            break
        allowed &= ~wrong
    weights = {
        name: SignWeight(float(w[i]), float(mean[i]), float(spread[i])) for i, name in enumerate(names)
    }
    return FloorWeights(float(fitted[-1]), weights)


def _with_offset(x: Floats) -> Floats:
    return np.hstack([x, np.ones((len(x), 1))])


def _logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def balanced(is_end: npt.NDArray[np.bool_]) -> Floats:
    """A weight for each row, so that ends and holds together weigh the same."""
    ends, holds = max(is_end.sum(), 1), max((~is_end).sum(), 1)
    return np.asarray(np.where(is_end, 0.5 * len(is_end) / ends, 0.5 * len(is_end) / holds))


def logistic_regression(x: Floats, y: Floats, balance: Floats, prior: float = PRIOR) -> Floats:
    """Weights by Newton's method, drawn towards 0; the last column of `x` is the offset, which is not."""
    weights = np.zeros(x.shape[1])
    hold = prior * np.eye(len(weights)) / 4
    hold[-1, -1] = 1e-6
    for _ in range(40):
        p = _logistic(x @ weights)
        slope = x.T @ (balance * (p - y)) + hold @ weights
        curve = (x.T * (balance * p * (1 - p))) @ x + hold
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def unseen_probabilities(rows: FloorRows, names: Sequence[str]) -> Floats:
    """Each row's probability by weights fitted on the other recordings alone; NaN where that cannot be."""
    fold = folds(rows.groups, FOLDS)
    p = np.full(len(rows.signs), math.nan)
    for k in range(max(fold, default=-1) + 1):
        seen, unseen = fold != k, fold == k
        if unseen.any() and len(set(rows.is_end[seen])) == 2:
            weights = fit_weights(rows, names, seen)
            for index in np.flatnonzero(unseen):
                p[index] = weights.probability(rows.signs[index])
    return p


def usable_signs(rows: FloorRows, least: int = 1) -> list[str]:
    """The signs that may be weighed and that at least so many rows have."""
    return [name for name in DIRECTIONS if sum(name in one for one in rows.signs) >= least]


def weighed_signs(rows: FloorRows) -> list[str]:
    """The signs that enough rows have; all, where these are few rows."""
    return usable_signs(rows, min(LEAST_ROWS, len(rows.signs)))


def score_pauses(decisions: Sequence[Decision]) -> None:
    """Write into every pause what the fusion makes of it: `ours` by the shipped weights, `unseen` by weights
    that were fitted on these recordings without its own."""
    shipped = shipped_weights()
    for pause in (pause for decision in decisions for pause in decision.pauses if pause.signs):
        pause.scores["ours"] = shipped.probability(signs_of(pause))
    rows = floor_rows(decisions)
    fold = folds(rows.groups, FOLDS)
    by_group = dict(zip(rows.groups, fold, strict=True))
    names = weighed_signs(rows)
    for k in range(max(fold, default=-1) + 1):
        seen = fold != k
        if len(set(rows.is_end[seen])) < 2:
            continue
        weights = fit_weights(rows, names, seen)
        for decision in decisions:
            if by_group.get(decision.group) == k:
                for pause in decision.pauses:
                    if pause.signs:
                        pause.scores["unseen"] = weights.probability(signs_of(pause))


def auc(is_end: npt.NDArray[np.bool_], p: Floats) -> float:
    """Chance that an end's probability is above a hold's, among rows that have one."""
    known = ~np.isnan(p)
    ends, holds = p[known & is_end], p[known & ~is_end]
    return float(wins(list(ends), list(holds)).mean()) if len(ends) and len(holds) else math.nan


def log_loss(is_end: npt.NDArray[np.bool_], p: Floats) -> float:
    """Mean of -log of the probability given to what was so."""
    known = ~np.isnan(p)
    q = np.clip(p[known], 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(is_end[known], np.log(q), np.log(1 - q)))) if known.any() else math.nan


def reliability(
    is_end: npt.NDArray[np.bool_], p: Floats, bins: int = 5
) -> list[tuple[float, float, float, float, int]]:
    """For each range of probabilities: its bounds, the mean given, the share that were ends, how many.

    Ends and holds weigh the same, as in fitting: how often either comes depends on who talks to whom.
    """
    table: list[tuple[float, float, float, float, int]] = []
    known = ~np.isnan(p)
    is_end, p = is_end[known], p[known]
    weights = balanced(is_end)
    for k in range(bins):
        low, high = k / bins, (k + 1) / bins
        here = (p >= low) & ((p < high) | (k == bins - 1))
        if here.any():
            given, were = (float(np.average(v[here], weights=weights[here])) for v in (p, is_end))
            table.append((low, high, given, were, int(here.sum())))
    return table


def auc_interval(
    rows: FloorRows, p: Floats, here: npt.NDArray[np.bool_], draws: int = 500
) -> tuple[float, float]:
    """The 95 % interval of `auc` over the rows `here`, whole recordings drawn anew."""
    rng = np.random.default_rng(0)
    groups = np.array(rows.groups)
    members = [np.flatnonzero(here & (groups == name)) for name in sorted(set(groups[here]))]
    values = []
    for _ in range(draws):
        drawn = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        values.append(auc(rows.is_end[drawn], p[drawn]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
