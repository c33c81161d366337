"""The families of forbidden sentences that come with cvi (`families.yaml`); their vectors, kept on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from cvi.embeddings.base import Embedder, Vectors
from cvi.errors import CviError
from cvi.files import replacing
from cvi.paths import home

Side = Literal["reply", "participant", "both"]
FAMILIES_FILE = Path(__file__).with_name("families.yaml")
INJECTION = "injection"
"""The family that notes for the model are searched for, whatever the persona's guardrails."""


@dataclass(frozen=True, slots=True)
class GuardrailFamily:
    """One kind of sentence; see the head of `families.yaml`."""

    name: str
    side: Side
    meant_by: tuple[str, ...]
    patterns: tuple[str, ...]
    examples: tuple[str, ...]
    harmless: tuple[str, ...]


@cache
def all_families() -> dict[str, GuardrailFamily]:
    """Every family by its name."""
    document = yaml.safe_load(FAMILIES_FILE.read_text(encoding="utf-8"))
    return {
        name: GuardrailFamily(
            name,
            each["side"],
            *(tuple(each[key]) for key in ("meant_by", "patterns", "examples", "harmless")),
        )
        for name, each in document.items()
    }


def stored_vectors(embedder: Embedder, texts: tuple[str, ...]) -> Vectors:
    """The texts' vectors, made once on this machine: two seconds for the families, then a file's reading."""
    key = hashlib.sha256("\n".join((embedder.name, *texts)).encode()).hexdigest()[:24]
    path = home() / "cache" / "guardrails" / f"{key}.npy"
    try:
        found: Vectors = np.load(path, allow_pickle=False)
        if found.shape == (len(texts), embedder.dimensions) and found.dtype == np.float32:
            return found
    except (OSError, ValueError):
        pass
    made = embedder.questions(texts)
    try:
        with replacing(path, remedy="Free some space.") as part, part.open("wb") as file:
            np.save(file, made, allow_pickle=False)
    except CviError:
        return made  # only slower the next time
    return made
