"""English: the rules, in the order in which they are tried; those for quantities and signs stand here."""

from __future__ import annotations

import re
from collections.abc import Callable

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.english_dates import DATE_RULES
from cvi.tts.normalization.english_words import WORD_RULES, ends_sentence
from cvi.tts.normalization.spoken_text import Rule, Writer

# One, many. Longer keys are tried first.
_UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"), "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"), "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"), "m": ("meter", "meters"), "mi": ("mile", "miles"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "km²": ("square kilometer", "square kilometers"),
    "m²": ("square meter", "square meters"), "m2": ("square meter", "square meters"),
    "sq ft": ("square foot", "square feet"), "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"), "L": ("liter", "liters"), "l": ("liter", "liters"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "K": ("thousand", "thousand"), "k": ("thousand", "thousand"),
    "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "min": ("minute", "minutes"), "mins": ("minute", "minutes"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "yrs": ("year", "years"),
    "yr": ("year", "years"), "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"), "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"), "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"), "V": ("volt", "volts"),
    "mA": ("milliamp", "milliamps"), "dB": ("decibel", "decibels"), "px": ("pixel", "pixels"),
    "kcal": ("kilocalorie", "kilocalories"), "cal": ("calorie", "calories"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "fps": ("frame per second", "frames per second"), "ppm": ("part per million", "parts per million"),
    "M": ("million", "million"), "bn": ("billion", "billion"), "mcg": ("microgram", "micrograms"),
    "IU": ("I U", "I U"),
}  # fmt: skip

# After a number and a slash.
_PER = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "wk": "week", "min": "minute", "sec": "second",
    "s": "second", "day": "day", "kg": "kilogram", "lb": "pound",
}  # fmt: skip

_PAIRS_OF_CHOICE = frozenset(
    "he/she she/he his/her her/his him/her his/hers yes/no true/false on/off either/or".split()
)

_NUM = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\w)\.\d+"
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_SCALE = r"(?:\s?(?P<scale>trillion|billion|million|thousand|tn|bn|[kKmMB])\b)?"
_SCALES = {
    "k": "thousand",
    "K": "thousand",
    "m": "million",
    "M": "million",
    "B": "billion",
    "bn": "billion",
    "tn": "trillion",
}
_SYMBOL = r"(?P<symbol>US\$|[$€£¥₹])"
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "×": "times", "÷": "divided by",
    "→": "to",
    "±": "plus or minus", "≈": "about", "≤": "less than or equal to", "≥": "greater than or equal to",
    "≠": "not equal to", "<": "less than", ">": "greater than", "°": "degrees", "~": "about",
    "$": "dollars",
    "€": "euros", "£": "pounds", "π": "pi", "µ": "micro", "^": "to the power of", "#": "number",
    "§": "section", "№": "number",
}  # fmt: skip
_GLYPHS = {
    "½": "one half",
    "¼": "one quarter",
    "¾": "three quarters",
    "⅓": "one third",
    "⅔": "two thirds",
    "⅛": "one eighth",
}


def _phone_number(match: re.Match[str], writer: Writer) -> bool:
    groups = re.findall(r"\d+", match.group())
    if not match.group().startswith("+") and not 7 <= sum(map(len, groups)) <= 12:
        return False
    plus = "plus " if match.group().startswith("+") else ""
    writer.say(plus + ", ".join(say.digits(group) for group in groups), match.start(), match.end())
    return True


def _dialled(match: re.Match[str], writer: Writer) -> bool:
    if writer.last_source.lower() not in (
        "call",
        "dial",
        "ring",
        "text",
        "code",
        "pin",
        "extension",
        "ext",
        "room",
        "flight",
    ):
        return False
    if writer.last_source.lower() == "room" and len(match.group()) < 3:
        return False
    writer.say(say.digits(match.group()), match.start(), match.end())
    return True


def _money(match: re.Match[str], writer: Writer) -> bool:
    scale = _SCALES.get(match.group("scale") or "", match.group("scale") or "")
    said = say.money(match.group("symbol"), match.group("amount"), scale)
    if match.group("to"):
        most = say.money(match.group("symbol"), match.group("to"), scale)
        said = f"{say.number(match.group('amount'))} to {most}"
    if match.group("minus"):
        said = f"minus {said}"
    writer.say(said, match.start(), match.end())
    return True


