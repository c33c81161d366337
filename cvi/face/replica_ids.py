"""The ids of replicas, and what stands for an id that another service gave out.

Ids here are made from the folder's name, so that they are the same on every start. Published clients and
examples hard-code ids of the service that they were written for: a replica that ships stands for each of
those, always the same one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

WELL_KNOWN: dict[str, str] = {
    "r79e1c033f": "june",
    "rfe12d8b9597": "june",
    "rf4e9d9790f0": "marcus",
    "r90bbd427f71": "marcus",
    "r4067604db72": "june",
    "re8e740a42": "marcus",
}
"""Id -> a shipped replica's name, for ids whose face is known to be a woman's or a man's."""

_SHAPE = re.compile(r"r[0-9a-f]{6,20}")


def replica_id(name: str) -> str:
    """The id of the replica in the folder `name`."""
    return f"r{hashlib.sha256(f'replica:{name}'.encode()).hexdigest()[:12]}"


def stand_in(id: str, shipped: Sequence[str]) -> str | None:
    """The name of the shipped replica that stands for a foreign id; None for what has not an id's shape.

    >>> stand_in("r4067604db72", ["june", "marcus"])
    'june'
    """
    names = sorted(shipped)
    if not names or not _SHAPE.fullmatch(id):
        return None
    known = WELL_KNOWN.get(id)
    if known in names:
        return known
    return names[int(hashlib.sha256(id.encode()).hexdigest(), 16) % len(names)]
