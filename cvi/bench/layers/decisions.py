"""From heard pauses and labels to false cuts and delays (protocol 1, after eot-bench).

Every labelled silence is a decision. A rule that gives the floor away in a hold before speech goes on has cut
somebody off; in an end, how long it took is the delay. Rules are swept as in eot-bench: a threshold on the
judge's probability, a shortest silence before it is believed, and a longest silence after which the floor
passes whatever the judge says. `fit_notes` proposes better constants for the program's own rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import product

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.measurement import wins
from cvi.bench.layers.simulation import HeardPause
from cvi.bench.recordings.labelled_recordings import LabelledTurn, Silence
from cvi.bench.statistics import Interval
from cvi.turns.base import VAD_HOP_S
from cvi.turns.thresholds import TurnThresholds

JUDGES = {
    "silence": "silence alone, 0.8 s",
    "words": "the language model alone",
    "voice": "the turn model alone",
    "ours": "all signs weighed, as shipped",
    "unseen": "the same, fitted on the other recordings of this set",
}
"""Who says whether a turn is over, and what the report calls it."""
GIVE_UP_S = 4.0
"""An end in which a rule has not given the floor away by then counts with this delay."""

_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_DELAYS_S = tuple(np.arange(0.0, 1.01, 0.05))
_TIMEOUTS_S = tuple(np.arange(0.2, 3.01, 0.1))
_RESAMPLES = 500
_FOLDS = 5
_COMMIT_AT = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_LEAST_S = (0.15, 0.2, 0.25, 0.3, 0.4)
_MOST_S = (1.2, 1.4, 1.7, 2.0, 2.5)

Floats = npt.NDArray[np.float64]
FloorRule = Callable[[HeardPause], Floats]
"""When each of n settings of a rule gives the floor away in a pause, (n,), seconds in the recording, if
speech does not go on; infinity: never."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One labelled silence and the pauses heard in it. `group` is what bootstrap samples are drawn by."""

    recording: str
    source: str
    group: str
    is_end: bool
    start_s: float
    pauses: tuple[HeardPause, ...]
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class HeardTurns:
    """All decisions, and the pauses that were heard where the labels have speech."""

    decisions: list[Decision]
    pauses_in_speech: list[HeardPause]

    def as_data(self) -> dict[str, object]:
        """For the file beside the record."""
        return {
            "decisions": [asdict(decision) for decision in self.decisions],
            "astray": [asdict(pause) for pause in self.pauses_in_speech],
        }


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """The best of the sweep, each with its 95 % interval over resampled recordings; None out of reach.

    Shares of false cuts at a mean delay of 300 and 600 ms; mean delays, s, at 5 and 10 % of false cuts.
    """

    cuts_at_300: Interval | None = None
    cuts_at_600: Interval | None = None
    delay_at_5: Interval | None = None
    delay_at_10: Interval | None = None


def decide(turn: LabelledTurn, heard: Sequence[HeardPause]) -> HeardTurns:
    """Each labelled silence of a turn with the pauses that overlap it most."""
    own: dict[int, list[HeardPause]] = {}
    in_speech: list[HeardPause] = []
    for pause in heard:
        pause.recording = turn.id
        overlaps_s = [_overlap_s(pause, silence) for silence in turn.silences]
        best = int(np.argmax(overlaps_s)) if overlaps_s else -1
        if best < 0 or overlaps_s[best] <= 0:
            in_speech.append(pause)
        else:
            own.setdefault(best, []).append(pause)
    decisions = [
        Decision(
            turn.id,
            turn.source,
            turn.group,
            silence.is_end,
            silence.start_s,
            tuple(own.get(number, ())),
            silence.end_s,
        )
        for number, silence in enumerate(turn.silences)
    ]
    return HeardTurns(decisions, in_speech)


def probability(pause: HeardPause, judge: str) -> tuple[float, float] | None:
    """The probability a judge gives that the turn is over, and when; None when speech went on before."""
    words = None if pause.words is None or pause.words_s is None else (pause.words, pause.words_s)
    voice = None if pause.voice is None or pause.voice_s is None else (pause.voice, pause.voice_s)
    if judge in pause.scores and words is not None:
        return pause.scores[judge], words[1] if voice is None else max(words[1], voice[1])
    return {"words": words, "voice": voice}.get(judge)


