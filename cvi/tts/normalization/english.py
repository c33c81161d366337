"""English: the rules in the order in which they are tried; dates, times, quantities and signs stand here."""

from __future__ import annotations

import re

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.english_units import UNIT_RULES, UNITS, alternatives
from cvi.tts.normalization.english_words import IDENTIFIER_RULES, WORD_RULES, ends_sentence
from cvi.tts.normalization.spoken_text import Rule, Writer

# After an amount and a slash.
_PER = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "wk": "week", "min": "minute", "sec": "second",
    "s": "second", "day": "day", "kg": "kilogram", "lb": "pound",
}  # fmt: skip

_PAIRS_OF_CHOICE = frozenset(
    "he/she she/he his/her her/his him/her his/hers yes/no true/false on/off either/or".split()
)

_NUM = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\w)\.\d+"
_UNIT = alternatives(UNITS)
_SCALE = r"(?:\s?(?P<scale>trillion|billion|million|thousand|tn|bn|[kKmMB])\b)?"
_SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "B": "billion", "bn": "billion",
    "tn": "trillion",
}  # fmt: skip
_SYMBOL = r"(?P<symbol>US\$|[$€£¥₹])"
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "×": "times", "÷": "divided by",
    "→": "to", "±": "plus or minus", "≈": "about", "≤": "less than or equal to",
    "≥": "greater than or equal to", "≠": "not equal to", "<": "less than", ">": "greater than",
    "°": "degrees", "~": "about", "$": "dollars", "€": "euros", "£": "pounds", "π": "pi", "µ": "micro",
    "^": "to the power of", "#": "number", "§": "section", "№": "number", "√": "the square root of",
    "∞": "infinity", "∆": "delta", "≡": "is equivalent to", "∈": "in", "−": "minus",
}  # fmt: skip
_SIGN_PAIRS = {
    ">=": "greater than or equal to", "<=": "less than or equal to", "!=": "not equal to", "==": "equals",
    "=>": "to", "->": "to", "+/-": "plus or minus", "+-": "plus or minus",
}  # fmt: skip
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξορστυφχψωΓΔΘΛΞΣΦΨΩ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron rho sigma tau "
        "upsilon phi chi psi omega gamma delta theta lambda xi sigma phi psi omega".split(),
        strict=True,
    )
)
_ENDS_IN_TIME = re.compile(r"(?:\d:[0-5]\d|\d\s?[ap]\.?m\.?|noon|midnight)$", re.IGNORECASE)
_COUNTED_K = re.compile(r"\s+(?:run|race|video|display|monitor|screen|TV)s?\b")
_GLYPHS = {
    "½": "one half", "¼": "one quarter", "¾": "three quarters", "⅓": "one third", "⅔": "two thirds",
    "⅛": "one eighth",
}  # fmt: skip
# Words after which a number is said digit by digit.
_BEFORE_DIGITS = frozenset("call dial ring text code pin extension ext room flight".split())
_MONTH_NAMES = {name[:3].lower(): name for name in say.MONTHS}
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)


def _iso_date(match: re.Match[str], writer: Writer) -> str | None:
    year, month, day = (int(part) for part in match.groups())
    return _date(day, month, year)


def _slash_date(match: re.Match[str], writer: Writer) -> str | None:
    first, second, year = (int(part) for part in match.groups())
    # Month first, as English speech engines read it, unless that cannot be.
    day, month = (second, first) if first <= 12 else (first, second)
    return _date(day, month, year if year > 99 else 2000 + year)


def _dotted_date(match: re.Match[str], writer: Writer) -> str | None:
    day, month, year = (int(part) for part in match.groups())
    return _date(day, month, year if year > 99 else 2000 + year)


def _time_stamp(match: re.Match[str], writer: Writer) -> str | None:
    """2025-12-31T10:30:00Z."""
    date = _date(int(match[3]), int(match[2]), int(match[1]))
    time = say.time_of_day(int(match[4]), int(match[5]))
    return date and f"{date}, at {time}{' U T C' if match[6] else ''}"


