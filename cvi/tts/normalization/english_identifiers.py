"""English: numbers that are names, said in groups or digit by digit: models, ZIP codes, scores."""

from __future__ import annotations

import re

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.english_words import SAID_AS_WORDS
from cvi.tts.normalization.spoken_text import Rule, Writer

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC "
    "ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC PR"
).split()
_STATE_NAMES = (
    "Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii "
    "Idaho Illinois Indiana Iowa Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan "
    "Minnesota Mississippi Missouri Montana Nebraska Nevada Hampshire Jersey Mexico York Carolina "
    "Dakota Ohio Oklahoma Oregon Pennsylvania Island Tennessee Texas Utah Vermont Virginia Washington "
    "Wisconsin Wyoming"
).split()
_BEFORE_ZIP = re.compile(
    rf"(?:\b(?:zip|postal|post|area)(?:[ -]?code)?s?(?: is| of|:|,| no\.?| number)* "
    rf"|\b(?:{'|'.join(_STATES)}),? |\b(?:{'|'.join(_STATE_NAMES)}),? )$",
    re.IGNORECASE,
)
_STATE_BEFORE = re.compile(rf"\b(?:{'|'.join([*_STATES, *_STATE_NAMES])}),? $")
_MAKERS = frozenset(
    "boeing airbus ryzen core pentium xeon threadripper radeon geforce nokia peugeot porsche ferrari "
    "mazda audi bmw canon nikon leica cessna embraer concorde intel amd nvidia apollo windows fiat "
    "volvo saab lancia epyc".split()
)
_NO_MODELS = frozenset("USD EUR GBP JPY CHF CAD AUD AM PM AD BC BCE CE ISO NO VAT".split())
_SCORE = re.compile(
    r"\b(?:wins?|won|los[et]s?|lost|beat(?:en|s)?|scor(?:e|ed|es|ing)|drew|draws?|tied|leads?|led|leading|"
    r"victory|defeat|defeated|final|match|sets?|games?|trail(?:s|ed|ing)?|up|down|ended|finished)\b[^.!?]{0,40}$",
    re.IGNORECASE,
)

_COUNTED = re.compile(
    r"\s?(?:%|(?:days?|weeks?|months?|years?|hours?|minutes?|people|times|percent|points?)\b)"
)


def _zip_code(match: re.Match[str], writer: Writer) -> str | None:
    before = writer.source[: match.start()]
    found = _BEFORE_ZIP.search(before)
    if found is None:
        return None
    word = found.group().strip(" ,:")
    if word.upper() in _STATES and not _STATE_BEFORE.search(before):
        return None  # "in 90210", "or 12345"
    groups = re.findall(r"\d+", match.group())
    return ", ".join(say.digits(group) for group in groups)


def _postal_code(match: re.Match[str], writer: Writer) -> str | None:
    """British: SW1A 1AA."""
    return " ".join(say.digits(char) or char for char in match.group() if char != " ")


def _letters(letters: str) -> str:
    if letters in SAID_AS_WORDS:
        return SAID_AS_WORDS[letters]
    return " ".join(letters) if letters.isupper() and len(letters) <= 4 else letters


def _model(match: re.Match[str], writer: Writer) -> str | None:
    """i7-13700K, A320, GPT-4o, F-16, R2-D2: letters as they are, numbers in groups."""
    name = match.group()
    if match.start() and writer.source[match.start() - 1].isalnum():
        return None
    if re.fullmatch(r"[a-z]+-?\d+s?|[A-Z]+\d{0,2}s", name) and not re.fullmatch(r"[a-z]\d+", name):
        return None
    parts = re.findall(r"[^\W\d_]+|\d+", name)
    return " ".join(say.model_number(part) if part.isdecimal() else _letters(part) for part in parts)


def _model_after_maker(match: re.Match[str], writer: Writer) -> str | None:
    before = writer.last_source
    acronym = before.isupper() and 2 <= len(before) <= 4 and before.isalpha() and before not in _NO_MODELS
    if not (acronym or before.lower() in _MAKERS) or writer.at_start:
        return None
    return f"{say.model_number(match[1])} {' '.join(match[2])}".strip()


def _score(match: re.Match[str], writer: Writer) -> str | None:
    low, high = int(match[1]), int(match[2])
    after = writer.source[match.end() :]
    named = re.match(r"\s(?:win|lead|victory|defeat|loss|draw|score|upset|thriller)\b", after)
    if not named and not _SCORE.search(writer.source[: match.start()]):
        return None
    if _COUNTED.match(after):
        return None
    return f"{say.cardinal(low)} {say.cardinal(high)}"


IDENTIFIER_RULES: list[Rule] = [
    (
        re.compile(r"\d{1,9}(?:-\d{1,9}){3,}(?![\w-])"),  # ISBN 978-3-16-148410-0
        lambda m, _: ", ".join(map(say.digits, m[0].split("-"))),
    ),
    (re.compile(r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)"), _postal_code),
    (re.compile(r"\d{5}(?:-\d{4})?(?![\w.,]*\d)(?!\w)"), _zip_code),
    (
        re.compile(
            r"[A-Za-z]{1,8}\d{1,2}-\d{1,5}[A-Za-z]{0,3}(?![\w-])"  # i7-13700K
            r"|[A-Za-z]{1,10}-\d{1,5}[A-Za-z]{0,3}(?:-\d{1,5})?(?![\w-]|\.\d)"  # GPT-4o, F-16, Covid-19
            r"|[A-Za-z]\d-[A-Za-z]\d(?!\w)|[A-Z]-\d[A-Z]{1,3}(?!\w)"  # R2-D2, C-3PO
            r"|[A-Z]{1,4}\d{3,5}[A-Za-z]{0,2}(?![\w-])"  # A320, RTX4090
        ),
        _model,
    ),
    (re.compile(r"(\d{3,5})([A-Z]{0,2}|Ti)(?![\w%°€$£]|[.,:/-]\d)"), _model_after_maker),
    (re.compile(r"(\d{1,3})\s?[-–:]\s?(\d{1,3})(?![\w%:/-]|[.,]\d)"), _score),
]
