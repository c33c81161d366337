"""How likely a found passage answers its question: what decides whether the model is told of it at all.

A logistic regression on the question's cosine with the passage and with the nearest of its sentences, and on
the share of the question's words that the passage holds. It was fitted by `cvi bench knowledge --calibrate`
on documents and questions that no figure is graded on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GATE = 0.2
"""Passages below are not given to the model. On the development questions 84 % of the answerable ones then
have their answer among what is told, and nothing is told for 87 % of the others."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """The regression's weights."""

    bias: float = -80.3
    cosine: float = 40.44
    sentence: float = 53.46
    coverage: float = 3.41

    def probability(self, cosine: float, sentence: float, coverage: float) -> float:
        """From 0 to 1."""
        weighed = self.cosine * cosine + self.sentence * sentence + self.coverage * coverage
        return 1.0 / (1.0 + math.exp(-(self.bias + weighed)))