def _until(match: re.Match[str], writer: Writer) -> str | None:
    """The dash between two times."""
    before = writer.source[: match.start()]
    return "to" if _ENDS_IN_TIME.search(before) else None


def _greek(match: re.Match[str], writer: Writer) -> str | None:
    return _GREEK[match.group()]


def _date(day: int, month: int, year: int) -> str | None:
    return say.date(day, month, year) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _month_day(match: re.Match[str], writer: Writer) -> str | None:
    if int(match.group("day")) > 31:
        return None
    month, day = _MONTH_NAMES[match.group("month")[:3].lower()], say.ordinal(int(match.group("day")))
    if match.start("day") < match.start("month"):
        writer.say(day if writer.last_source.lower() == "the" else f"the {day}", *match.span("day"))
        writer.say(f"of {month}", *match.span("month"))
    else:
        writer.say(month, *match.span("month"))
        writer.say(day, *match.span("day"))
        if match.group("last"):
            writer.say(f"to {say.ordinal(int(match.group('last')))}", *match.span("last"))
    if match.group("year"):
        writer.pause(",")
        writer.say(say.year(int(match.group("year"))), *match.span("year"))
    return ""


def _month(match: re.Match[str], writer: Writer) -> str | None:
    return _MONTH_NAMES[match.group(1)[:3].lower()]


def _time(match: re.Match[str], writer: Writer) -> str | None:
    hour, minute = int(match.group("hour")), int(match.group("minute") or 0)
    half = (match.group("half") or "").replace(".", "").replace(" ", "").upper()
    if hour > 24 or (half and hour > 12) or (not half and match.group("minute") is None):
        return None
    said = say.time_of_day(hour, minute, half)
    if match.group("second"):
        said += f" and {say.cardinal(int(match.group('second')))} seconds"
    # In "3 PM." the stop is the sentence's, in "3 p.m." also the abbreviation's.
    dotted = "." in (match.group("half") or "")[:-1]
    stopped = match.group().endswith(".")
    writer.say(said, match.start(), match.end() - (stopped and not dotted))
    if stopped and (not dotted or ends_sentence(writer.source, match.end())):
        writer.pause(".")
    return ""


def _phone_number(match: re.Match[str], writer: Writer) -> str | None:
    groups = re.findall(r"\d+", match.group())
    if not match.group().startswith("+") and not 7 <= sum(map(len, groups)) <= 12:
        return None
    plus = "plus " if match.group().startswith("+") else ""
    return plus + ", ".join(say.digits(group) for group in groups)


def _dialled(match: re.Match[str], writer: Writer) -> str | None:
    return say.digits(match.group()) if writer.last_source.lower() in _BEFORE_DIGITS else None


def _sides(match: re.Match[str], writer: Writer) -> str | None:
    """10 x 20 cm."""
    sides = " by ".join(map(say.number, re.findall(_NUM, match["sides"])))
    return f"{sides} {UNITS[match['unit']][1]}" if match["unit"] else sides


def _emergency(match: re.Match[str], writer: Writer) -> str | None:
    return None if writer.last_source.lower() == "porsche" else say.digits(match.group())


def _money(match: re.Match[str], writer: Writer) -> str | None:
    scale = _SCALES.get(match.group("scale") or "", match.group("scale") or "")
    said = say.money(match.group("symbol"), match.group("amount"), scale)
    if match.group("to"):
        most = say.money(match.group("symbol"), match.group("to"), scale)
        said = f"{say.number(match.group('amount'))} to {most}"
    if match.group("minus"):
        said = f"minus {said}"
    return said


def _range(match: re.Match[str], writer: Writer) -> str | None:
    low, high = match.group("low"), match.group("high")
    years = re.fullmatch(r"1[1-9]\d\d|20\d\d", low) is not None and not match.group("unit")
    short = years and len(high) == 2 and int(high) > int(low[2:])
    if years and (short or re.fullmatch(r"1[1-9]\d\d|20\d\d", high)):
        said = f"{say.year(int(low))} to {say.year(int(high))}"
    else:
        said = f"{say.number(low)} to {say.number(high)}"
    unit = match.group("unit") or ""
    if unit in ("%", "x"):
        said += " percent" if unit == "%" else " times"
    elif unit:
        said += f" {UNITS[unit][1]}"
    return said


