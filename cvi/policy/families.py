"""The families of forbidden sentences that come with cvi (`families.yaml`), and their trained classifier."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from cvi.embeddings.base import Embedder, Vectors
from cvi.files import replacing
from cvi.policy.sentence_classifier import Features, SentenceFeatures, kernel, rows_of, trained

Side = Literal["reply", "participant", "both"]
FAMILIES_FILE = Path(__file__).with_name("families.yaml")
TRAINED_FILE = Path(__file__).with_name("families.npz")
INJECTION = "injection"
"""The family that notes for the model are searched for, whatever the persona's guardrails."""
IN_NOTES = "injection in notes"
"""The name of what is like `INJECTION`, and unlike what documents say to their readers."""
ANY_WEIGHT = 0.5
"""How much it counts for a family that a sentence is like those of any family, by cross-validation."""


@dataclass(frozen=True, slots=True)
class GuardrailFamily:
    """One kind of sentence; see the head of `families.yaml`."""

    name: str
    side: Side
    meant_by: tuple[str, ...]
    patterns: tuple[str, ...]
    examples: tuple[str, ...]
    harmless: tuple[str, ...]
    in_documents: tuple[str, ...] = ()
    """Harmless where a document says them; what participants say is not compared with them."""


Families = Mapping[str, GuardrailFamily]


@cache
def all_families() -> dict[str, GuardrailFamily]:
    """Every family by its name."""
    document = yaml.safe_load(FAMILIES_FILE.read_text(encoding="utf-8"))
    return {
        name: GuardrailFamily(
            name,
            each["side"],
            *(
                tuple(each.get(key, ()))
                for key in ("meant_by", "patterns", "examples", "harmless", "in_documents")
            ),
        )
        for name, each in document.items()
    }


class FamilyClassifier:
    """Scores sentences for every family at once. Thread-safe."""

    def __init__(self, embedder: Embedder, families: Families, *, retrain: bool = False) -> None:
        """Reads what was trained where it is of these families and this embedder, else trains: 20 seconds.

        Raises EngineError when the embedder fails.
        """
        self.names = list(families)
        pairs = [
            *((text, name) for name, family in families.items() for text in family.examples),
            *((text, "") for family in families.values() for text in family.harmless),
            *((text, "document") for family in families.values() for text in family.in_documents),
        ]
        self.texts = [text for text, _ in pairs]
        kinds = np.array([name for _, name in pairs])
        self.harmless = kinds == ""
        self._key = hashlib.sha256("\n".join((embedder.name, *map("\t".join, pairs))).encode()).hexdigest()
        stored = None if retrain else self._stored()
        self._vectors = _quantized(embedder.questions(self.texts)) if stored is None else stored["vectors"]
        vectors = self._vectors.astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        centre = vectors[kinds != "document"].mean(0)
        self.rows = rows_of(self.texts, vectors, centre)
        self._counts = self._trained(kinds) if stored is None else stored["counts"]
        self.features = SentenceFeatures(embedder, centre)

    def _trained(self, kinds: np.ndarray) -> Features:
        """What each text counts for each family, and for instructions in notes."""
        said = kinds != "document"
        of_any = np.isin(kinds, self.names)
        meant = np.stack([*(kinds == name for name in self.names), of_any], axis=1)
        counts = np.zeros((len(kinds), len(self.names) + 1), np.float32)
        of_families = trained(self.rows[said], meant[said])
        counts[said, :-1] = of_families[:, :-1] + ANY_WEIGHT * of_families[:, -1:]
        if INJECTION in self.names:
            in_notes = trained(self.rows, np.stack([kinds == INJECTION, of_any], axis=1))
            counts[:, -1] = in_notes[:, 0] + ANY_WEIGHT * in_notes[:, 1]
        return counts

    def scores(self, row: Features) -> dict[str, float]:
        """By family: positive for a sentence that it may mean; `IN_NOTES` for an instruction in a note."""
        values = ((kernel(row[None], self.rows) + 1) @ self._counts)[0]
        return dict(zip([*self.names, IN_NOTES], map(float, values), strict=True))

    def save(self) -> None:
        """Keep what was trained beside the families: `scripts/train_guardrails`. Raises CviError."""
        with replacing(TRAINED_FILE, remedy="Free some space.") as part, part.open("wb") as file:
            np.savez_compressed(file, key=self._key, vectors=self._vectors, counts=self._counts)

    def _stored(self) -> Mapping[str, np.ndarray] | None:
        try:
            with np.load(TRAINED_FILE, allow_pickle=False) as file:
                return {name: file[name] for name in file} if str(file["key"]) == self._key else None
        except (OSError, ValueError, KeyError):
            return None


def _quantized(vectors: Vectors) -> np.ndarray:
    """Directions in 8 bits a number, the length is lost: a quarter of the space."""
    return np.asarray(np.clip(np.round(vectors * 127 / np.abs(vectors).max()), -127, 127), np.int8)
