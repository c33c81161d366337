"""Ids that were given out here and whose thing is gone: nothing may stand for those."""

from __future__ import annotations

from cvi.files import write_text
from cvi.paths import home

NAME = "deleted_ids.txt"


def deleted_ids() -> set[str]:
    """The ids of deleted personas and replicas. Blocks on the disk."""
    try:
        return set((home() / NAME).read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError):
        return set()


def note_deleted(id: str) -> None:
    """Remember that the id was given out. Raises CviError where the disk does not allow it."""
    ids = deleted_ids()
    if id not in ids:
        write_text(home() / NAME, "\n".join(sorted(ids | {id})) + "\n")
