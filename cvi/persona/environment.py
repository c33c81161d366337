"""`${NAME}` in a persona file stands for an environment variable, so that secrets stay out of files."""

from __future__ import annotations

import os
import re

from cvi.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_reference(text: str) -> bool:
    """Whether the text is made of `${NAME}` alone, perhaps after a scheme word: "Bearer ${TOKEN}"."""
    rest, count = _REFERENCE.subn("", text)
    return count > 0 and rest.strip() in ("", "Bearer", "Basic", "Token")


def references(text: str) -> list[str]:
    """The names of the variables the text refers to, in order."""
    return _REFERENCE.findall(text)


def expand(text: str) -> str:
    """The text with each `${NAME}` replaced by that variable's value, read now.

    Raises `UsageError` when one is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise UsageError(
                f"The persona refers to ${{{match[1]}}}, and that environment variable is not set.",
                f"Set it before you start: export {match[1]}=...",
            )
        return found

    return _REFERENCE.sub(value, text)
