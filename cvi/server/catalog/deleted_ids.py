"""Ids that were given out here and whose thing is gone: nothing may stand for those.

A line is an id of the default owner, or `id:owner`: nobody learns which ids others had.
"""

from __future__ import annotations

from cvi.files import write_text
from cvi.paths import home
from cvi.server.store.keys import DEFAULT_OWNER

NAME = "deleted_ids.txt"


def deleted_ids(owner: str | None = None) -> set[str]:
    """The ids of an owner's deleted personas and replicas; of everybody's for None. Blocks on the disk."""
    found = (line.partition(":") for line in _lines())
    return {id for id, _, whose in found if owner is None or (whose or DEFAULT_OWNER) == owner}


def note_deleted(id: str, owner: str | None = None) -> None:
    """Remember that the id was given out. Raises CviError where the disk does not allow it."""
    line = id if owner in (None, DEFAULT_OWNER) else f"{id}:{owner}"
    lines = _lines()
    if line not in lines:
        write_text(home() / NAME, "\n".join(sorted(lines | {line})) + "\n", mode=0o600)


def _lines() -> set[str]:
    try:
        return set((home() / NAME).read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError):
        return set()