def program_rule(judge: str, thresholds: Sequence[TurnThresholds], *, computing: bool = True) -> FloorRule:
    """The program's own rule: patience by probability. `computing` False: as if judging took no time."""

    def rule(pause: HeardPause) -> Floats:
        judged = probability(pause, judge)
        if judged is None:
            return np.full(len(thresholds), np.inf)
        patience_s = np.array([one.patience_s(judged[0], pause.usual_pause_s) for one in thresholds])
        return np.maximum(pause.speech_end_s + patience_s, judged[1] if computing else pause.known_s)

    return rule


def sweep_rule(judge: str, settings: Sequence[tuple[float, float, float]]) -> FloorRule:
    """eot-bench's rule at settings (threshold, delay s, timeout s); the judge "silence" knows the timeout
    alone."""
    threshold, delay_s, timeout_s = np.array(settings).T

    def rule(pause: HeardPause) -> Floats:
        at_s = pause.speech_end_s + timeout_s
        judged = None if judge == "silence" else probability(pause, judge)
        if judged is not None:
            early_s = np.maximum(pause.speech_end_s + delay_s, judged[1])
            at_s = np.where(judged[0] >= threshold, np.minimum(at_s, early_s), at_s)
        return np.asarray(np.maximum(at_s, pause.known_s), np.float64)

    return rule


def gives_floor_at(pause: HeardPause, rule: FloorRule) -> Floats:
    """When each setting of a rule gives the floor away in a pause, (n,); infinity when speech goes on before.

    Decisions are made when a hop of the voice detector is over.
    """
    at_s = np.ceil(rule(pause) / VAD_HOP_S - 1e-6) * VAD_HOP_S
    return np.where(at_s < _or_endless(pause.resumed_s), at_s, np.inf)


def delays_s(decisions: Sequence[Decision], rule: FloorRule) -> Floats:
    """How long after each silence began the floor is given away, (n settings, decisions); infinity: it is
    not."""
    rows = [
        reduce(np.minimum, (gives_floor_at(pause, rule) for pause in decision.pauses), np.array([np.inf]))
        - decision.start_s
        for decision in decisions
    ]
    return np.stack(np.broadcast_arrays(*rows), axis=1) if rows else np.empty((1, 0))


def operating_points(decisions: Sequence[Decision], judge: str, seed: int = 0) -> OperatingPoints:
    """Sweep the rules of a judge. Chosen and measured on the same decisions, as eot-bench does it."""
    if len({decision.is_end for decision in decisions}) < 2:
        return OperatingPoints()
    settings = [(t, d, o) for t, d, o in product(_THRESHOLDS, _DELAYS_S, _TIMEOUTS_S) if d <= o]
    if judge == "silence":
        settings = [(1.0, 0.0, float(timeout_s)) for timeout_s in np.arange(0.1, 3.01, 0.02)]
    costs, ends = _costs(decisions, sweep_rule(judge, settings))
    cuts, waits = costs[:, ~ends], costs[:, ends]
    draws = [d for d in _draws([x.group for x in decisions], seed) if d[ends].sum() and d[~ends].sum()]

    def point(pick: Callable[[Floats, Floats], float]) -> Interval | None:
        value = pick(cuts.mean(axis=1), waits.mean(axis=1))
        if math.isnan(value):
            return None
        drawn = [pick(_mean(cuts, draw[~ends]), _mean(waits, draw[ends])) for draw in draws]
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        return Interval(value, float(low), float(high))

    return OperatingPoints(
        point(lambda cut, wait: _least(cut, wait <= 0.3)),
        point(lambda cut, wait: _least(cut, wait <= 0.6)),
        point(lambda cut, wait: _least(wait, cut <= 0.05)),
        point(lambda cut, wait: _least(wait, cut <= 0.10)),
    )


