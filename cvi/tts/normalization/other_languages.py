"""Rules for languages other than English: dates, times, ranges, amounts, units, powers, signs, abbreviations.

Names of months, units and currencies are the Unicode locale data's (Babel), numbers num2words'; what neither
has stands in `language_words`. The voices read the rest by themselves.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from cvi.tts.normalization.language_words import CURRENCY_CODES, UNIT_NAMES, WORDS, LanguageWords
from cvi.tts.normalization.numerals import cardinal, ordinal, year_in
from cvi.tts.normalization.spoken_text import Rule, Writer

_NUMBER = r"\d{1,3}(?:[. \u202f\u00a0]\d{3})+(?:,\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_UNIT = "|".join(re.escape(symbol) for symbol in sorted(UNIT_NAMES, key=len, reverse=True))
_CURRENCY = "|".join(re.escape(symbol) for symbol in CURRENCY_CODES)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_CLOCK = r"(\d\d?)[:h.]([0-5]\d)"
_DASH = r"\s?[-–—]\s?"
# Before an ordinal in German, with its ending; "-er" where none of them stands.
_GERMAN_ENDINGS = {
    "en": "am im vom zum zur beim dem den des ins bis ab seit einem einen jeden jedem diesem diesen",
    "e": "der die das eine diese dieses jede und oder",
}
_FEMININE = {"de": ("e",), "fr": ("heure", "minute", "seconde", "livre", "tonne", "calorie")}
"""Endings of feminine nouns; "a" in other languages."""
_OWN_WRITING = frozenset({"zh", "ja", "ko", "yue", "cmn"})
"""Languages whose figures stand beside signs that their voices read with them: only numbers are spelled."""
# Also words: abbreviations only before a capital or a figure.
_NEED_FOLLOWER = frozenset("max min art st fr es abs tel".split())
_LAST_OF_LIST = frozenset("usw etc ecc enz".split())
_HUNDREDS_LANGUAGES = frozenset({"de", "nl", "da", "sv", "nb"})


def rules_for(language: str) -> list[Rule]:
    """The rules of one language, a plain code; without any data, whole numbers are read if num2words can."""
    return list(_rules(language))


class _Speller:
    """Says figures in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.words = WORDS.get(language, LanguageWords())
        self.locale = None if language in _OWN_WRITING else _locale(language)

    def number(self, figures: str) -> str:
        """'1.234,5' in words."""
        plain = re.sub(r"(?<=\d)[. \u202f\u00a0](?=\d{3}(?!\d))", "", figures).replace(".", ",")
        whole, _, fraction = plain.partition(",")
        if len(whole) > 13 or (len(whole) > 1 and whole.startswith("0")):
            said = " ".join(cardinal(int(figure), self.language) for figure in whole)
        elif re.fullmatch(r"1[1-9]\d\d", figures) and self.language in _HUNDREDS_LANGUAGES:
            said = year_in(int(whole), self.language)
        else:
            said = cardinal(int(whole), self.language)
        if fraction:
            digits = " ".join(cardinal(int(figure), self.language) for figure in fraction)
            said += f" {self.words.point} {digits}"
        return said

    def counted(self, figures: str, noun: str) -> str:
        """A number and what it counts: "ein Kilometer", "eine Stunde"."""
        if figures != "1" or self.words.one is None:
            return f"{self.number(figures)} {noun}"
        masculine, feminine = self.words.one
        is_feminine = noun.split()[0].lower().endswith(_FEMININE.get(self.language, ("a",)))
        return f"{feminine if is_feminine else masculine} {noun}"

    def measure(self, figures: str, symbol: str) -> str | None:
        """'5', 'km' in words; None without data."""
        if self.locale is None:
            return None
        noun = _unit_noun(self.language, UNIT_NAMES[symbol], _value(figures))
        return self.counted(figures, noun) if noun else None

    def money(self, figures: str, symbol: str) -> str | None:
        """'3,50', '€' in words; None without data."""
        if self.locale is None:
            return None
        from babel.numbers import get_currency_name

        plain = re.sub(r"[. \u202f\u00a0](?=\d{3}(?!\d))", "", figures)
        whole, _, cents = plain.replace(".", ",").partition(",")
        name = get_currency_name(CURRENCY_CODES[symbol], count=_value(figures), locale=self.locale)
        name = _short_name(name if self.language == "de" else name.lower())
        if len(cents) == 2 and self.language in WORDS:
            hundredths = "" if cents == "00" else f"{self.words.cents} {cardinal(int(cents), self.language)}"
            return f"{self.counted(whole, name)} {hundredths}".strip()
        return self.counted(figures, name)

    def date(self, day: int, month: int, year: int | None, before: str) -> str | None:
        """The day in the order of the language's long dates; None for no date or no data."""
        if self.locale is None or not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        from babel.dates import get_date_format, get_month_names

        pattern = str(get_date_format("long", locale=self.locale).pattern)
        if year is None:
            pattern = re.sub(r"[\s,]*('[^']*')?\s*y+\.?('[^']*')?", "", pattern)
        pattern = re.sub(r"(y+)[^dM]*$", r"\1", pattern)
        name = get_month_names("wide", locale=self.locale)[month]
        said_year = "" if year is None else year_in(year, self.language)
        said = {"d": self.day(day, before), "M": name, "y": said_year}
        parts = re.findall(r"'[^']*'|d+\.?|M+|y+\.?|[^'dMy]+", pattern)
        return "".join(said[part[0]] if part[0] in said else part.strip("'") or "'" for part in parts)

    def day(self, day: int, before: str) -> str:
        """A day of the month."""
        if self.language == "de":
            return self.german_ordinal(day, before)
        if day == 1 and self.words.first:
            return self.words.first
        if self.language in ("da", "nb", "sv"):
            return ordinal(day, self.language)
        return cardinal(day, self.language)

    def german_ordinal(self, value: int, before: str) -> str:
        """dritte, dritten or dritter, by the word before."""
        stem = ordinal(value, "de").rstrip("e")
        endings = (ending for ending, words in _GERMAN_ENDINGS.items() if before.lower() in words.split())
        return stem + next(endings, "er")

    def time(self, hour: int, minute: int) -> str:
        """A time of day."""
        words = self.words.oclock
        parts = [self.counted(str(hour), words) if words else cardinal(hour, self.language)]
        if minute:
            parts += [self.words.minutes, cardinal(minute, self.language)]
        return " ".join(filter(None, parts)).replace("eine Uhr", "ein Uhr")

    def say_date(self, match: re.Match[str], writer: Writer) -> str | None:
        """31.12.2025."""
        day, month, year = int(match["day"]), int(match["month"]), int(match["year"])
        return self.date(day, month, year if year > 99 else 2000 + year, writer.last_source)

    def say_day_of_month(self, match: re.Match[str], writer: Writer) -> str | None:
        """5. Nov. 2020."""
        month = _months(self.language).get(match["name"].lower().rstrip("."))
        year = int(match["year"]) if match["year"] else None
        return self.date(int(match["day"]), month, year, writer.last_source) if month else None

    def say_time(self, match: re.Match[str], writer: Writer) -> str | None:
        """9:30."""
        return self.time(int(match["hour"]), int(match["minute"])) if int(match["hour"]) < 25 else None

    def say_time_range(self, match: re.Match[str], writer: Writer) -> str | None:
        """9:00–17:00."""
        first, second = self.time(int(match[1]), int(match[2])), self.time(int(match[3]), int(match[4]))
        if self.words.oclock and match[2] == "00":
            first = cardinal(int(match[1]), self.language)
        return f"{first} {self.words.to} {second}"

    def say_interval(self, match: re.Match[str], writer: Writer) -> str | None:
        """3–5, with a unit or without."""
        low, high, unit = self.number(match["low"]), match["high"], match["unit"]
        if unit == "%":
            return f"{low} {self.words.to} {self.number(high)} {self.words.signs.get('%', '%')}"
        last = self.measure(high, unit) if unit else self.number(high)
        return f"{low} {self.words.to} {last}"

    def say_number(self, match: re.Match[str], writer: Writer) -> str | None:
        """A number with what it counts."""
        figures, unit = match["figures"], match["after"] or match["before"] or ""
        said: str | None = None
        if unit in CURRENCY_CODES:
            said = self.money(figures, unit)
        elif unit in UNIT_NAMES:
            said = self.measure(figures, unit)
        if said is None:
            said = f"{self.number(figures)} {self.words.signs.get(unit, unit)}".strip()
        return f"{self.words.minus} {said}" if match["minus"] and self.words.minus != "-" else said

    def say_power(self, match: re.Match[str], writer: Writer) -> str | None:
        """The exponent of 10⁻³ or x^2; a footnote's mark is silent."""
        before = writer.source[: match.start()]
        if re.search(r"[^\W\d_]{4,}$", before) or not self.words.power:
            return ""
        exponent = match[0].strip("^{}()").translate(_RAISED)
        if exponent in ("2", "3"):
            return self.words.squared if exponent == "2" else self.words.cubed
        minus = f"{self.words.minus} " if exponent.startswith("-") else ""
        figures = exponent.lstrip("-+")
        return f"{self.words.power} {minus}{self.number(figures) if figures.isdecimal() else figures}"

    def say_abbreviation(self, match: re.Match[str], writer: Writer) -> str | None:
        """z. B."""
        key = re.sub(r"\s", "", match[0]).rstrip(".").lower()
        rest = writer.source[match.end() :]
        followed = re.match(r"\s?[\dA-ZÄÖÜ]", rest) is not None
        if not followed and (len(key) == 1 or key in _NEED_FOLLOWER):
            return None
        writer.say(self.words.abbreviations[key], *match.span())
        if not rest.strip() or (key in _LAST_OF_LIST and followed):
            writer.pause(".")
        return ""

    def say_german_ordinal(self, match: re.Match[str], writer: Writer) -> str | None:
        """3. after an article or a preposition."""
        before = writer.last_source.lower()
        if not any(before in listed.split() for listed in _GERMAN_ENDINGS.values()):
            return None
        return self.german_ordinal(int(match[1]), before)

    def say_per(self, match: re.Match[str], writer: Writer) -> str | None:
        """The slash in 3 €/kg, and its unit."""
        noun = _unit_noun(self.language, UNIT_NAMES[match["unit"]], 1) if match["unit"] in UNIT_NAMES else ""
        return f"{self.words.per} {noun or match['unit']}"

    def say_digits(self, match: re.Match[str], writer: Writer) -> str | None:
        """A telephone number or a postal code."""
        return " ".join(
            self.words.signs.get("+", "+") if char == "+" else cardinal(int(char), self.language)
            for char in match[0]
            if char.isdecimal() or char == "+"
        )


