"""Which scripts a voice can read: a voice of a Latin-written language says nothing sensible for 你好."""

from __future__ import annotations

import unicodedata
from collections import Counter

from cvi.errors import EngineError

_NAMES = {
    "CJK": "Chinese characters", "HIRAGANA": "Japanese kana", "KATAKANA": "Japanese kana",
    "HANGUL": "Korean letters", "CYRILLIC": "Cyrillic letters", "ARABIC": "Arabic letters",
    "HEBREW": "Hebrew letters", "DEVANAGARI": "Devanagari letters", "BENGALI": "Bengali letters",
    "GURMUKHI": "Gurmukhi letters", "GUJARATI": "Gujarati letters", "TAMIL": "Tamil letters",
    "TELUGU": "Telugu letters", "KANNADA": "Kannada letters", "MALAYALAM": "Malayalam letters",
    "SINHALA": "Sinhala letters", "THAI": "Thai letters", "LAO": "Lao letters", "KHMER": "Khmer letters",
    "MYANMAR": "Burmese letters", "GEORGIAN": "Georgian letters", "ARMENIAN": "Armenian letters",
    "ETHIOPIC": "Ethiopic letters", "GREEK": "Greek letters", "TIBETAN": "Tibetan letters",
}  # fmt: skip
"""By the first word of a letter's Unicode name."""
_READ_BY = {
    "CJK": "zh cmn yue ja ko", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko",
    "CYRILLIC": "ru uk bg be mk sr kk ky tg mn tt ba cv", "ARABIC": "ar fa ur ps sd ug ku", "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne sa kok", "BENGALI": "bn as", "GURMUKHI": "pa", "GUJARATI": "gu", "TAMIL": "ta",
    "TELUGU": "te", "KANNADA": "kn", "MALAYALAM": "ml", "SINHALA": "si", "THAI": "th", "LAO": "lo",
    "KHMER": "km", "MYANMAR": "my shn", "GEORGIAN": "ka", "ARMENIAN": "hy hyw", "ETHIOPIC": "am ti",
    "GREEK": "el grc", "TIBETAN": "bo",
}  # fmt: skip
_WHOLE_SYLLABLES = frozenset({"CJK", "HANGUL", "HIRAGANA", "KATAKANA"})


class UnreadableTextError(EngineError):
    """A text in a script that the voice cannot read."""


def check_readable(text: str, language: str) -> None:
    """Raise UnreadableTextError if most of `text` is in a script that `language` is not written in.

    Latin letters, and single Greek ones, are read in every language. A few foreign words pass.
    """
    code = language.replace("_", "-").split("-")[0].lower()
    found: Counter[str] = Counter()
    for word in text.split():
        scripts = Counter(_script(char) for char in word if char.isalpha())
        if scripts == {"GREEK": 1}:
            continue
        for script, letters in scripts.items():
            foreign = script in _READ_BY and code not in _READ_BY[script].split()
            found[script if foreign else ""] += letters * (3 if script in _WHOLE_SYLLABLES else 1)
    readable = found.pop("", 0)
    if found and sum(found.values()) > readable:
        [(script, _)] = found.most_common(1)
        raise UnreadableTextError(
            f"This voice cannot read {_NAMES[script]}; its language is '{language}'.",
            "Choose a voice that speaks the text's language.",
        )


def _script(char: str) -> str:
    return unicodedata.name(char, "").split(" ", 1)[0]
