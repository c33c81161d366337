"""From heard pauses and labels to false cuts and delays (protocol 1 of eot-bench).

Every labelled silence is a decision. A policy that gives the floor away in a `hold` before speech goes on
has cut somebody off; in an `end`, how long it took is the delay. A policy is swept as in eot-bench: a
threshold on the judge's probability, a shortest silence before it is believed, and a longest silence
after which the floor passes whatever it said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.listening import HeardPause
from cvi.bench.recordings.labels import LabelledTurn, Silence
from cvi.bench.statistics import Interval
from cvi.turns.base import VAD_HOP_S
from cvi.turns.completeness import blend
from cvi.turns.thresholds import TurnThresholds

ARMS = ("silence", "words", "voice", "both")
LABELS = {
    "silence": "silence alone, 0.8 s",
    "words": "ours, without a turn model",
    "voice": "turn model alone",
    "both": "ours, with the turn model",
}
GIVE_UP_S = 4.0
"""An end that a policy has not told by then counts with this delay."""

_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_DELAYS_S = tuple(np.arange(0.0, 1.01, 0.05))
_TIMEOUTS_S = tuple(np.arange(0.2, 3.01, 0.1))
_RESAMPLES = 500

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decision:
    """One labelled silence and what was heard in it. `group` must not be torn apart by resampling."""

    recording: str
    source: str
    group: str
    is_end: bool
    start_s: float
    pauses: tuple[HeardPause, ...]
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """When a policy gave the floor away, seconds after the labelled start; None when it did not."""

    decision: Decision
    after_s: float | None


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """The best of the sweep, each with its 95 % interval over resampled recordings; None out of reach."""

    cuts_at_300: Interval | None
    cuts_at_600: Interval | None
    delay_at_5: Interval | None
    delay_at_10: Interval | None


Fire = Callable[[HeardPause], float | None]


def decisions(turn: LabelledTurn, heard: Sequence[HeardPause]) -> tuple[list[Decision], list[HeardPause]]:
    """Each labelled silence with the pauses that overlap it most, and the pauses within labelled speech."""
    own: dict[int, list[HeardPause]] = {}
    astray: list[HeardPause] = []
    for pause in heard:
        shares = [_overlap_s(pause, silence) for silence in turn.silences]
        best = int(np.argmax(shares)) if shares else -1
        if best < 0 or shares[best] <= 0:
            astray.append(pause)
        else:
            own.setdefault(best, []).append(pause)
    found = [
        Decision(
            turn.id,
            turn.source,
            turn.group,
            silence.is_end,
            silence.start_s,
            tuple(own.get(k, ())),
            silence.end_s,
        )
        for k, silence in enumerate(turn.silences)
    ]
    return found, astray


def probability(pause: HeardPause, arm: str) -> tuple[float, float] | None:
    """What an arm's judge says of a pause, and when; None when speech went on before it could."""
    words = None if pause.words is None or pause.words_s is None else (pause.words, pause.words_s)
    voice = None if pause.voice is None or pause.voice_s is None else (pause.voice, pause.voice_s)
    if arm == "words":
        return words
    if arm == "voice":
        return voice
    if arm == "both" and words is not None and voice is not None:
        return blend(words[0], voice[0]), max(words[1], voice[1])
    return None


def shipped(arm: str, thresholds: TurnThresholds, *, computing: bool = True) -> Fire:
    """The program's own rule: patience by probability. `computing` False: as if judging took no time."""

    def fire(pause: HeardPause) -> float | None:
        judged = probability(pause, arm)
        if judged is None:
            return None
        ready_s = judged[1] if computing else pause.known_s
        return _at_hop(max(pause.speech_end_s + thresholds.patience_s(judged[0]), ready_s))

    return fire


def swept(arm: str, threshold: float, delay_s: float, timeout_s: float) -> Fire:
    """eot-bench's rule; the silence arm knows the timeout alone."""

    def fire(pause: HeardPause) -> float | None:
        late_s = pause.speech_end_s + timeout_s
        judged = None if arm == "silence" else probability(pause, arm)
        if judged is not None and judged[0] >= threshold:
            late_s = min(late_s, max(pause.speech_end_s + delay_s, judged[1]))
        return _at_hop(max(late_s, pause.known_s))

    return fire


def told(decision: Decision, fire: Fire) -> Told:
    """When `fire` gave the floor away in a silence: at the first of its pauses that lasted so long."""
    for pause in decision.pauses:
        at_s = fire(pause)
        if at_s is not None and (pause.resumed_s is None or at_s < pause.resumed_s):
            return Told(decision, at_s - decision.start_s)
    return Told(decision, None)