def _date_rules(speller: _Speller) -> list[Rule]:
    names = "|".join(re.escape(name) for name in sorted(_months(speller.language), key=len, reverse=True))
    return [
        (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?!\w)"), speller.say_date),
        (re.compile(r"(?P<day>\d{1,2})([./-])(?P<month>\d{1,2})\2(?P<year>\d{4})(?!\w)"), speller.say_date),
        (
            re.compile(
                rf"(?P<day>\d{{1,2}})(?:\.|er|º)? (?:de )?(?P<name>(?:{names or '(?!)'})\b\.?)"
                r"(?: (?:de )?(?P<year>\d{4})\b)?",
                re.IGNORECASE,
            ),
            speller.say_day_of_month,
        ),
        (re.compile(rf"{_CLOCK}{_DASH}{_CLOCK}(?: (?:Uhr|uur|h)\b)?(?!\d)"), speller.say_time_range),
        (
            re.compile(r"(?P<hour>\d\d?)[:h](?P<minute>[0-5]\d)(?: (?:Uhr|uur|h)\b)?(?![\d:])"),
            speller.say_time,
        ),
        (re.compile(r"(?P<hour>\d\d?)\.(?P<minute>[0-5]\d) (?:Uhr|uur)\b"), speller.say_time),
        (re.compile(r"\+\d[\d ()/-]{6,18}\d(?!\w)"), speller.say_digits),
        (re.compile(r"(?<=PLZ )\d{5}|(?<=Postleitzahl )\d{5}"), speller.say_digits),
    ]


