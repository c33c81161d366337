"""The encoder that recorded speech is read through, where it is installed: Smart Turn's."""

from __future__ import annotations

from pathlib import Path

from cvi.models.installed import find_installed

MODEL = "smart-turn-v3"


def installed_encoder() -> Path | None:
    """Its file; None where it is not here."""
    found = find_installed(MODEL)
    return None if found is None else found.path
