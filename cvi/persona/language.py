"""Languages by English name or code, as the wire contract names them."""

from __future__ import annotations

MULTILINGUAL = "multilingual"

CODES = {
    "english": "en",
    "french": "fr",
    "german": "de",
    "spanish": "es",
    "portuguese": "pt",
    "chinese": "zh",
    "japanese": "ja",
    "hindi": "hi",
    "italian": "it",
    "korean": "ko",
    "dutch": "nl",
    "polish": "pl",
    "russian": "ru",
    "swedish": "sv",
    "turkish": "tr",
    "tagalog": "tl",
    "bulgarian": "bg",
    "romanian": "ro",
    "arabic": "ar",
    "czech": "cs",
    "greek": "el",
    "finnish": "fi",
    "croatian": "hr",
    "malay": "ms",
    "slovak": "sk",
    "danish": "da",
    "tamil": "ta",
    "ukrainian": "uk",
    "hungarian": "hu",
    "norwegian": "no",
    "vietnamese": "vi",
    "bengali": "bn",
    "thai": "th",
    "hebrew": "he",
    "georgian": "ka",
    "indonesian": "id",
    "telugu": "te",
    "gujarati": "gu",
    "kannada": "kn",
    "malayalam": "ml",
    "marathi": "mr",
    "punjabi": "pa",
}
_NAMES = {code: name for name, code in CODES.items()}
_OTHER_CODES = {"nb": "no", "nn": "no", "fil": "tl", "iw": "he", "cmn": "zh"}


def language_name(text: str) -> str | None:
    """The lower-case English name for a name ("German"), a code ("de", "de-AT") or "multilingual".

    None when it is no language of the contract.
    """
    word = text.strip().lower()
    if word == MULTILINGUAL or word in CODES:
        return word
    code = word.replace("_", "-").split("-", 1)[0]
    return _NAMES.get(_OTHER_CODES.get(code, code))


def language_code(name: str) -> str | None:
    """The two-letter code of `language_name`'s result; None for "multilingual"."""
    return CODES.get(name)