def _range(match: re.Match[str], writer: Writer) -> bool:
    low, high = match.group("low"), match.group("high")
    years = all(re.fullmatch(r"1[1-9]\d\d|20\d\d", part) for part in (low, high))
    said = " to ".join(say.year(int(part)) if years else say.number(part) for part in (low, high))
    unit = match.group("unit") or ""
    if unit == "%":
        said += " percent"
    elif unit:
        said += f" {_UNITS[unit][1]}"
    writer.say(said, match.start(), match.end())
    return True


def _feet(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"{say.number(match.group(1))} foot {say.number(match.group(2))}", match.start(), match.end())
    return True


def _measure(match: re.Match[str], writer: Writer) -> bool:
    figures, unit, space = match.group("figures"), match.group("unit"), match.group("space")
    if (space and unit in ("k", "K", "M", "l")) or match.group().endswith(("4K", "8K")):
        return False
    one, many = _UNITS[unit]
    writer.say(_signed(match, say.number(figures)), match.start(), match.end("figures"))
    writer.say(one if figures == "1" else many, match.start("unit"), match.end("unit"))
    if (
        unit.isalpha()
        and writer.source[match.end() : match.end() + 1] == "."
        and ends_sentence(writer.source, match.end() + 1)
    ):
        writer.pause(".")
    return True


def _signed(match: re.Match[str], said: str) -> str:
    return f"minus {said}" if match.groupdict().get("minus") else said


def _percent(match: re.Match[str], writer: Writer) -> bool:
    writer.say(_signed(match, f"{say.number(match.group('figures'))} percent"), match.start(), match.end())
    return True


def _decade(match: re.Match[str], writer: Writer) -> bool:
    value = int(match.group(1))
    writer.say(say.plural(say.year(value) if value > 99 else say.cardinal(value)), match.start(), match.end())
    return True


def _ordinal(match: re.Match[str], writer: Writer) -> bool:
    writer.say(say.ordinal(int(match.group(1).replace(",", ""))), match.start(), match.end())
    return True


def _fraction(match: re.Match[str], writer: Writer) -> bool:
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
    writer.say(said, match.start(), match.end())
    return True


def _glyph(match: re.Match[str], writer: Writer) -> bool:
    part = _GLYPHS[match.group(2)]
    whole = f"{say.number(match.group(1))} and " if match.group(1) else ""
    writer.say(whole + (part.replace("one ", "a ") if whole else part), match.start(), match.end())
    return True


def _by(match: re.Match[str], writer: Writer) -> bool:
    writer.say(
        " by ".join(say.number(n) for n in re.findall(_NUM, match.group())), match.start(), match.end()
    )
    return True


def _dotted(match: re.Match[str], writer: Writer) -> bool:
    writer.say(" point ".join(say.number(n) for n in match.group(1).split(".")), match.start(1), match.end(1))
    return True


def _hashed(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"number {say.number(match.group(1))}", match.start(), match.end())
    return True


def _number(match: re.Match[str], writer: Writer) -> bool:
    figures = match.group("figures")
    unsigned_year = re.fullmatch(r"1[1-9]\d\d|20\d\d", figures) and not match.group("minus")
    said = say.year(int(figures)) if unsigned_year else say.number(figures)
    writer.say(_signed(match, said), match.start(), match.end())
    return True


def _minus(match: re.Match[str], writer: Writer) -> bool:
    if not writer.source[: match.start()].rstrip(" ")[-1:].isdecimal():
        return False
    writer.say("minus", match.start(), match.end())
    return True


def _slash(match: re.Match[str], writer: Writer) -> bool:
    around = re.search(r"[A-Za-z]+$", writer.source[: match.start()])
    after = re.match(r"[A-Za-z]+", writer.source[match.end() :])
    if around and after:
        pair = f"{around.group()}/{after.group()}".lower()
        if pair in _PAIRS_OF_CHOICE:
            writer.say("or", match.start(), match.end())
        elif pair != "and/or" and not (around.group().isupper() and after.group().isupper()):
            writer.say("slash", match.start(), match.end())
        return True
    if after and writer.last_source[-1:].isdigit():
        writer.say("per", match.start(), match.end())
    return True


def _per(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"per {_PER[match.group(1)]}", match.start(), match.end())
    return True


