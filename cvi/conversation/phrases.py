"""What a persona says of its own accord, in the languages of `phrases.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FALLBACK = "en"


@dataclass(frozen=True, slots=True)
class Phrases:
    """The stock phrases of one language; each field as in `phrases.yaml`."""

    apology: str
    not_heard: str
    bridge: str
    welcome: str
    in_documents: str
    not_in_documents: str
    openers: tuple[str, ...]
    like_yes: frozenset[str]


SILENT = Phrases("", "", "", "", "", "", (), frozenset())
"""Nothing is said of its own accord."""


def phrases(language: str) -> Phrases:
    """The phrases of a language (ISO 639-1), in English and without openers where it has none here."""
    table = _table()
    if language in table:
        return table[language]
    return replace(table[FALLBACK], openers=(), like_yes=frozenset())


@cache
def _table() -> dict[str, Phrases]:
    document: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    )
    return {
        language: Phrases(
            **{**entry, "openers": tuple(entry["openers"]), "like_yes": frozenset(entry["like_yes"])}
        )
        for language, entry in document.items()
    }
