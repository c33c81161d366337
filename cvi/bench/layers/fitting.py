"""Better constants for `cvi/turns/`, fitted to what was heard on labelled recordings.

Nothing is written: what is printed goes into the files by hand, with the data it was fitted on. Each proposal
is evaluated on recordings that it was not fitted on (five folds over recordings).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.decisions import GIVE_UP_S, Decision, Floats, gives_floor_after, program_rule
from cvi.turns.completeness import OFFSET, VOICE_WEIGHT, WORDS_WEIGHT, log_odds
from cvi.turns.thresholds import TurnThresholds

FOLDS = 5
_SURE_S = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
_LIKELY_S = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
_UNLIKELY_S = (0.8, 1.0, 1.2, 1.4, 1.7, 2.0)


def fit_notes(decisions: Sequence[Decision], thresholds: TurnThresholds) -> list[str]:
    """Sentences with the proposals and what they would gain."""
    judge = "both" if any(p.voice is not None for d in decisions for p in d.pauses) else "words"
    ends = sum(decision.is_end for decision in decisions)
    recordings = len({decision.group for decision in decisions})
    notes = [f"Fitted on {len(decisions) - ends} holds and {ends} ends of {recordings} recordings."]
    if judge == "both":
        notes.append(_blend_note(decisions))
    return [*notes, _patience_note(decisions, judge, thresholds)]


def _patience_note(decisions: Sequence[Decision], judge: str, now: TurnThresholds) -> str:
    """The patience that waits least without cutting off more often than now."""
    grid = [
        replace(now, patience_sure_s=a, patience_likely_s=b, patience_unlikely_s=c)
        for a, b, c in product(_SURE_S, _LIKELY_S, _UNLIKELY_S)
        if a <= b <= c
    ]
    policies = [now, *grid]
    costs = np.array([[_cost(decision, judge, limits) for decision in decisions] for limits in policies])
    ends = np.array([decision.is_end for decision in decisions])
    fold = _folds([decision.group for decision in decisions])
    if not ends.any() or ends.all():
        return "Patience: there are not both holds and ends."
    best = policies[_best(costs, ends)]
    folds = [
        (costs[_best(costs[:, fold != k], ends[fold != k])][fold == k], ends[fold == k]) for k in range(FOLDS)
    ]
    unseen, unseen_ends = (np.concatenate(part) for part in zip(*folds, strict=True))
    was_cut, was_wait = costs[0][~ends].mean(), costs[0][ends].mean()
    cut, wait = unseen[~unseen_ends].mean(), unseen[unseen_ends].mean()
    verdict = "a gain" if wait < was_wait - 0.02 and cut <= was_cut + 1e-9 else "no gain"
    return (
        f"Patience ({judge}): now {100 * was_cut:.0f} % cut, {1000 * was_wait:.0f} ms mean delay. Proposed "
        f"patience_sure_s={best.patience_sure_s:g}, patience_likely_s={best.patience_likely_s:g}, "
        f"patience_unlikely_s={best.patience_unlikely_s:g}; on recordings not fitted on "
        f"{100 * cut:.0f} % and {1000 * wait:.0f} ms: {verdict}."
    )


def _blend_note(decisions: Sequence[Decision]) -> str:
    """Logistic regression of the label on both judges, against the words alone."""
    rows = [
        (log_odds(p.words), log_odds(p.voice), float(d.is_end), d.group)
        for d in decisions
        for p in d.pauses[-1:]
        if p.words is not None and p.voice is not None
    ]
    if len({row[2] for row in rows}) < 2:
        return "Blend: too few pauses that both judges scored."
    x = np.array([[row[0], row[1], 1.0] for row in rows])
    y = np.array([row[2] for row in rows])
    fold = _folds([row[3] for row in rows])
    weights = logistic(x, y)
    alone, both = (_unseen_loss(x[:, columns], y, fold) for columns in ([0, 2], [0, 1, 2]))
    verdict = "a gain" if both < alone - 0.005 else "no gain over the words alone"
    return (
        f"Blend (n={len(rows)}): WORDS_WEIGHT={weights[0]:.2f}, VOICE_WEIGHT={weights[1]:.2f}, "
        f"OFFSET={weights[2]:.2f} (now {WORDS_WEIGHT:g}, {VOICE_WEIGHT:g}, {OFFSET:g}); log loss on unseen "
        f"recordings {both:.3f}, words alone {alone:.3f}: {verdict}."
    )


def logistic(x: Floats, y: Floats, prior: float = 0.5) -> Floats:
    """Weights by Newton's method, with a prior that holds them near zero where there are few rows."""
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - y) + prior * weights
        curve = (x.T * (p * (1 - p))) @ x + prior * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def _unseen_loss(x: Floats, y: Floats, fold: npt.NDArray[np.int_]) -> float:
    losses: list[float] = []
    for k in range(FOLDS):
        seen, unseen = fold != k, fold == k
        if unseen.any() and len(set(y[seen])) == 2:
            p = np.clip(1 / (1 + np.exp(-x[unseen] @ logistic(x[seen], y[seen]))), 1e-6, 1 - 1e-6)
            losses += list(-(y[unseen] * np.log(p) + (1 - y[unseen]) * np.log(1 - p)))
    return float(np.mean(losses)) if losses else math.nan


def _best(costs: Floats, ends: npt.NDArray[np.bool_]) -> int:
    """Of the policies that cut no oftener than the first, the one with the least delay."""
    if not ends.any() or ends.all():
        return 0
    cuts, waits = costs[:, ~ends].mean(axis=1), costs[:, ends].mean(axis=1)
    waits = np.where(cuts <= cuts[0] + 1e-9, waits, np.inf)
    return int(np.argmin(waits)) if waits.min() < waits[0] - 1e-9 else 0


def _cost(decision: Decision, judge: str, limits: TurnThresholds) -> float:
    after_s = gives_floor_after(decision, program_rule(judge, limits))
    if decision.is_end:
        return GIVE_UP_S if after_s is None else after_s
    return float(after_s is not None)


def _folds(groups: Sequence[str]) -> npt.NDArray[np.int_]:
    """The fold of each item; all of one group are in the same."""
    names = sorted(set(groups))
    return np.array([names.index(group) % FOLDS for group in groups])
