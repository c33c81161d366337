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
    FloorWeights,
    SignWeight,
    log_odds,
    shipped_weights,
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "language model": ("words",),
    "punctuation": ("punctuation",),
    "hesitation": ("hesitation",),
    "turn model": ("voice",),
    "pitch": ("pitch_slope",),
    "loudness": ("level_end",),
}
"""The witnesses, each a group of signs."""
EXPECTED: Mapping[str, float] = {
    "words": 0.8,
    "punctuation": 0.3,
    "hesitation": -0.8,
    "voice": 0.2,
    "pitch_slope": -1.4,
    "level_end": -0.3,
}
"""What each sign is worth for one spread of it before rows are counted: its direction as research has it
(Gravano and Hirschberg, 2011), words and melody most. The sizes were chosen with the labelled pauses at
hand."""
TAUGHT_WORDS = ("callers", "texts")
"""Sources that are no recordings of people."""
WORD_SIGNS = ("words", "punctuation", "hesitation")
PRIOR = 90.0
"""How many rows it takes until a sign's own weight counts as much as the expected one."""
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
    """The last judged pause of each labelled silence. Of synthetic callers the words alone: how their voices
    end says nothing of people's."""
    found = [
        (pause, _words_alone(pause) if decision.source in TAUGHT_WORDS else signs_of(pause), decision)
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


def _words_alone(pause: HeardPause) -> dict[str, float]:
    return {name: value for name, value in pause.signs.items() if name in WORD_SIGNS}


def fit_weights(
    rows: FloorRows, names: Sequence[str], chosen: npt.NDArray[np.bool_] | None = None
) -> FloorWeights:
    """Weights of the signs `names`, fitted on the `chosen` rows (all) that are recordings of people; without
    both ends and holds of those, on all of them. The offset is that of all kinds of rows, which weigh the
    same, and so do ends and holds.

    Needs both kinds among the rows.
    """
    keep = np.ones(len(rows.signs), bool) if chosen is None else chosen
    sources = np.array(rows.sources)
    people = keep & ~np.isin(sources, TAUGHT_WORDS)
    base = people if len(set(rows.is_end[people])) == 2 else keep
    values = np.array([[one.get(name, math.nan) for name in names] for one in rows.signs])
    known = ~np.isnan(values[base])
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values[base], 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values[base] - mean) ** 2, 0.0).sum(axis=0) / count)
    # A sign that is seldom there says no more than others.
    spread = np.where(spread < 1e-6, 1.0, np.maximum(spread, _LEAST_SPREAD))
    x = np.nan_to_num((values - mean) / spread)
    expected = np.array([EXPECTED.get(name, 0.0) for name in names])
    ones = np.ones((int(base.sum()), 1))
    ends = rows.is_end[base]
    w = logistic_regression(np.hstack([x[base], ones]), ends.astype(float), balanced(ends), expected)[:-1]
    w = np.where(expected * w < 0, 0.0, w)
    kinds = [
        keep & (sources == name) if name in TAUGHT_WORDS else people for name in ("people", *TAUGHT_WORDS)
    ]
    kinds = [kind for kind in kinds if len(set(rows.is_end[kind])) == 2]
    scale, offset = _calibration([x[kind] @ w for kind in kinds], [rows.is_end[kind] for kind in kinds])
    w = scale * w
    weights = {
        name: SignWeight(float(w[i]), float(mean[i]), float(spread[i])) for i, name in enumerate(names)
    }
    return FloorWeights(offset, weights)


def _calibration(sums: Sequence[Floats], ends: Sequence[npt.NDArray[np.bool_]]) -> tuple[float, float]:
    """What sums of contributions are multiplied by, and the offset, for probabilities that hold in all
    kinds of rows taken together (Platt, "Probabilistic outputs for support vector machines", 1999)."""
    x, y = np.concatenate(sums), np.concatenate(ends)
    balance = np.concatenate([balanced(one) * len(y) / (len(ends) * len(one)) for one in ends])
    scale, offset = logistic_regression(
        np.column_stack([x, np.ones(len(x))]), y.astype(float), balance, np.ones(1), prior=1.0
    )
    return max(float(scale), 0.0), float(offset)


def _logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def balanced(is_end: npt.NDArray[np.bool_]) -> Floats:
    """A weight for each row, so that ends and holds together weigh the same."""
    ends, holds = max(is_end.sum(), 1), max((~is_end).sum(), 1)
    return np.asarray(np.where(is_end, 0.5 * len(is_end) / ends, 0.5 * len(is_end) / holds))


def logistic_regression(
    x: Floats, y: Floats, balance: Floats, expected: Floats, prior: float = PRIOR
) -> Floats:
    """Weights by Newton's method, drawn towards `expected`; the last column of `x` is the offset, which no
    prior holds."""
    centre = np.append(expected, 0.0)
    weights = centre.copy()
    hold = prior * np.eye(len(weights)) / 4
    hold[-1, -1] = 1e-6
    for _ in range(40):
        p = _logistic(x @ weights)
        slope = x.T @ (balance * (p - y)) + hold @ (weights - centre)
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


def usable_signs(rows: FloorRows) -> list[str]:
    """The signs that are fitted and that the rows have."""
    names = [name for group in GROUPS.values() for name in group]
    return [name for name in names if any(name in one for one in rows.signs)]


def score_pauses(decisions: Sequence[Decision]) -> None:
    """Write into every pause what the fusion makes of it: `ours` by the shipped weights, `unseen` by weights
    that were fitted on these recordings without its own."""
    shipped = shipped_weights()
    for pause in (pause for decision in decisions for pause in decision.pauses if pause.signs):
        pause.scores["ours"] = shipped.probability(signs_of(pause))
    rows = floor_rows(decisions)
    fold = folds(rows.groups, FOLDS)
    by_group = dict(zip(rows.groups, fold, strict=True))
    names = usable_signs(rows)
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
