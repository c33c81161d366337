"""How likely the floor is free: all signs of a pause weighed into one probability, and silence added to it.

Two steps, both readable. At a pause's onset a logistic regression weighs what was said and how
(`floor_weights.yaml`: a line for each sign), which gives the probability that the turn is over before any
silence is counted. Then silence speaks: a pause that goes on is less and less likely to be one of this
person's pauses within a turn. Their lengths follow a log-logistic distribution, so that by Bayes' rule

    log-odds(over after s) = log-odds(over) + log(1 + (s / usual pause) ** shape).

The weights are fitted by `scripts/fit_turns`; nothing here knows a recording.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import yaml

from cvi.turns.expected_answer import Expected
from cvi.turns.prosody import PhraseProsody
from cvi.turns.words import FloorWords

WEIGHTS_FILE = Path(__file__).with_name("floor_weights.yaml")
MAX_PROBABILITY = 0.98
"""No judge's probability may be so extreme that the others do not count."""
MELODY_SIGNS = ("pitch_slope", "pitch_end", "level_end", "fading_s")
"""The signs that are fields of `PhraseProsody`."""
QUESTION_MARKS = ("?", "？", "؟")
_MOST_WORDS = 12
_SENTENCE_END = re.compile(r"[.?!…。？！।؟]+\s*")


@dataclass(frozen=True, slots=True)
class SignWeight:
    """What a sign counts: `weight` for each `spread` that it lies above `mean`. A sign that is absent counts
    as its mean, which is nothing."""

    weight: float
    mean: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True, slots=True)
class FloorWeights:
    """The logistic regression: log-odds = `offset` + the sum of the signs' contributions."""

    offset: float
    signs: Mapping[str, SignWeight]

    def contributions(self, signs: Mapping[str, float]) -> dict[str, float]:
        """What each sign that is there adds to the log-odds."""
        return {
            name: one.weight * (signs[name] - one.mean) / one.spread
            for name, one in self.signs.items()
            if name in signs
        }

    def probability(self, signs: Mapping[str, float]) -> float:
        """How likely the turn is over, 0 to 1, before silence is counted."""
        return logistic(self.offset + sum(self.contributions(signs).values()))


@cache
def shipped_weights() -> FloorWeights:
    """The weights that come with the package."""
    return read_weights(WEIGHTS_FILE)


def read_weights(path: Path) -> FloorWeights:
    """Weights from a file like `floor_weights.yaml`."""
    stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    signs = {
        name: SignWeight(float(one["weight"]), float(one.get("mean", 0.0)), float(one.get("spread", 1.0)))
        for name, one in stored["signs"].items()
    }
    return FloorWeights(float(stored["offset"]), signs)


def floor_signs(
    text: str,
    words: float,
    voice: float | None,
    prosody: PhraseProsody | None,
    vocabulary: FloorWords,
    expected: Expected = "any",
) -> dict[str, float]:
    """The signs of a pause by name: from the words so far, their judged completeness, the turn model's
    probability and the prosody, where there are any."""
    signs = {
        "words": log_odds(words),
        "punctuation": _punctuation(text),
        "hesitation": float(vocabulary.hesitates(text)),
    }
    if not (expected == "short" or vocabulary.is_listening(text)):
        sentences = [part for part in _SENTENCE_END.split(text) if part.strip()]
        words_so_far = vocabulary.count(sentences[-1]) if sentences else 0
        signs["sentence"] = math.log1p(min(words_so_far, _MOST_WORDS))
    if voice is not None:
        signs["voice"] = log_odds(voice)
    if prosody is not None:
        melody: dict[str, float | None] = asdict(prosody)
        signs |= {name: value for name in MELODY_SIGNS if (value := melody[name]) is not None}
        if "pitch_slope" in signs and text.rstrip().endswith(QUESTION_MARKS):
            # The melody of a question ends as well by rising.
            signs["pitch_slope"] = -abs(signs["pitch_slope"])
    return signs


def after_silence(probability: float, silence_s: float, usual_pause_s: float, shape: float) -> float:
    """The probability that the turn is over once `silence_s` have passed in silence.

    >>> round(after_silence(0.5, 0.0, 0.4, 2.0), 2), round(after_silence(0.5, 0.8, 0.4, 2.0), 2)
    (0.5, 0.83)
    """
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return logistic(math.log(p / (1 - p)) + math.log1p((max(silence_s, 0.0) / usual_pause_s) ** shape))


def silence_until(probability: float, goal: float, usual_pause_s: float, shape: float) -> float:
    """How much silence makes a turn that was over with `probability` over with `goal`, seconds."""
    p, q = (min(max(one, 1e-6), 1 - 1e-6) for one in (probability, goal))
    gain = math.log(q / (1 - q)) - math.log(p / (1 - p))
    return usual_pause_s * math.pow(math.expm1(gain), 1.0 / shape) if gain > 0 else 0.0


def log_odds(probability: float) -> float:
    """The log-odds of a probability, which is clipped to 0.02 to 0.98."""
    p = min(max(probability, 1.0 - MAX_PROBABILITY), MAX_PROBABILITY)
    return math.log(p / (1.0 - p))


def logistic(odds: float) -> float:
    """The probability of log-odds."""
    return 1.0 / (1.0 + math.exp(-max(min(odds, 40.0), -40.0)))


def _punctuation(text: str) -> float:
    """What a recognizer that writes punctuation says of the end: 1 a sentence's, -1 that more follows."""
    end = text.rstrip()
    if end.endswith(("...", "…", ",", "-", "–", "—", ";", ":", "、", "،")):
        return -1.0
    return 1.0 if end.endswith((".", "?", "!", "。", "？", "！", "।", "؟")) else 0.0
