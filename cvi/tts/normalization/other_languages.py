"""Rules for languages other than English: numbers, percent, money and a few signs.

The voices read the rest by themselves; espeak-ng knows the abbreviations of its languages.
"""

from __future__ import annotations

import re

from cvi.tts.normalization.numerals import cardinal
from cvi.tts.normalization.spoken_text import Rule, Writer

_WORDS = {
    "de": {
        "%": "Prozent", "&": "und", "+": "plus", "=": "gleich", "@": "at", "€": "Euro", "$": "Dollar",
        "£": "Pfund", ",": "Komma", "°C": "Grad Celsius", "°": "Grad",
    },
    "fr": {
        "%": "pour cent", "&": "et", "+": "plus", "=": "égale", "@": "arobase", "€": "euros",
        "$": "dollars", "£": "livres", ",": "virgule", "°C": "degrés Celsius", "°": "degrés",
    },
    "es": {
        "%": "por ciento", "&": "y", "+": "más", "=": "igual a", "@": "arroba", "€": "euros",
        "$": "dólares", "£": "libras", ",": "coma", "°C": "grados Celsius", "°": "grados",
    },
    "it": {
        "%": "per cento", "&": "e", "+": "più", "=": "uguale", "@": "chiocciola", "€": "euro",
        "$": "dollari", "£": "sterline", ",": "virgola", "°C": "gradi Celsius", "°": "gradi",
    },
    "pt": {
        "%": "por cento", "&": "e", "+": "mais", "=": "igual a", "@": "arroba", "€": "euros",
        "$": "dólares", "£": "libras", ",": "vírgula", "°C": "graus Celsius", "°": "graus",
    },
    "nl": {
        "%": "procent", "&": "en", "+": "plus", "=": "is", "@": "at", "€": "euro", "$": "dollar",
        "£": "pond", ",": "komma", "°C": "graden Celsius", "°": "graden",
    },
}  # fmt: skip
_NUMBER = r"\d{1,3}(?:[. \u202f]\d{3})+(?:,\d+)?|\d+(?:[.,]\d+)?"


def rules_for(language: str) -> list[Rule]:
    """The rules of one language; without a table, whole numbers are read if num2words knows it."""
    words = _WORDS.get(language, {})

    def number(figures: str) -> str:
        whole, _, fraction = (
            re.sub(r"(?<=\d)[. \u202f](?=\d{3}(?!\d))", "", figures).replace(".", ",").partition(",")
        )
        if len(whole) > 13 or (len(whole) > 1 and whole.startswith("0")):
            said = " ".join(cardinal(int(figure), language) for figure in whole)
        else:
            said = cardinal(int(whole), language)
        if fraction:
            said += f" {words.get(',', ',')} " + " ".join(cardinal(int(f), language) for f in fraction)
        return said

    def say_number(match: re.Match[str], writer: Writer) -> str | None:
        unit = match.group("before") or match.group("after") or ""
        return f"{number(match.group('figures'))} {words.get(unit, unit)}".strip()

    def say_sign(match: re.Match[str], writer: Writer) -> str | None:
        return words.get(match.group())

    return [
        (
            re.compile(rf"(?P<before>[$€£]?)[ ]?(?P<figures>{_NUMBER})[ \u00a0]?(?P<after>%|€|\$|£|°C|°)?"),
            say_number,
        ),
        (re.compile(r"[%&+=@€$£°]"), say_sign),
    ]
