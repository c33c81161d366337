"""The mouth target of each speech sound, from its articulation.

No list of one language's phonemes: a symbol of the International Phonetic Alphabet is read as base letters
with modifiers; each letter has articulatory features (openness, backness and rounding of a vowel; place and
manner of a consonant), and the features give the target. An unknown letter falls back to the plain letter it
derives from, and then to a neutral target of low dominance.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Target:
    """The mouth target of one articulation.

    `jaw`, `wide`, `round`, `tongue`: the shape, 0..1. `jaw_weight` ... `tongue_weight`: dominance over the
    neighbours' targets (Cohen & Massaro 1993), 0 is none. `lips`, `teeth`: contact that must be reached, 0
    none .. 1 full: both lips, or lower lip and upper teeth. `share`: its part of the symbol's time. `vowel`:
    it carries loudness and stress.
    """

    jaw: float
    wide: float
    round: float
    tongue: float
    jaw_weight: float
    wide_weight: float
    round_weight: float
    tongue_weight: float
    lips: float = 0.0
    teeth: float = 0.0
    vowel: bool = False
    share: float = 1.0


# letter: (openness 0 close .. 1 open, backness 0 front .. 1 back, rounding 0..1)
_VOWELS = {
    "i": (0.0, 0.0, 0.0), "y": (0.0, 0.0, 1.0), "ɨ": (0.0, 0.5, 0.0), "ʉ": (0.0, 0.5, 0.95),
    "ɯ": (0.0, 1.0, 0.0), "u": (0.0, 1.0, 1.0), "ɪ": (0.17, 0.15, 0.0), "ʏ": (0.17, 0.15, 0.8),
    "ʊ": (0.17, 0.85, 0.75), "ᵻ": (0.15, 0.4, 0.0), "ᵿ": (0.17, 0.7, 0.6), "e": (0.33, 0.0, 0.0),
    "ø": (0.33, 0.0, 0.95), "ɘ": (0.33, 0.5, 0.0), "ɵ": (0.33, 0.5, 0.85), "ɤ": (0.33, 1.0, 0.0),
    "o": (0.36, 1.0, 0.95), "ə": (0.42, 0.5, 0.0), "ɚ": (0.36, 0.5, 0.4), "ɛ": (0.6, 0.05, 0.0),
    "œ": (0.6, 0.05, 0.8), "ɜ": (0.5, 0.5, 0.0), "ɝ": (0.42, 0.5, 0.4), "ɞ": (0.6, 0.5, 0.75),
    "ʌ": (0.66, 0.85, 0.0), "ɔ": (0.68, 1.0, 0.8), "æ": (0.84, 0.1, 0.0), "ɐ": (0.8, 0.5, 0.0),
    "a": (0.97, 0.25, 0.0), "ɶ": (1.0, 0.1, 0.6), "ɑ": (1.0, 1.0, 0.0), "ɒ": (0.95, 1.0, 0.55),
}  # fmt: skip

# class: (jaw, wide, round, tongue, jaw weight, wide weight, round weight, tongue weight, lips, teeth)
_CLASSES = {
    "bilabial": (0.05, 0.0, 0.0, 0.0, 0.8, 0.05, 0.1, 0.5, 1.0, 0.0),
    "bilabial fricative": (0.12, 0.0, 0.1, 0.0, 0.9, 0.2, 0.2, 0.5, 0.55, 0.0),
    "labiodental": (0.12, 0.12, 0.0, 0.0, 1.0, 0.3, 0.4, 0.6, 0.0, 1.0),
    "labiodental glide": (0.2, 0.1, 0.0, 0.0, 0.7, 0.2, 0.3, 0.4, 0.0, 0.6),
    "dental": (0.22, 0.15, 0.0, 0.95, 1.0, 0.2, 0.15, 2.2, 0.0, 0.0),
    "alveolar": (0.2, 0.15, 0.0, 0.3, 0.9, 0.15, 0.08, 0.9, 0.0, 0.0),
    "tap": (0.3, 0.1, 0.0, 0.35, 0.5, 0.1, 0.06, 0.7, 0.0, 0.0),
    "sibilant": (0.1, 0.38, 0.0, 0.0, 1.6, 0.25, 0.08, 0.9, 0.0, 0.0),
    "lateral": (0.32, 0.12, 0.0, 0.68, 0.6, 0.15, 0.08, 1.8, 0.0, 0.0),
    "rhotic": (0.22, 0.0, 0.45, 0.05, 0.8, 0.3, 0.8, 0.6, 0.0, 0.0),
    "postalveolar": (0.14, 0.0, 0.62, 0.0, 1.5, 0.3, 1.1, 0.8, 0.0, 0.0),
    "palatal sibilant": (0.12, 0.4, 0.1, 0.0, 1.4, 0.5, 0.5, 0.8, 0.0, 0.0),
    "retroflex": (0.22, 0.0, 0.2, 0.12, 0.8, 0.15, 0.3, 0.6, 0.0, 0.0),
    "palatal": (0.17, 0.55, 0.0, 0.0, 0.9, 0.7, 0.3, 0.5, 0.0, 0.0),
    "dorsal": (0.3, 0.08, 0.0, 0.0, 0.35, 0.05, 0.05, 0.4, 0.0, 0.0),
    "pharyngeal": (0.5, 0.05, 0.0, 0.0, 0.3, 0.05, 0.05, 0.3, 0.0, 0.0),
    "glottal": (0.3, 0.0, 0.0, 0.0, 0.04, 0.02, 0.02, 0.1, 0.0, 0.0),
    "rounded glide": (0.12, 0.0, 1.0, 0.0, 1.3, 0.6, 1.8, 0.6, 0.0, 0.0),
}

_CONSONANTS = {
    letter: name
    for name, letters in {
        "bilabial": "pbmʙɓʘ",
        "bilabial fricative": "ɸβ",
        "labiodental": "fvɱ",
        "labiodental glide": "ʋⱱ",
        "dental": "θðǀ",
        "alveolar": "tdnɗǃ",
        "tap": "ɾrɺ",
        "sibilant": "szʦʣ",
        "lateral": "lɫɬɮǁ",
        "rhotic": "ɹ",
        "postalveolar": "ʃʒʧʤ",
        "palatal sibilant": "ɕʑʨʥ",
        "retroflex": "ʈɖɳʂʐɻɭɽ",
        "palatal": "cɟɲçʝjʎʄǂ",
        "dorsal": "kɡgŋxɣɰʟɠqɢɴχʁʀʛɧ",
        "pharyngeal": "ħʕʡʜʢ",
        "glottal": "hɦʔ",
        "rounded glide": "wʍɥ",
    }.items()
    for letter in letters
}

_ROUNDING = {"ʷ": 0.6, "\u032b": 0.6, "\u0339": 0.2, "\u031c": -0.2, "˞": 0.35, "ᶣ": 0.6}
_LENGTH = {"ː": 1.6, "ˑ": 1.25, "\u0306": 0.7, "\u032f": 0.7}


@lru_cache(maxsize=1024)
def targets(ipa: str) -> tuple[Target, ...]:
    """The articulations of one IPA symbol in order, their shares adding up to 1; () for silence.

    "p" -> one with full lip contact; "aɪ" -> two, open then spread; "t͡ʃ" -> two; "iː", "kʷ", "ã", "n̩" are
    read with their marks. Stress and tone marks, tie bars and digits have no target.
    """
    found: list[Target] = []
    for char in unicodedata.normalize("NFC", ipa.strip()):
        _read(char, found)
    whole = sum(target.share for target in found)
    return tuple(replace(target, share=target.share / whole) for target in found)


def _read(char: str, found: list[Target]) -> None:
    base = _letter(char)
    if base is not None:
        found.append(base if not (base.vowel and found and found[-1].vowel) else replace(base, share=0.8))
        marks = unicodedata.normalize("NFD", char)[1:] if char not in _CONSONANTS else ""
    else:
        marks = char
    if found:
        for mark in marks:
            found[-1] = _modified(found[-1], mark)


def _letter(char: str) -> Target | None:
    """The target of a base letter, through the plain letter it derives from; None for a mark."""
    for candidate in (char, char.lower(), unicodedata.normalize("NFD", char)[0].lower()):
        if candidate in _VOWELS:
            return _vowel(*_VOWELS[candidate])
        if candidate in _CONSONANTS:
            return _consonant(_CONSONANTS[candidate])
    category = unicodedata.category(char)
    if not category.startswith("L") or category == "Lm":
        return None
    # "LATIN SMALL LETTER D WITH HOOK AND TAIL", "LATIN LETTER SMALL CAPITAL I": the letter is a word of one.
    words = [word.lower() for word in unicodedata.name(char, "").split() if len(word) == 1]
    plain = words[0] if words and unicodedata.name(char, "").startswith("LATIN") else ""
    if plain in _VOWELS:
        return _vowel(*_VOWELS[plain])
    return _consonant(_CONSONANTS[plain]) if plain in _CONSONANTS else _neutral()


def _vowel(openness: float, backness: float, rounding: float) -> Target:
    return Target(
        jaw=0.2 + 0.6 * openness,
        wide=(1 - rounding) * ((1 - backness) * (0.7 - 0.4 * openness) + 0.05),
        round=rounding * (1 - 0.45 * openness),
        tongue=0.0,
        jaw_weight=1.0,
        wide_weight=0.7,
        round_weight=1.3 if rounding > 0.3 else 0.5,
        tongue_weight=0.6,
        vowel=True,
    )


def _consonant(kind: str) -> Target:
    jaw, wide, round_, tongue, jaw_w, wide_w, round_w, tongue_w, lips, teeth = _CLASSES[kind]
    return Target(
        jaw, wide, round_, tongue, jaw_w, wide_w, round_w, tongue_w, lips=lips, teeth=teeth, share=0.7
    )


def _neutral() -> Target:
    return Target(0.28, 0.1, 0.0, 0.0, 0.3, 0.1, 0.1, 0.2)


def _modified(target: Target, mark: str) -> Target:
    if mark in _ROUNDING:
        rounded = min(1.0, max(0.0, target.round + _ROUNDING[mark]))
        return replace(target, round=rounded, round_weight=max(target.round_weight, 0.9))
    if mark == "ʲ":
        return replace(target, wide=min(1.0, target.wide + 0.3), wide_weight=max(target.wide_weight, 0.6))
    if mark in _LENGTH:
        return replace(target, share=target.share * _LENGTH[mark])
    return target
