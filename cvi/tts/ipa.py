"""One set of symbols for the speech sounds of all engines.

`Phone.ipa` is always one plain IPA symbol, or two for a diphthong or affricate (aɪ aʊ ɔɪ eɪ oʊ tʃ dʒ ...),
without stress, length, tie or syllable marks; "" is silence.
"""

from __future__ import annotations

import unicodedata

# The Carnegie Mellon set in flite's spelling.
ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b",
    "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɚ",
    "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "ix": "ɪ", "iy": "i", "jh": "dʒ",
    "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "nx": "n", "ow": "oʊ", "oy": "ɔɪ", "p": "p",
    "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j",
    "z": "z", "zh": "ʒ", "pau": "", "sil": "", "h#": "", "brth": "", "ssil": "",
}  # fmt: skip

VOWELS = frozenset("a ɐ ɑ ɒ æ ʌ ə ɚ ɜ ɝ ɛ e ɘ ɤ i ɪ ɨ o ɔ ø œ ɶ u ʊ ʉ ɯ y ʏ ɵ ɞ".split())
CONSONANTS = frozenset(
    "b β c ç d ð ɖ dʒ f ɡ ɢ ɣ h ħ ɦ j ʝ k l ɫ ɬ ɭ ʎ m ɱ n ɲ ŋ ɳ p ɸ q r ɹ ɾ ɽ ʁ ʀ s ʃ ɕ ʂ t ʈ tʃ ts dz tɕ "
    "dʑ θ v ʋ w ʍ ɥ x χ z ʒ ʑ ʐ ʔ ʕ pf".split()
)
_OTHER_NAMES = {
    "g": "ɡ",
    "ᵻ": "ɪ",
    "ɝ": "ɚ",
    "ɬ": "l",
    "ɫ": "l",
    "ʲ": "",
    "ʰ": "",
    "ʷ": "",
    "ˤ": "",
    "ʼ": "",
    "*": "ɾ",
}
_STRESS = {"ˈ": 1, "ˌ": 2}


def sounds(symbol: str) -> list[tuple[str, int]]:
    """An engine's IPA symbol as sounds with their stress: 'ˈɛɹ' -> [('ɛ', 1), ('ɹ', 0)]; '' -> [('', 0)].

    Stress is 0 none, 1 primary, 2 secondary, and lies on vowels. Marks that change no lip or tongue
    position that can be seen (length, aspiration, tone) are dropped.
    """
    stress = max((_STRESS.get(char, 0) for char in symbol), key=lambda mark: (mark == 1, mark), default=0)
    plain = "".join(
        _OTHER_NAMES.get(char, char)
        for char in unicodedata.normalize("NFD", symbol)
        if unicodedata.category(char) in ("Ll", "Lo") or char in _OTHER_NAMES
    ).replace("ç", "ç")
    if not plain:
        return [("", 0)]
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(plain):
        pair = plain[at : at + 2]
        diphthong = len(pair) == 2 and all(char in VOWELS for char in pair)
        size = 2 if (pair in CONSONANTS and len(pair) == 2) or diphthong else 1
        vowel = plain[at] in VOWELS
        found.append((plain[at : at + size], stress if vowel else 0))
        at += size
    return found


def is_vowel(ipa: str) -> bool:
    """Whether a sound named as above is a vowel or diphthong."""
    return ipa[:1] in VOWELS
