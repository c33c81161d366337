"""What a participant is told about talking with a program: spoken with the greeting, shown on the page.

The European Union's AI Act (Regulation 2024/1689, article 50) wants people told at the latest when they first
meet the program; its article 5 bans the recognition of emotions at work and at school.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DisclosureType = Literal["none", "verbal", "visual", "both"]

_VERBAL: Mapping[str, str] = {
    "en": "Just so you know: I'm an AI, not a person.",
    "de": "Damit Sie es wissen: Ich bin eine KI, kein Mensch.",
    "fr": "Pour votre information : je suis une IA, pas une personne.",
    "es": "Para que lo sepa: soy una IA, no una persona.",
    "it": "Per sua informazione: sono un'IA, non una persona.",
    "nl": "Ter informatie: ik ben een AI, geen mens.",
    "pt": "Para sua informação: sou uma IA, não uma pessoa.",
    "pl": "Dla informacji: jestem sztuczną inteligencją, nie człowiekiem.",
}
_VISUAL: Mapping[str, str] = {
    "en": "You are talking with an AI",
    "de": "Sie sprechen mit einer KI",
    "fr": "Vous parlez avec une IA",
    "es": "Está hablando con una IA",
    "it": "Sta parlando con un'IA",
    "nl": "U praat met een AI",
    "pt": "Está a falar com uma IA",
    "pl": "Rozmawiasz ze sztuczną inteligencją",
}


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What is said before the greeting, and what is shown; "" for nothing."""

    verbal: str = ""
    visual: str = ""


def disclosure(kind: DisclosureType, verbal: str | bool, visual: str | bool, language: str) -> Disclosure:
    """From a persona's fields: a text is that text, True the usual one, False what `kind` says.

    `language` is a two-letter code; where there is no text in it, the English one is taken.
    """

    def text(given: str | bool, wanted: bool, usual: Mapping[str, str]) -> str:
        if isinstance(given, str) and given.strip():
            return given.strip()
        return usual.get(language, usual["en"]) if given is True or wanted else ""

    return Disclosure(
        text(verbal, kind in ("verbal", "both"), _VERBAL), text(visual, kind in ("visual", "both"), _VISUAL)
    )