def operating_points(found: Sequence[Decision], arm: str, seed: int = 0) -> OperatingPoints:
    """Sweep the policies of an arm. Chosen and measured on the same decisions, as eot-bench does it."""
    if len({decision.is_end for decision in found}) < 2:
        return OperatingPoints(None, None, None, None)
    thresholds, delays = (_THRESHOLDS, _DELAYS_S) if arm != "silence" else ((1.0,), (0.0,))
    policies = [(t, d, o) for t, d, o in product(thresholds, delays, _TIMEOUTS_S) if d <= o]
    if arm == "silence":
        policies = [(1.0, 0.0, float(o)) for o in np.arange(0.1, 3.01, 0.02)]
    rows = np.stack([_costs(decision, arm, np.array(policies)) for decision in found], axis=1)
    ends = np.array([decision.is_end for decision in found])
    cuts, waits = rows[:, ~ends], rows[:, ends]
    draws = _draws([decision.group for decision in found], seed)

    def point(pick: Callable[[Floats, Floats], float]) -> Interval | None:
        value = pick(cuts.mean(axis=1), waits.mean(axis=1))
        if math.isnan(value):
            return None
        drawn = [pick(_mean(cuts, d[~ends]), _mean(waits, d[ends])) for d in draws if _usable(d, ends)]
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        return Interval(value, float(low), float(high))

    return OperatingPoints(
        point(lambda cut, wait: _least(cut, wait <= 0.3)),
        point(lambda cut, wait: _least(cut, wait <= 0.6)),
        point(lambda cut, wait: _least(wait, cut <= 0.05)),
        point(lambda cut, wait: _least(wait, cut <= 0.10)),
    )


def area_under_curve(found: Sequence[Decision], arm: str) -> float | None:
    """Chance that an end's last pause scores above a hold's; None where there are not both."""
    ends = [p for d in found if d.is_end and (p := _last_probability(d, arm)) is not None]
    holds = [p for d in found if not d.is_end and (p := _last_probability(d, arm)) is not None]
    if not ends or not holds:
        return None
    x, y = np.array(ends)[:, None], np.array(holds)[None]
    return float(((x > y) + 0.5 * (x == y)).mean())


def _last_probability(decision: Decision, arm: str) -> float | None:
    judged = [found for pause in decision.pauses if (found := probability(pause, arm)) is not None]
    return judged[-1][0] if judged else None


def _costs(decision: Decision, arm: str, policies: Floats) -> Floats:
    """What each policy (threshold, delay, timeout) makes of a silence, as `swept` and `told` would: for a
    hold 1 where it is cut, for an end the delay."""
    threshold, delay_s, timeout_s = policies.T
    after_s = np.full(len(policies), np.nan)
    for pause in decision.pauses:
        fire_s = pause.speech_end_s + timeout_s
        judged = None if arm == "silence" else probability(pause, arm)
        if judged is not None:
            early_s = np.maximum(pause.speech_end_s + delay_s, judged[1])
            fire_s = np.where(judged[0] >= threshold, np.minimum(fire_s, early_s), fire_s)
        fire_s = np.ceil(np.maximum(fire_s, pause.known_s) / VAD_HOP_S - 1e-6) * VAD_HOP_S
        fires = np.isnan(after_s) & (fire_s < _or_endless(pause.resumed_s))
        after_s = np.where(fires, fire_s - decision.start_s, after_s)
    if decision.is_end:
        waited: Floats = np.where(np.isnan(after_s), GIVE_UP_S, after_s)
        return waited
    return np.asarray(~np.isnan(after_s), np.float64)


def _overlap_s(pause: HeardPause, silence: Silence) -> float:
    until_s = min(_or_endless(pause.resumed_s), _or_endless(silence.end_s), 1e6)
    return until_s - max(pause.speech_end_s, silence.start_s)


def _or_endless(time_s: float | None) -> float:
    return math.inf if time_s is None else time_s


def _at_hop(time_s: float) -> float:
    """Decisions are made when a hop of the detector is over."""
    return math.ceil(time_s / VAD_HOP_S - 1e-6) * VAD_HOP_S


def _least(values: Floats, allowed: npt.NDArray[np.bool_]) -> float:
    return float(values[allowed].min()) if allowed.any() else math.nan


def _draws(groups: Sequence[str], seed: int) -> list[Floats]:
    """How often each decision is taken, recordings drawn with replacement."""
    names = sorted(set(groups))
    index = np.array([names.index(group) for group in groups])
    rng = np.random.default_rng(seed)
    counts = [
        np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        for _ in range(_RESAMPLES)
    ]
    return [count[index].astype(np.float64) for count in counts]


def _usable(draw: Floats, ends: npt.NDArray[np.bool_]) -> bool:
    return bool(draw[ends].sum() and draw[~ends].sum())


def _mean(rows: Floats, weights: Floats) -> Floats:
    mean: Floats = rows @ weights / weights.sum()
    return mean
