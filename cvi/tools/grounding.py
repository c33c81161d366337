"""Which arguments of a call were never said: a small model would rather invent a number than leave it out.

Only what can be told from the words alone counts: long numbers and addresses that nobody said; names and
small numbers that stand in the tool's own examples and not in the words; nothing where something is required.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LEAST_DIGITS = 3
"""Shorter numbers are times and amounts, which a model may write in another way than they were said."""
_DIGIT_WORDS = {
    word: str(digit)
    for digit, words in enumerate(
        ("zero oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
    for word in words.split()
}
_SPOKEN_SIGNS = ((" at ", "@"), (" dot ", "."), (" underscore ", "_"), (" dash ", "-"))


def invented(
    arguments: Mapping[str, Any], required: Sequence[str], said: str, examples: Sequence[str]
) -> list[str]:
    """The names of arguments that `said`, the participant's words, give no reason for.

    >>> invented({"number": "441"}, ["number"], "where is my parcel", ["Has package 4 4 1 come?"])
    ['number']
    """
    found = [name for name, value in arguments.items() if _is_invented(value, said, examples)]
    empty = [name for name in required if arguments.get(name) in (None, "", [], {})]
    return [*dict.fromkeys([*found, *empty])]


def unfit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The names of arguments that break a rule of the schema that no grammar holds: a range, a pattern."""
    from jsonschema.validators import validator_for

    faults = validator_for(schema)(schema).iter_errors(dict(arguments))
    return [str(fault.path[0]) for fault in faults if fault.path]


def _is_invented(value: Any, said: str, examples: Sequence[str]) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return not _names_number(said, value) and _names_number(" ".join(examples), value)
    if not isinstance(value, str):
        return False
    if "@" in value:
        return _joined(value) not in _joined(said)
    digits = _digits(said)
    if any(run not in digits for run in re.findall(rf"\d{{{_LEAST_DIGITS},}}", _digits_only_runs(value))):
        return True
    words = set(_words(value))
    return bool(words) and not words & set(_words(said)) and words <= set(_words(" ".join(examples)))


def _names_number(text: str, value: float) -> bool:
    from num2words import num2words

    if value == int(value):
        value = int(value)
    text = text.lower().replace("-", " ")
    words = str(num2words(value)).replace("-", " ")
    return re.search(rf"\b(?:{re.escape(str(value))}|{re.escape(words)})\b", text) is not None


def _joined(text: str) -> str:
    text = f" {text.lower()} "
    for spoken, sign in _SPOKEN_SIGNS:
        text = text.replace(spoken, sign)
    return "".join(text.split()).rstrip(".?!")


def _digits(text: str) -> str:
    """All digits of a text, spoken or written, without what stands between them."""
    parts = re.findall(r"[a-z]+|\d", text.lower())
    return "".join(_DIGIT_WORDS.get(part, part if part.isdigit() else "") for part in parts)


def _digits_only_runs(value: str) -> str:
    """The value with blanks and dashes between digits taken out: "4 4 1" is one number."""
    return re.sub(r"(?<=\d)[\s-]+(?=\d)", "", value)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]{3,}", text.lower())
