"""What a turn wants of documents, by its vector: nothing (small talk), an answer, or where the last one
stands.

Two logistic regressions on the vector of multilingual-e5-small, so no language needs a list of words. They
were fitted by `scripts/tune_asking.py` on the turns of cvi/bench/knowledge/asking.tsv and the questions of
the development sets, of which none is graded; that prints how they do on turns that were left out.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Vectors

WEIGHTS = Path(__file__).with_name("asking.json")
REFERS_BACK = 0.0
"""From these log-odds on a turn is about the answer before it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Log-odds: `asks` that a turn asks something that documents may answer, `refers_back` that it only asks
    about the answer before it ("where does it say that?")."""

    asks: float
    refers_back: float

    def gated(self, relevance: float) -> float:
        """The log-odds that a passage of this relevance is wanted: as relevant as it is, less where the turn
        seems to ask nothing."""
        sure = min(max(relevance, 1e-6), 1 - 1e-6)
        return math.log(sure / (1.0 - sure)) + min(self.asks, 0.0)


UNKNOWN = Asking(1.0, -1.0)
"""Of turns whose vectors come from another embedder than the weights were fitted on."""


class AskingModel:
    """The two regressions."""

    def __init__(self, embedder: str, bias: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        """`bias` (2,) and `weights` (2, dimensions), of vectors of the embedder of that name."""
        self._embedder, self._bias, self._weights = embedder, bias, weights

    def read(self, embedder: str, vector: Vectors) -> Asking:
        """What a turn asks, by its vector as a question, (dimensions,); `UNKNOWN` for another embedder's."""
        if embedder != self._embedder:
            return UNKNOWN
        asks, back = self._bias + self._weights @ vector
        return Asking(float(asks), float(back))


@lru_cache(1)
def asking_model() -> AskingModel:
    """The regressions whose weights lie beside this file."""
    read = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return AskingModel(read["embedder"], np.array(read["bias"]), np.array(read["weights"]))
