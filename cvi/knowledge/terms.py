"""Words as the full-text index sees them: the same for passages and questions, in every script.

SQLite's tokenizer parts words at blanks; scripts without blanks are given as pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_NO_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+")
STEM_LETTERS = 5
"""Of words of seven letters and more these are compared where inflection shall not matter."""


def terms(text: str) -> list[str]:
    """The words of a text: lower case, without accents; pairs of characters where there are no blanks."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = "".join(
        char for char in folded if not unicodedata.combining(char) or "\u3040" <= char <= "\u30ff"
    )
    folded = unicodedata.normalize("NFC", folded)
    return [term for word in _WORD.findall(folded) for term in _split(word)]


def stem(term: str) -> str:
    """A crude stem that serves many languages: the beginning of a long word."""
    return term[: max(STEM_LETTERS, len(term) - 3)] if len(term) >= STEM_LETTERS + 2 else term


def _split(word: str) -> Iterator[str]:
    at = 0
    for run in _NO_BLANKS.finditer(word):
        if run.start() > at:
            yield word[at : run.start()]
        chars = run.group()
        if len(chars) == 1:
            yield chars
        yield from (chars[i : i + 2] for i in range(len(chars) - 1))
        at = run.end()
    if at < len(word):
        yield word[at:]
