"""English dates and times of day."""

from __future__ import annotations

import re

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.english_words import ends_sentence
from cvi.tts.normalization.spoken_text import Rule, Writer

_MONTH_NAMES = {name[:3].lower(): name for name in say.MONTHS}
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)


def _iso_date(match: re.Match[str], writer: Writer) -> bool:
    year, month, day = (int(part) for part in match.groups())
    return _say_date(match, writer, day, month, year)


def _slash_date(match: re.Match[str], writer: Writer) -> bool:
    first, second, year = (int(part) for part in match.groups())
    # Month first, as English speech engines read it, unless that cannot be.
    day, month = (second, first) if first <= 12 else (first, second)
    return _say_date(match, writer, day, month, year if year > 99 else 2000 + year)


def _say_date(match: re.Match[str], writer: Writer, day: int, month: int, year: int) -> bool:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    writer.say(say.date(day, month, year), match.start(), match.end())
    return True


def _month_day(match: re.Match[str], writer: Writer) -> bool:
    if int(match.group("day")) > 31:
        return False
    name = _MONTH_NAMES[match.group("month")[:3].lower()]
    month, day = (name, match.start("month"), match.end("month")), int(match.group("day"))
    ordinal = (say.ordinal(day), match.start("day"), match.end("day"))
    if match.start("day") < match.start("month"):
        writer.say(f"the {ordinal[0]}" if writer.last_source.lower() != "the" else ordinal[0], *ordinal[1:])
        writer.say(f"of {name}", *month[1:])
    else:
        writer.say(*month)
        writer.say(*ordinal)
    if match.group("year"):
        writer.pause(",")
        writer.say(say.year(int(match.group("year"))), match.start("year"), match.end("year"))
    return True


def _month(match: re.Match[str], writer: Writer) -> bool:
    writer.say(_MONTH_NAMES[match.group(1)[:3].lower()], match.start(), match.end())
    return True


def _time(match: re.Match[str], writer: Writer) -> bool:
    hour, minute = int(match.group("hour")), int(match.group("minute") or 0)
    half = (match.group("half") or "").replace(".", "").replace(" ", "").upper()
    if hour > 24 or (half and hour > 12) or (not half and match.group("minute") is None):
        return False
    said = say.time_of_day(hour, minute, half)
    if match.group("second"):
        said += f" and {say.cardinal(int(match.group('second')))} seconds"
    # In "3 PM." the stop is the sentence's, in "3 p.m." also the abbreviation's.
    dotted = "." in (match.group("half") or "")[:-1]
    stopped = match.group().endswith(".")
    writer.say(said, match.start(), match.end() - (stopped and not dotted))
    if stopped and (not dotted or ends_sentence(writer.source, match.end())):
        writer.pause(".")
    return True


DATE_RULES: list[Rule] = [
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\w)"), _iso_date),
    (re.compile(r"(\d\d?)/(\d\d?)/(\d{4}|\d\d)(?!\w)"), _slash_date),
    (
        re.compile(
            rf"(?P<month>{_MONTH})\.? "
            r"(?P<day>\d\d?)(?:st|nd|rd|th)?(?![\d:%]|\.\d)"
            r"(?:,? (?P<year>[12]\d{3})(?!\d))?"
        ),
        _month_day,
    ),
    (
        re.compile(
            rf"(?P<day>\d\d?)(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})\b\.?"
            r"(?:,? (?P<year>[12]\d{3})(?!\d))?"
        ),
        _month_day,
    ),
    (re.compile(r"(Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?= [\dA-Za-z])"), _month),
    (
        re.compile(
            r"(?P<hour>\d\d?)(?::(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?(?:\s?(?P<half>[aApP]\.?\s?[mM]\b\.?))?(?![\w:])"
        ),
        _time,
    ),
]
