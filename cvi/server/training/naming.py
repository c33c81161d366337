"""What the folder of a replica is called that the API knows by a title."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

LONGEST = 48


def folder_name(title: str, taken: Collection[str]) -> str:
    """A name that the command line takes, near to the title: "Anna Müller" -> anna-muller, anna-muller-2.

    >>> folder_name("Anna Müller", {"anna-muller"})
    'anna-muller-2'
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST].strip("-") or "replica"
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