def _ratio(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"{say.number(match.group(1))} to {say.number(match.group(2))}", match.start(), match.end())
    return True


def _factor(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"{say.number(match.group(1))} times", match.start(), match.end())
    return True


def _lines(match: re.Match[str], writer: Writer) -> bool:
    """1080p is said as its two halves."""
    high, low = divmod(int(match.group(1)), 100)
    writer.say(
        f"{say.cardinal(high)} {say.cardinal(low)} {match.group(2).upper()}", match.start(), match.end()
    )
    return True


def _sharp(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"{match.group(1)} sharp", match.start(), match.end())
    return True


def _said(words: str) -> Callable[[re.Match[str], Writer], bool]:
    def rule(match: re.Match[str], writer: Writer) -> bool:
        writer.say(words, match.start(), match.end())
        return True

    return rule


def _sign(match: re.Match[str], writer: Writer) -> bool:
    char = match.group()
    nextc = writer.source[match.end() : match.end() + 1]
    if char == "#" and not nextc.isdigit():
        if nextc.isalpha():
            writer.say("hashtag", match.start(), match.end())
        return True
    if char in "~<>^" and not re.match(r"\s?[\d.]", writer.source[match.end() :]):
        return True
    writer.say(_SIGNS[char], match.start(), match.end())
    return True


_MINUS = r"(?:(?<![\w)])(?P<minus>[-−]))?"
ENGLISH_RULES: list[Rule] = [
    (re.compile(r"(480|720|1080|1440|2160)([pi])\b"), _lines),
    (re.compile(r"\+\d[\d ().-]{6,18}\d(?!\w)"), _phone_number),
    (
        re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-.]\d{4}(?![\w-])|\d{3} \d{3} \d{4}(?!\w)"),
        _phone_number,
    ),
    (re.compile(r"\d{3,6}(?![\w.,:/%-]?\d)(?=\W|$)"), _dialled),
    *DATE_RULES,
    (re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)(?![:\d])"), _ratio),
    (re.compile(rf"{_MINUS}{_SYMBOL}\s?(?P<amount>{_NUM})(?:\s?[-–—]\s?\$?(?P<to>{_NUM}))?{_SCALE}"), _money),
    (
        re.compile(
            rf"{_MINUS}(?P<amount>{_NUM})(?P<to>(?!.)x)?{_SCALE}\s?(?P<symbol>[€£¥]|USD|EUR|GBP|JPY)(?!\w)"
        ),
        _money,
    ),
    (re.compile(r"(\d{1,3}(?:\.\d{1,3}){2,3})(?!\.?\d)"), _dotted),
    (
        re.compile(
            rf"(?P<low>{_NUM})(?:[-‑]|\s?[–—]\s?)(?P<high>{_NUM})(?![-\d])(?:\s?(?P<unit>%|(?:{_UNIT})(?!\w)))?"
        ),
        _range,
    ),
    (re.compile(r"(\d+)['′](\d{1,2})(?:[\"″”]|'')"), _feet),
    (re.compile(r"\d+(?:\.\d+)?(?:\s?[x×]\s?\d+(?:\.\d+)?)+(?!\w)"), _by),
    (re.compile(rf"{_MINUS}(?P<figures>{_NUM})\s?%"), _percent),
    (re.compile(r"(\d+(?:\.\d+)?)x\b"), _factor),
    (re.compile(r"['’]?(\d{1,3}0)'?s\b"), _decade),
    (re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,12})(?:st|nd|rd|th)\b"), _ordinal),
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
    (re.compile(rf"(?:#|[Nn]os?\. ?)({_NUM})(?!\w)"), _hashed),
    (re.compile(rf"{_MINUS}(?P<figures>{_NUM})"), _number),
    (re.compile(r"[-−](?= ?\d)"), _minus),
    (re.compile(r"([A-Z])#(?!\w)"), _sharp),
    (re.compile(r"(?<!\S)\.(?=[A-Za-z])"), _said("dot")),
    (re.compile(r"(?<=\w )\*(?= \w)"), _said("times")),
    (re.compile(rf"(?<=\d)/({'|'.join(_PER)})\b\.?"), _per),
    *WORD_RULES,
    (re.compile(r"/"), _slash),
    (re.compile(rf"[{re.escape(''.join(_SIGNS))}]"), _sign),
]
