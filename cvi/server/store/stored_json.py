"""JSON objects as they are stored: read back, or known to be unreadable."""

from __future__ import annotations

import json
import logging
from typing import Any

MAX_DEPTH = 100
"""Answers are made by code that recurses; what is stored through the API is much flatter."""

log = logging.getLogger("cvi.server.store")


def readable(text: str, what: str) -> dict[str, Any] | None:
    """The object that a stored text holds; None, with a line in the log, for one that cannot be answered.

    `what` names the row. Such a row comes from an earlier version, or from a damaged file.
    """
    try:
        value = json.loads(text)
        level: list[Any] = [value]
        for _ in range(MAX_DEPTH):
            level = [inner for each in level for inner in _inside(each)]
            if not level:
                break
        else:
            raise ValueError("nested too deep")
        json.dumps(value, ensure_ascii=False).encode()
        if isinstance(value, dict):
            return value
    except (ValueError, RecursionError, TypeError):
        pass
    log.error("%s in the database cannot be read; it can be deleted", what)
    return None


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