@lru_cache(maxsize=16)
def _rules(language: str) -> tuple[Rule, ...]:
    speller = _Speller(language)
    words = speller.words
    rules = _date_rules(speller)
    if words.abbreviations:
        keys = sorted(words.abbreviations, key=len, reverse=True)
        spelled = "|".join(re.escape(key).replace(r"\.", r"\.\s?") for key in keys)
        pattern = rf"(?<![^\W_])(?:{spelled})\.(?=\W|$)"
        rules.append((re.compile(pattern, re.IGNORECASE), speller.say_abbreviation))
    if language == "de":
        rules.append((re.compile(r"(\d{1,3})\.(?=\s+[^\W\d_])"), speller.say_german_ordinal))
    if words.to != "-":
        pattern = (
            rf"(?<![^\W_])(?P<low>{_NUMBER})(?:-|\s?[–—]\s?)(?P<high>{_NUMBER})(?![-\d])"
            rf"(?:[ \u00a0]?(?P<unit>%|(?:{_UNIT})(?!\w)))?"
        )
        rules.append((re.compile(pattern), speller.say_interval))
    if words.per:
        rules.append((re.compile(rf"(?<=[\d€$£])/(?P<unit>(?:{_UNIT})(?!\w)|[^\W\d_]+)"), speller.say_per))
    signs = re.escape("".join(words.signs)) or "%"
    rules += [
        (re.compile(r"(?<=[\w)])\^(?:\{[-−+]?\w{1,6}\}|[-−+]?\d{1,6})|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+"), speller.say_power),
        (
            re.compile(
                rf"(?P<minus>(?<![\w)])[-−])?(?P<before>{_CURRENCY})?[ \u00a0]?(?P<figures>{_NUMBER})"
                rf"(?:[ \u00a0\u202f]?(?P<after>%|(?:{_CURRENCY})(?!\w)|(?:{_UNIT})(?!\w)))?"
            ),
            speller.say_number,
        ),
        (re.compile(rf"[{signs}]"), lambda match, _: words.signs.get(match.group())),
    ]
    return tuple(rules)


