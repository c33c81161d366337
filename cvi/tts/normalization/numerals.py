"""Numbers in words. English reads years, digits and money by its own rules; num2words does the rest."""

from __future__ import annotations

from functools import lru_cache

_LONGEST_CARDINAL = 13
"""Digits; a longer run is a serial number, said digit by digit."""

MONTHS = "January February March April May June July August September October November December".split()
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "sen", "sen"),
}
_FRACTIONS = {2: "half", 4: "quarter"}


@lru_cache(maxsize=4096)
def cardinal(number: int, language: str = "en") -> str:
    """42 -> forty-two. A language num2words does not know gives the figures back."""
    return _num2words(number, language, "cardinal")


@lru_cache(maxsize=4096)
def ordinal(number: int, language: str = "en") -> str:
    """22 -> twenty-second."""
    return _num2words(number, language, "ordinal")


def _num2words(number: int, language: str, to: str) -> str:
    from num2words import num2words

    try:
        return str(num2words(number, lang=language, to=to)).replace(",", "")
    except (NotImplementedError, OverflowError):
        return str(number)


@lru_cache(maxsize=1024)
def year_in(value: int, language: str) -> str:
    """A year in another language: 1999 -> neunzehnhundertneunundneunzig."""
    try:
        return _num2words(value, language, "year")
    except (AttributeError, TypeError):  # num2words has no years for it
        return cardinal(value, language)


def digits(figures: str) -> str:
    """'0451' -> zero four five one; anything that is not a digit is left out."""
    return " ".join(DIGITS[int(figure)] for figure in figures if figure.isdecimal())


def number(figures: str) -> str:
    """English for '1,234', '3.14', '007', '.5': whole or decimal, never a year."""
    figures = figures.replace(",", "")
    whole, _, fraction = figures.partition(".")
    if len(whole) > _LONGEST_CARDINAL or (len(whole) > 1 and whole.startswith("0")):
        words = digits(whole)
    else:
        words = cardinal(int(whole or "0"))
    return f"{words} point {digits(fraction)}" if fraction else words


def year(value: int) -> str:
    """1984 -> nineteen eighty-four, 2007 -> two thousand seven, 1900 -> nineteen hundred."""
    century, rest = divmod(value, 100)
    if not 1000 <= value <= 2999 or 2000 <= value <= 2009 or value % 1000 == 0:
        return cardinal(value).replace(" and ", " ")
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' + cardinal(rest) if rest < 10 else cardinal(rest)}"


def model_number(figures: str) -> str:
    """A number in a name: 320 -> three twenty, 13700 -> thirteen seven hundred, 4090 -> forty ninety."""
    value = int(figures)
    if len(figures) > 5 or (figures.startswith("0") and len(figures) > 1):
        return digits(figures)
    if len(figures) <= 2 or value % 1000 == 0 or (len(figures) == 3 and value % 100 == 0):
        return cardinal(value)
    if len(figures) == 5:
        return f"{cardinal(value // 1000)} {model_number(figures[2:])}"
    high, low = divmod(value, 100)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {'oh ' if low < 10 else ''}{cardinal(low)}"


def plural(words: str) -> str:
    """The last word in the plural: ninety -> nineties, six -> sixes, hundred -> hundreds."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x", "s")) else "s")


def money(symbol: str, amount: str, scale: str = "") -> str:
    """('$', '3.50') -> three dollars and fifty cents;
    ('€', '2.5', 'million') -> two point five million euros.
    """
    one, many, cent, cents = CURRENCIES[symbol]
    amount = amount.replace(",", "")
    whole, _, part = amount.partition(".")
    if scale:
        return f"{number(amount)} {scale} {many}"
    if len(part) != 2:
        return f"{number(amount)} {one if amount == '1' else many}"
    units, pieces = int(whole or "0"), int(part)
    words = f"{cardinal(units)} {one if units == 1 else many}"
    small = f"{cardinal(pieces)} {cent if pieces == 1 else cents}"
    if not pieces:
        return words
    return f"{words} and {small}" if units else small


def time_of_day(hour: int, minute: int, half: str = "") -> str:
    """(3, 5, 'PM') -> three oh five P M; (3, 0) -> three o'clock; (15, 30) -> fifteen thirty."""
    if minute == 0 and not half:
        words = "midnight" if hour == 0 else cardinal(hour) + (" hundred" if hour > 12 else " o'clock")
    elif minute == 0:
        words = cardinal(hour)
    else:
        words = f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    return f"{words} {' '.join(half)}".strip()


def date(day: int, month: int, full_year: int | None = None) -> str:
    """(5, 1, 2024) -> January fifth, twenty twenty-four."""
    words = f"{MONTHS[month - 1]} {ordinal(day)}"
    return f"{words}, {year(full_year)}" if full_year is not None else words


def fraction(top: int, bottom: int) -> str:
    """(3, 4) -> three quarters; (1, 2) -> one half."""
    name = _FRACTIONS.get(bottom) or ordinal(bottom)
    many = "halves" if bottom == 2 else plural(name)
    return f"{cardinal(top)} {name if top == 1 else many}"
