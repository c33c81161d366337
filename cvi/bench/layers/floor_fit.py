"""Fitting how the signs of a pause are weighed, and judging it on recordings that were not fitted on.

A row is the last pause of a labelled silence: its signs, and whether the turn was over. The regression is
logistic with a prior that holds the weights near zero, and those of signs whose direction is known on their
side of it. A cross-validation leaves whole recordings (speakers) out.
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
    "prosody": ("pitch_slope", "level_end"),
}
"""The witnesses, each a group of signs."""
DIRECTIONS: Mapping[str, int] = {
    "words": 1,
    "punctuation": 1,
    "voice": 1,
    "hesitation": -1,
    "level_end": -1,
    "pitch_end": -1,
    "lengthening": 1,
}
"""Where research is of one mind what a sign means: +1 more of it ends turns, -1 fewer."""
TAUGHT_WORDS = ("callers", "texts")
"""Sources that are no recordings of people."""
WORD_SIGNS = ("words", "punctuation", "hesitation")
PRIOR = 10.0
"""Few recordings are labelled: a sign must show itself in many rows to be given a large weight."""
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
    """Weights of the signs `names`, fitted on the `chosen` rows (all). Both kinds weigh the same.

    Needs both kinds among the rows.
    """
    keep = np.ones(len(rows.signs), bool) if chosen is None else chosen
    signs = [one for one, use in zip(rows.signs, keep, strict=True) if use]
    y = rows.is_end[keep].astype(float)
    values = np.array([[one.get(name, math.nan) for name in names] for one in signs])
    mean = np.nan_to_num(np.nanmean(values, axis=0)) if len(values) else np.zeros(len(names))
    spread = np.nan_to_num(np.nanstd(values, axis=0), nan=1.0)
    spread = np.where(spread < 1e-6, 1.0, spread)
    x = np.nan_to_num((values - mean) / spread)
    balance = np.where(y == 1, 0.5 * len(y) / max(y.sum(), 1), 0.5 * len(y) / max(len(y) - y.sum(), 1))
    directions = np.array([DIRECTIONS.get(name, 0) for name in names])
    free = np.ones(len(names), bool)
    while True:
        w = logistic_regression(np.column_stack([x[:, free], np.ones(len(x))]), y, balance)
        full = np.zeros(len(names))
        full[free] = w[:-1]
        wrong = free & (directions * full < 0)
        if not wrong.any():
            break
        free &= ~wrong
    weights = {
        name: SignWeight(float(full[i]), float(mean[i]), float(spread[i])) for i, name in enumerate(names)
    }
    return FloorWeights(float(w[-1]), weights)


def logistic_regression(x: Floats, y: Floats, balance: Floats, prior: float = PRIOR) -> Floats:
    """Weights by Newton's method; the last column is the offset, which no prior holds."""
    weights = np.zeros(x.shape[1])
    hold = prior * np.eye(len(weights))
    hold[-1, -1] = 1e-6
    for _ in range(40):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
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
    """For each range of probabilities: its bounds, the mean given, the share that were ends, how many."""
    table: list[tuple[float, float, float, float, int]] = []
    for k in range(bins):
        low, high = k / bins, (k + 1) / bins
        here = (p >= low) & ((p < high) | (k == bins - 1))
        if here.any():
            table.append((low, high, float(p[here].mean()), float(is_end[here].mean()), int(here.sum())))
    return table
