"""What a text asks of the mouth: how often it closes, rounds and bites its lip, and which sounds occur.

Sounds are told by what the mouth does (`cvi.face.phonetics`), so that any language the voice espeak can
pronounce is checked by the same rule.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass

from cvi.engine_registry import build
from cvi.face.phonetics import Target, targets
from cvi.tts.base import Phone, TtsEngine, TtsSettings

CLOSED, BITTEN, ROUNDED, OPEN, SPREAD, TONGUE = (
    "lips closed", "lip to teeth", "lips rounded", "mouth open", "mouth spread", "tongue seen"
)  # fmt: skip
NEEDED = {CLOSED: 40, BITTEN: 12, ROUNDED: 20, OPEN: 20, SPREAD: 15, TONGUE: 10}
"""How often each should occur in the footage: some five examples of each for every neighbour that matters.
Chosen by judgement; `cvi replica script --check` prints what the shipped scripts have."""
NAMES = {
    CLOSED: "P, B, M",
    BITTEN: "F, V",
    ROUNDED: "OO, W",
    OPEN: "AH",
    SPREAD: "EE",
    TONGUE: "L, TH",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """`mouths` counts what the mouth does (keys of NEEDED), `phones` each sound by its IPA symbol."""

    mouths: dict[str, int]
    phones: dict[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        """What occurs too seldom, keys of NEEDED."""
        return tuple(name for name, least in NEEDED.items() if self.mouths.get(name, 0) < least)


def coverage(text: str, language: str = "en") -> Coverage:
    """Count the sounds of a text. Raises MissingError without espeak, UsageError for a language it lacks."""
    voice: TtsEngine = build("tts", "espeak", TtsSettings(language=language))
    try:
        phones = asyncio.run(_phones(voice, text))
    finally:
        voice.close()
    return count(phones)


def count(phones: list[Phone]) -> Coverage:
    """The same for sounds that are known."""
    mouths: Counter[str] = Counter(dict.fromkeys(NEEDED, 0))
    symbols: Counter[str] = Counter()
    for phone in phones:
        if phone.ipa:
            symbols[phone.ipa] += 1
        mouths.update({name for target in targets(phone.ipa) if (name := _does(target)) is not None})
    return Coverage(dict(mouths), dict(symbols.most_common()))


def _does(target: Target) -> str | None:
    if target.lips >= 0.9:
        return CLOSED
    if target.teeth >= 0.5:
        return BITTEN
    if target.round >= 0.6:
        return ROUNDED
    if target.tongue >= 0.6:
        return TONGUE
    if target.vowel and target.jaw >= 0.6:
        return OPEN
    if target.vowel and target.wide >= 0.5:
        return SPREAD
    return None


async def _phones(voice: TtsEngine, text: str) -> list[Phone]:
    found: list[Phone] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        async with aclosing(voice.speak(line)) as spoken:  # type: ignore[type-var]
            async for piece in spoken:
                found += piece.phones
    return found