def area_under_curve(decisions: Sequence[Decision], judge: str) -> float | None:
    """Chance that an end's last pause scores above a hold's; None where there are not both."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    for decision in decisions:
        judged = [found[0] for pause in decision.pauses if (found := probability(pause, judge)) is not None]
        scores[decision.is_end] += judged[-1:]
    return float(wins(scores[True], scores[False]).mean()) if scores[True] and scores[False] else None


# -- fitting ----------------------------------------------------------------------------------------


def fit_notes(decisions: Sequence[Decision], thresholds: TurnThresholds) -> list[str]:
    """Better constants for `cvi/turns/`, and what they would gain, in sentences.

    They go into the files by hand, with the data they were fitted on. Each proposal is evaluated on
    recordings that it was not fitted on (five folds over recordings).
    """
    judge = "unseen" if any("unseen" in p.scores for d in decisions for p in d.pauses) else "words"
    ends = sum(decision.is_end for decision in decisions)
    recordings = len({decision.group for decision in decisions})
    on = f"Fitted on {len(decisions) - ends} holds and {ends} ends of {recordings} recordings."
    return [on, _patience_note(decisions, judge, thresholds)]


def _patience_note(decisions: Sequence[Decision], judge: str, now: TurnThresholds) -> str:
    """The patience that waits least without cutting off more often than now."""
    grid = [
        replace(now, commit_at=a, least_patience_s=b, most_patience_s=c)
        for a, b, c in product(_COMMIT_AT, _LEAST_S, _MOST_S)
    ]
    policies = [now, *grid]
    costs, ends = _costs(decisions, program_rule(judge, policies))
    fold = folds([decision.group for decision in decisions])
    if not ends.any() or ends.all():
        return "Patience: there are not both holds and ends."
    best = policies[_best(costs, ends)]
    parts = [
        (costs[_best(costs[:, fold != k], ends[fold != k])][fold == k], ends[fold == k])
        for k in range(_FOLDS)
    ]
    unseen, unseen_ends = (np.concatenate(part) for part in zip(*parts, strict=True))
    was_cut, was_wait = costs[0][~ends].mean(), costs[0][ends].mean()
    cut, wait = unseen[~unseen_ends].mean(), unseen[unseen_ends].mean()
    verdict = "a gain" if wait < was_wait - 0.02 and cut <= was_cut + 1e-9 else "no gain"
    return (
        f"Patience ({judge}): now {100 * was_cut:.0f} % cut, {1000 * was_wait:.0f} ms mean delay. Proposed "
        f"commit_at={best.commit_at:g}, least_patience_s={best.least_patience_s:g}, "
        f"most_patience_s={best.most_patience_s:g}; on recordings not fitted on "
        f"{100 * cut:.0f} % and {1000 * wait:.0f} ms: {verdict}."
    )


def _best(costs: Floats, ends: npt.NDArray[np.bool_]) -> int:
    """Of the policies that cut no oftener than the first, the one with the least delay."""
    if not ends.any() or ends.all():
        return 0
    cuts, waits = costs[:, ~ends].mean(axis=1), costs[:, ends].mean(axis=1)
    waits = np.where(cuts <= cuts[0] + 1e-9, waits, np.inf)
    return int(np.argmin(waits)) if waits.min() < waits[0] - 1e-9 else 0


def folds(groups: Sequence[str], count: int = _FOLDS) -> npt.NDArray[np.int_]:
    """The fold of each item, 0 to `count` - 1; all of one group are in the same."""
    names = sorted(set(groups))
    return np.array([names.index(group) % count for group in groups], int)


# -- arithmetic -------------------------------------------------------------------------------------


def _costs(decisions: Sequence[Decision], rule: FloorRule) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """For each setting of a rule and each hold 1 where it is cut, for each end the delay, (n, decisions); and
    which decisions are ends."""
    after_s = delays_s(decisions, rule)
    ends = np.array([decision.is_end for decision in decisions])
    waits = np.where(np.isinf(after_s), GIVE_UP_S, after_s)
    return np.where(ends, waits, np.isfinite(after_s)), ends


def _overlap_s(pause: HeardPause, silence: Silence) -> float:
    until_s = min(_or_endless(pause.resumed_s), _or_endless(silence.end_s), 1e6)
    return until_s - max(pause.speech_end_s, silence.start_s)


def _or_endless(time_s: float | None) -> float:
    return math.inf if time_s is None else time_s


def _least(values: Floats, allowed: npt.NDArray[np.bool_]) -> float:
    return float(values[allowed].min()) if allowed.any() else math.nan


def _draws(groups: Sequence[str], seed: int) -> list[Floats]:
    """How often each decision is taken, recordings drawn with replacement."""
    names = sorted(set(groups))
    index = np.array([names.index(group) for group in groups])
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(names), size=len(names)) for _ in range(_RESAMPLES))
    return [np.bincount(draw, minlength=len(names))[index].astype(np.float64) for draw in drawn]


def _mean(rows: Floats, weights: Floats) -> Floats:
    mean: Floats = rows @ weights / weights.sum()
    return mean
