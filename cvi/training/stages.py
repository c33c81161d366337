"""The stages of training in order: the one list of them, for progress on the terminal and in the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Stage = Literal["track", "prepare", "train", "export", "evaluate"]
Progress = Callable[[Stage, int, int, str], None]
"""Called with the stage, the units done in it, of how many, and a note."""

STAGES: dict[Stage, tuple[str, int]] = {
    "track": ("finding the face", 12),
    "prepare": ("cutting out", 18),
    "train": ("training", 92),
    "export": ("storing", 95),
    "evaluate": ("measuring", 99),
}
"""What is done, for people, and the percentage of the whole that is reached at the stage's end."""
