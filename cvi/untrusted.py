"""Text and JSON from outside, measured and made valid: what cannot be stored, sent or shown is replaced.

Python's strings can hold halves of surrogate pairs, which JSON's escapes make and UTF-8 has no bytes for.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

_KEPT = "\n\t"


def valid_text(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair that was written as two escapes becomes its character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def valid_json(text: str | bytes, max_depth: int = 100) -> Any:
    """The value of a JSON text, its own texts made valid.

    Raises ValueError for what is no JSON, RecursionError where it is nested too deep.
    """
    value = json.loads(text)
    if size_of(value).depth > max_depth:
        raise RecursionError(f"nested deeper than {max_depth} levels")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return valid_value(value)
    return value


def valid_value(value: Any) -> Any:
    """A JSON value with all texts made valid, keys too."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, dict):
        return {valid_text(str(key)): valid_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [valid_value(each) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class Size:
    """How many values a JSON value consists of, how deep they are nested, and the characters of its texts,
    keys and whole numbers; a text alone is 1 and 0."""

    values: int
    depth: int
    chars: int


def size_of(value: Any) -> Size:
    """The size of a JSON value. No recursion: any depth can be measured."""
    values, depth, chars, level = 0, 0, 0, [value]
    while level:
        values += len(level)
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
                chars += sum(len(key) for key in each if isinstance(key, str))
            elif isinstance(each, list | tuple):
                inner.extend(each)
            elif isinstance(each, str):
                chars += len(each)
            elif isinstance(each, int):
                chars += each.bit_length() // 3  # about its digits: thousands of them are valid JSON
        if inner or any(isinstance(each, dict | list | tuple) for each in level):
            depth += 1
        level = inner
    return Size(values, depth, chars)


def printable(text: str) -> str:
    """The text for a terminal: control and formatting characters, with which it could be told to do things or
    words be shown in another order, become U+FFFD; line ends and tabs stay."""
    return "".join(
        char
        if char in _KEPT or unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char == "\u200d"
        else "\ufffd"
        for char in text
    )
