"""How likely a found passage answers its question: what decides whether the model is told of it at all.

A logistic regression on the cosine and on the share of the question's words that the passage holds, fitted by
`cvi bench knowledge --calibrate` on questions and documents that no figure is graded on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GATE = 0.5
"""Passages below are not given to the model."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """The regression's weights."""

    bias: float = -36.0
    cosine: float = 40.0
    coverage: float = 3.0

    def probability(self, cosine: float, coverage: float) -> float:
        """From 0 to 1."""
        return 1.0 / (1.0 + math.exp(-(self.bias + self.cosine * cosine + self.coverage * coverage)))