def _measure(match: re.Match[str], writer: Writer) -> str | None:
    figures, unit, space = match.group("figures"), match.group("unit"), match.group("space")
    if unit == "K" and _COUNTED_K.match(writer.source, match.end()):
        return None
    if (space and unit in ("k", "K", "M", "l")) or match.group().endswith(("4K", "8K")):
        return None
    one, many = UNITS[unit]
    writer.say(_signed(match, say.number(figures)), match.start(), match.end("figures"))
    writer.say(one if figures == "1" else many, *match.span("unit"))
    if (
        unit.isalpha()
        and writer.source[match.end() : match.end() + 1] == "."
        and ends_sentence(writer.source, match.end() + 1)
    ):
        writer.pause(".")
    return ""


def _signed(match: re.Match[str], said: str) -> str:
    return f"minus {said}" if match.groupdict().get("minus") else said


def _decade(match: re.Match[str], writer: Writer) -> str | None:
    value = int(match.group(1))
    return say.plural(say.year(value) if value > 99 else say.cardinal(value))


def _fraction(match: re.Match[str], writer: Writer) -> str | None:
    whole, top, bottom = match.group("whole"), int(match.group("top")), int(match.group("bottom"))
    if match.group() in ("24/7", "50/50", "9/11"):
        said = f"{say.cardinal(top)} {say.cardinal(bottom)}"
    elif not whole and top <= 12 and 12 < bottom <= 31 and bottom not in (16, 20):
        said = say.date(bottom, top)
    elif bottom in (0, 1) or bottom > 100 or top > 100:
        said = f"{say.cardinal(top)} over {say.cardinal(bottom)}"
    elif top >= bottom or bottom in (10, 100, 20, 50):
        said = f"{say.cardinal(top)} out of {say.cardinal(bottom)}"
    else:
        said = say.fraction(top, bottom)
        if whole:
            said = f"{say.cardinal(int(whole))} and {'a half' if said == 'one half' else said}"
    if whole and " and " not in said:
        said = f"{say.cardinal(int(whole))} {said}"
    return said


def _glyph(match: re.Match[str], writer: Writer) -> str | None:
    part = _GLYPHS[match.group(2)]
    whole = f"{say.number(match.group(1))} and " if match.group(1) else ""
    return whole + (part.replace("one ", "a ") if whole else part)


def _number(match: re.Match[str], writer: Writer) -> str | None:
    figures = match.group("figures")
    unsigned_year = re.fullmatch(r"1[1-9]\d\d|20\d\d", figures) and not match.group("minus")
    said = say.year(int(figures)) if unsigned_year else say.number(figures)
    return _signed(match, said)


def _minus(match: re.Match[str], writer: Writer) -> str | None:
    before = writer.source[: match.start()]
    if re.search(r"[A-Za-z][\w.-]*$", before):
        return ""  # a name: Qwen2.5-1.5B
    return "minus" if before.rstrip(" ")[-1:].isdecimal() else None


def _slash(match: re.Match[str], writer: Writer) -> str | None:
    before = re.search(r"[A-Za-z]+$", writer.source[: match.start()])
    after = re.match(r"[A-Za-z]+", writer.source[match.end() :])
    if before and after:
        pair = f"{before.group()}/{after.group()}".lower()
        if pair in _PAIRS_OF_CHOICE:
            return "or"
        both_capitals = before.group().isupper() and after.group().isupper()
        return "" if pair == "and/or" or both_capitals else "slash"
    return "per" if after and writer.last_source[-1:].isdigit() else ""


