"""What an embedding engine must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""One unit vector a row: (texts, dimensions) float32."""


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """`threads` is how many processors one call may use: one, unless nothing else runs (indexing)."""

    threads: int = 1


class Embedder(Protocol):
    """Turns texts into unit vectors. Calls block, may come from any thread, and are served in turn.

    Questions and the passages that answer them are embedded differently (models of the E5 family are trained
    so); two texts that are compared as equals are both embedded as questions.
    """

    name: str
    """Engine, model and precision: vectors made under another name cannot be compared with these."""
    dimensions: int

    def questions(self, texts: Sequence[str]) -> Vectors:
        """What is searched for, or compared: (n, dimensions). No text at all gives no row."""

    def passages(self, texts: Sequence[str]) -> Vectors:
        """What is searched: (n, dimensions). Of a text too long for the model: the mean of its parts."""

    def information(self, word: str) -> float:
        """How much a word tells, in nats: more where it is rarer in the vocabulary. Takes microseconds."""

    def close(self) -> None:
        """Free the model once the running call has returned. Nothing may be called afterwards."""