@cache
def _locale(language: str) -> Any:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return None


@cache
def _months(language: str) -> dict[str, int]:
    locale = _locale(language)
    if locale is None:
        return {}
    from babel.dates import get_month_names

    found: dict[str, int] = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for month, name in get_month_names(width, context, locale).items():
                if len(name.strip(".")) > 2 and not name[0].isdigit():
                    found.setdefault(name.lower().strip("."), month)
    return found


@lru_cache(maxsize=1024)
def _unit_noun(language: str, unit: str, value: float) -> str:
    """The unit's name as it stands after `value`: "Kilometer", "kilomètres par heure"."""
    from babel.numbers import format_decimal
    from babel.units import UnknownUnitError, format_unit

    locale = _locale(language)
    try:
        spoken = format_unit(value, unit, length="long", locale=locale)
    except UnknownUnitError:
        return ""
    return str(spoken).replace(format_decimal(value, locale=locale), "").strip()


def _short_name(currency: str) -> str:
    """Without the country, as people say it: "US-Dollar", "dólares estadounidenses"."""
    countries = r" (?:estadounidens|des états-unis|américain|statunitens|dos estados|american)"
    return re.sub(r"^(?:US-|us-|amerikaanse )", "", re.split(countries, currency)[0])


def _value(figures: str) -> float:
    plain = re.sub(r"[. \u202f\u00a0](?=\d{3}(?!\d))", "", figures).replace(",", ".")
    value = float(plain)
    return int(value) if value.is_integer() else value