def _lines(match: re.Match[str], writer: Writer) -> str | None:
    """1080p is said as its two halves."""
    high, low = divmod(int(match.group(1)), 100)
    return f"{say.cardinal(high)} {say.cardinal(low)} {match.group(2).upper()}"


def _sign(match: re.Match[str], writer: Writer) -> str | None:
    char = match.group()
    nextc = writer.source[match.end() : match.end() + 1]
    if char == "#" and not nextc.isdigit():
        return "hashtag" if nextc.isalpha() else ""
    operand = r"\s?[\d.]" if char in "~^" else r"\s?[-−]?[\d.]|\s[\w(]"
    if char in "~<>^" and not re.match(operand, writer.source[match.end() :]):
        return ""
    return _SIGNS[char]


_DATE_RULES: list[Rule] = [
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(Z)?(?!\w)"), _time_stamp),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\w)"), _dotted_date),
    (re.compile(r"\s?[-–—]\s?(?=\d{1,2}(?::[0-5]\d|\s?[ap]\.?m\b|\s?[AP]\.?M\b)|noon|midnight)"), _until),
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\w)"), _iso_date),
    (re.compile(r"(\d\d?)/(\d\d?)/(\d{4}|\d\d)(?!\w)"), _slash_date),
    (re.compile(r"(\d\d)-(\d\d)-(\d{4})(?![\w-])"), _slash_date),
    (re.compile(r"(\d{4})/(\d\d)/(\d\d)(?!\w)"), _iso_date),
    (
        re.compile(
            rf"(?P<month>{_MONTH})\.? "
            r"(?P<day>\d\d?)(?:st|nd|rd|th)?(?:[-–](?P<last>\d\d?)(?:st|nd|rd|th)?(?![\d-]))?(?![\d:%]|\.\d)"
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
    (
        re.compile(rf"({_MONTH})\.?\s?[-–]\s?({_MONTH})\b"),
        lambda m, _: f"{_MONTH_NAMES[m[1][:3].lower()]} to {_MONTH_NAMES[m[2][:3].lower()]}",
    ),
    (re.compile(r"(Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?= [\dA-Za-z])"), _month),
    (
        re.compile(
            r"(?P<hour>\d\d?)(?::(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?(?:\s?(?P<half>[aApP]\.?\s?[mM]\b\.?))?(?![\w:])"
        ),
        _time,
    ),
]

_MINUS = r"(?:(?<![\w)])(?P<minus>[-−]))?"
ENGLISH_RULES: list[Rule] = [
    (re.compile(r"(480|720|1080|1440|2160)([pi])\b"), _lines),
    (re.compile(r"\+\d[\d ().-]{6,18}\d(?!\w)"), _phone_number),
    (
        re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-.]\d{4}(?![\w-])|\d{3} \d{3} \d{4}(?!\w)"),
        _phone_number,
    ),
    (re.compile(r"\d{3,6}(?![\w.,:/%-]?\d)(?=\W|$)"), _dialled),
    (re.compile(r"(?<![\w$€£.,-])911(?![\w.,:/%-]?\d|\s?%)(?=\W|$)"), _emergency),
    *_DATE_RULES,
    *IDENTIFIER_RULES,
    *UNIT_RULES,
    (
        re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)(?![:\d])"),
        lambda m, _: f"{say.number(m[1])} to {say.number(m[2])}",
    ),
    (re.compile(rf"{_MINUS}{_SYMBOL}\s?(?P<amount>{_NUM})(?:\s?[-–—]\s?\$?(?P<to>{_NUM}))?{_SCALE}"), _money),
    (
        re.compile(
            rf"{_MINUS}(?P<amount>{_NUM})(?P<to>(?!.)x)?{_SCALE}\s?(?P<symbol>[€£¥]|USD|EUR|GBP|JPY)(?!\w)"
        ),
        _money,
    ),
    (
        re.compile(r"(\d{1,3}(?:\.\d{1,3}){2,3})(?!\.?\d)"),
        lambda m, _: " point ".join(map(say.number, m[1].split("."))),
    ),
    (
        re.compile(
            rf"(?<![A-Za-z])(?<![A-Za-z]-)(?P<low>{_NUM})(?:[-‑]|\s?[–—]\s?)(?P<high>{_NUM})(?![-\d])"
            rf"(?:\s?(?P<unit>%|x\b|(?:{_UNIT})(?!\w)))?"
        ),
        _range,
    ),
    (
        re.compile(r"(\d+)['′](\d{1,2})(?:[\"″”]|'')"),
        lambda m, _: f"{say.number(m[1])} foot {say.number(m[2])}",
    ),
    (
        re.compile(
            r"(\d+(?:\.\d+)?)\s?×\s?(?=\d+(?:[⁰¹²³⁴-⁹⁻^]|\s*[=≈]))"
            r"|(\d+(?:\.\d+)?) × (?=\d+(?![\d.]*\s?[A-Za-z]))"
        ),
        lambda m, _: f"{say.number(m[1] or m[2])} times",
    ),
    (
        re.compile(
            rf"(?P<sides>\d+(?:\.\d+)?(?:\s?[x×]\s?\d+(?:\.\d+)?)+)(?:\s?(?P<unit>{_UNIT})(?!\w)|(?![\w⁰-⁹⁻^]))"
        ),
        _sides,
    ),
    (
        re.compile(rf"({_NUM})\s?%\s?[-–—]\s?({_NUM})\s?%"),
        lambda m, _: f"{say.number(m[1])} to {say.number(m[2])} percent",
    ),
    (
        re.compile(rf"{_MINUS}(?P<figures>{_NUM})\s?%"),
        lambda m, _: _signed(m, f"{say.number(m['figures'])} percent"),
    ),
    (re.compile(r"(\d+(?:\.\d+)?)x\b"), lambda m, _: f"{say.number(m[1])} times"),
    (re.compile(r"['’]?(\d{1,3}0)'?s\b"), _decade),
    (
        re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,12})(?:st|nd|rd|th)\b"),
        lambda m, _: say.ordinal(int(m[1].replace(",", ""))),
    ),
    (re.compile(r"(?:(?P<whole>\d{1,6}) )?(?P<top>\d{1,6})/(?P<bottom>\d{1,6})(?![\d/])"), _fraction),
    (re.compile(rf"(\d{{0,6}}) ?([{''.join(_GLYPHS)}])"), _glyph),
    (re.compile(r"(?<=[A-Za-z])(\d{1,3})s\b"), _decade),
    (
        re.compile(
            rf"{_MINUS}(?<![A-Za-z])(?P<figures>{_NUM})"
            rf"(?P<space>[ \u00a0]?)(?P<unit>{_UNIT})(?![\w])(?!['’]\w)"
        ),
        _measure,
    ),
    (re.compile(rf"(?:#|[Nn]o\. ?)({_NUM})(?!\w)"), lambda m, _: f"number {say.number(m[1])}"),
    (re.compile(rf"{_MINUS}(?P<figures>{_NUM})"), _number),
    (re.compile(r"[-−](?= ?\d)"), _minus),
    (re.compile(r"([A-Z])#(?!\w)"), lambda m, _: f"{m[1]} sharp"),
    (re.compile(r"(?<!\S)\.(?=[A-Za-z])"), lambda m, _: "dot"),
    (re.compile(r"(?<=\w )\*(?= \w)"), lambda m, _: "times"),
    (re.compile(rf"(?<=\d)/({'|'.join(_PER)})\b(?:\.(?=\s+[a-z]))?"), lambda m, _: f"per {_PER[m[1]]}"),
    *WORD_RULES,
    (re.compile("|".join(re.escape(pair) for pair in _SIGN_PAIRS)), lambda m, _: _SIGN_PAIRS[m.group()]),
    (re.compile(rf"(?<!\w)[{''.join(_GREEK)}](?!\w)"), _greek),
    (re.compile(r"/"), _slash),
    (re.compile(rf"[{re.escape(''.join(_SIGNS))}]"), _sign),
]
