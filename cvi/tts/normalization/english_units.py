"""English: units of measure, alone (20 °C) and composed (9.81 m/s², kg/m³), and powers (10⁻³, x²)."""

from __future__ import annotations

import re

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.spoken_text import Rule, Writer

_PREFIXES = {"k": "kilo", "M": "mega", "G": "giga", "T": "tera", "m": "milli", "µ": "micro", "n": "nano"}
# Symbols with the prefixes they are used with, one and many.
_PREFIXED = {
    "m": ("knµ", "meter", "meters"), "g": ("kmµn", "gram", "grams"), "s": ("mµn", "second", "seconds"),
    "L": ("mµ", "liter", "liters"), "l": ("mµ", "liter", "liters"), "Hz": ("kMGT", "hertz", "hertz"),
    "W": ("kMGm", "watt", "watts"), "Wh": ("kMGT", "watt hour", "watt hours"), "V": ("kmµ", "volt", "volts"),
    "Ah": ("m", "amp hour", "amp hours"), "Ω": ("kM", "ohm", "ohms"), "F": ("mµn", "farad", "farads"),
    "Pa": ("kMG", "pascal", "pascals"), "N": ("k", "newton", "newtons"), "J": ("kMG", "joule", "joules"),
    "eV": ("kMGT", "electron volt", "electron volts"), "mol": ("mµn", "mole", "moles"),
    "cal": ("k", "calorie", "calories"), "bar": ("m", "bar", "bars"), "A": ("mkµ", "amp", "amps"),
    "bit": ("kMGT", "bit", "bits"), "bps": ("kMGT", "bit per second", "bits per second"),
    "B": ("kKMGTP", "byte", "bytes"), "Sv": ("mµ", "sievert", "sieverts"), "Nm": ("", "newton meter",
    "newton meters"),
}  # fmt: skip
_PLAIN = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"), "mph": ("mile per hour", "miles per hour"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "dm": ("decimeter", "decimeters"), "mi": ("mile", "miles"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "sq ft": ("square foot", "square feet"),
    "sq m": ("square meter", "square meters"), "ha": ("hectare", "hectares"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "cl": ("centiliter", "centiliters"),
    "dl": ("deciliter", "deciliters"), "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
    "sec": ("second", "seconds"), "secs": ("second", "seconds"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "yrs": ("year", "years"), "yr": ("year", "years"), "KiB": ("kibibyte", "kibibytes"),
    "MiB": ("mebibyte", "mebibytes"), "GiB": ("gibibyte", "gibibytes"), "TiB": ("tebibyte", "tebibytes"),
    "Kbps": ("kilobit per second", "kilobits per second"), "dB": ("decibel", "decibels"),
    "dBA": ("decibel A", "decibels A"), "px": ("pixel", "pixels"), "dpi": ("dot per inch", "dots per inch"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "bpm": ("beat per minute", "beats per minute"),
    "fps": ("frame per second", "frames per second"), "ppm": ("part per million", "parts per million"),
    "mcg": ("microgram", "micrograms"), "IU": ("I U", "I U"), "lm": ("lumen", "lumens"), "lx": ("lux", "lux"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "mmHg": ("millimeter of mercury", "millimeters of mercury"),
}  # fmt: skip
# Too common as other things to be units after a number alone.
_ONLY_COMPOSED = {
    "N": ("newton", "newtons"), "J": ("joule", "joules"), "K": ("kelvin", "kelvins"), "A": ("amp", "amps"),
    "mol": ("mole", "moles"), "F": ("farad", "farads"), "Pa": ("pascal", "pascals"),
    "rad": ("radian", "radians"),
    "rev": ("revolution", "revolutions"), "cd": ("candela", "candelas"), "B": ("byte", "bytes"),
    "bit": ("bit", "bits"), "in": ("inch", "inches"),
}  # fmt: skip
_SCALES = {
    "K": ("thousand", "thousand"), "k": ("thousand", "thousand"), "M": ("million", "million"),
    "bn": ("billion", "billion"),
}  # fmt: skip
# After a slash, besides units.
_PER = {
    "mo": "month", "month": "month", "wk": "week", "week": "week", "day": "day", "d": "day", "year": "year",
    "hour": "hour", "minute": "minute", "second": "second", "person": "person", "night": "night",
    "dose": "dose", "a": "year",
}  # fmt: skip
_LENGTHS = frozenset("m km cm mm dm nm µm ft in yd mi".split())
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")


def _all_units() -> dict[str, tuple[str, str]]:
    units = dict(_PLAIN)
    for symbol, (prefixes, one, many) in _PREFIXED.items():
        if symbol not in _ONLY_COMPOSED:
            units[symbol] = (one, many)
        for prefix in prefixes:
            word = _PREFIXES[prefix.replace("K", "k")] if prefix != "P" else "peta"
            units[prefix + symbol] = (word + one, word + many)
            if prefix == "µ":
                units["μ" + symbol] = (word + one, word + many)
    units["kΩ"] = ("kilohm", "kilohms")
    return units


UNITS = {**_all_units(), **_SCALES}
"""Symbol -> one, many, as they stand after a number alone."""
_COMPOSED = {**_ONLY_COMPOSED, **_all_units()}


def alternatives(symbols: dict[str, tuple[str, str]]) -> str:
    """A pattern for any of the symbols, longer ones first."""
    return "|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))


_EXPONENT = r"(?:\^?[-−]?[123]|[⁻]?[¹²³])"
_FACTOR = rf"(?:{alternatives(_COMPOSED)})(?:{_EXPONENT})?(?![A-Za-z])"
_PERIODS = "|".join(sorted(_PER, key=len, reverse=True))
_DIVISOR = rf"(?:(?:{_PERIODS})(?![A-Za-z])|{_FACTOR})"
_EXPRESSION = (
    rf"{_FACTOR}(?:[·⋅*]{_FACTOR})*"
    rf"(?:/(?:\({_FACTOR}(?:[·⋅* ]{_FACTOR})*\)|{_DIVISOR}))*"
)
_ONE_FACTOR = re.compile(rf"({alternatives(_COMPOSED)}|{_PERIODS})({_EXPONENT})?")


def _factor(symbol: str, exponent: str, many: bool) -> str:
    one_many = _COMPOSED.get(symbol)
    word = (one_many[1] if many else one_many[0]) if one_many else _PER[symbol]
    power = exponent.translate(_SUPERSCRIPTS).lstrip("^").replace("−", "-")
    if power in ("", "1", "-1"):
        return word
    if symbol in _LENGTHS and power in ("2", "3"):
        return f"{'square' if power == '2' else 'cubic'} {word}"
    return f"{word} {_power_words(power)}"


def compose(expression: str, many: bool) -> str:
    """kg/m³ -> kilograms per cubic meter; m/s² -> meters per second squared."""
    above, *below = expression.split("/")
    factors = [(m[1], m[2] or "") for m in _ONE_FACTOR.finditer(above)]
    words: list[str] = []
    for number, (symbol, exponent) in enumerate(factors):
        negative = exponent[:1] in ("⁻",) or exponent.lstrip("^")[:1] in ("-", "−")
        bare = exponent.lstrip("^⁻-−")
        last = number == len(factors) - 1
        words.append(("per " if negative else "") + _factor(symbol, bare, many and last and not negative))
    for part in below:
        inner = [_factor(m[1], m[2] or "", many=False) for m in _ONE_FACTOR.finditer(part)]
        words.append("per " + " ".join(inner))
    return " ".join(words)


def _composed(match: re.Match[str], writer: Writer) -> str | None:
    figures, unit = match.group("figures"), match.group("unit")
    if not re.search(r"[/·⋅*^¹²³⁻]|[A-Za-zΩ][-−]?[123]", unit) or unit in UNITS:
        return None  # a plain unit has rules of its own
    minus = "minus " if match.group("minus") else ""
    writer.say(minus + say.number(figures), match.start(), match.end("figures"))
    writer.say(compose(unit, many=figures != "1"), *match.span("unit"))
    return ""


def _bare(match: re.Match[str], writer: Writer) -> str | None:
    unit = match.group()
    if writer.source[match.start() - 1 : match.start()].isalnum():
        return None
    symbols = [m[1] for m in _ONE_FACTOR.finditer(unit)]
    plain = not re.search(r"[¹²³⁻^·⋅]", unit)
    if plain and unit != "m/s" and (max(map(len, symbols)) < 2 or not any(len(s) > 1 for s in symbols)):
        return None
    if plain and all(symbol in _PER or symbol in ("in", "a", "min", "sec") for symbol in symbols):
        return None
    if plain and re.fullmatch(r"[A-Za-z]+/[A-Za-z]+", unit) and symbols[0] in ("in", "min", "a", "ha", "bar"):
        return None
    return compose(unit, many=True)


def _some(figures: str, symbol: str) -> str:
    one, many = UNITS[symbol]
    return f"{say.number(figures)} {one if figures == '1' else many}"


def _power_words(power: str) -> str:
    if power == "2":
        return "squared"
    if power == "3":
        return "cubed"
    words = say.number(power.lstrip("-+")) if power.lstrip("-+").isdecimal() else power.lstrip("-+")
    return f"to the power of {'minus ' if power.startswith('-') else ''}{words}"


def _power(match: re.Match[str], writer: Writer) -> str | None:
    raw = match.group()
    before = writer.source[: match.start()]
    if not raw.startswith("^") and re.search(r"[^\W\d_]{4,}[.,;:!?\"”)]?$|[.!?,]$", before):
        return ""  # a footnote's mark
    if not before[-1:].isalnum() and before[-1:] not in (")", "]"):
        return None
    power = raw.strip("^{}()").translate(_SUPERSCRIPTS).replace("−", "-")
    return _power_words(power)


def _scientific(match: re.Match[str], writer: Writer) -> str | None:
    power = match["power"].lstrip("+").replace("−", "-")
    return f"{say.number(match['figures'])} times ten {_power_words(power)}"


_NUM = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\w)\.\d+"
_MINUS = r"(?:(?<![\w)])(?P<minus>[-−]))?"
UNIT_RULES: list[Rule] = [
    (re.compile(r"(?<=\d )mmHg(?!\w)"), lambda m, _: "millimeters of mercury"),
    (
        re.compile(
            rf"{_MINUS}(?<![A-Za-z\d.])(?P<figures>{_NUM})[ \u00a0\u202f]?(?P<unit>{_EXPRESSION})(?![\w/])"
        ),
        _composed,
    ),
    (re.compile(r"(?P<figures>\d+(?:\.\d+)?)[eE](?P<power>[-−+]?\d{1,3})(?!\w)"), _scientific),
    (
        re.compile(rf"(?<![\w/]){_FACTOR}(?:[·⋅/](?:\({_FACTOR}(?:[·⋅]{_FACTOR})*\)|{_DIVISOR}))+(?![\w/])"),
        _bare,
    ),
    (re.compile(rf"(?<![\w/])(?:{alternatives(_COMPOSED)})(?:[²³]|⁻[¹²³])(?![\w/])"), _bare),
    (re.compile(rf"(?<=\d)/({_FACTOR})(?![\w/])"), lambda m, _: f"per {compose(m[1], many=False)}"),
    (re.compile(r"(?<![\w/])(?:[kKMG]bps|[kMG]Hz|kWh|mph|kph)(?![\w/])"), lambda m, _: UNITS[m[0]][1]),
    (
        re.compile(r"(\d{1,3}) ?h ?([0-5]?\d) ?m(?:in)?\b"),
        lambda m, _: f"{_some(m[1], 'h')} {_some(m[2], 'min')}",
    ),
    (
        re.compile(r"(\d{1,3}) ?ft\.? ?(\d{1,2}) ?in\b(?:\.(?=\s+[a-z]))?"),
        lambda m, _: f"{_some(m[1], 'ft')} {say.number(m[2])} inch{'' if m[2] == '1' else 'es'}",
    ),
    (re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+"), _power),
    (re.compile(r"\^(?:\{[-−+]?\w{1,6}\}|\([-−+]?\w{1,6}\)|[-−+]?\d{1,6}|[A-Za-z](?!\w))"), _power),
]
