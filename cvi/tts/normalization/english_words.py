"""English abbreviations and words in capitals, and numbers that are names (models, ZIP codes, scores).

Words are expanded, spelled, or said as they stand; such numbers are said in groups or digit by digit.
"""

from __future__ import annotations

import re

from cvi.tts.normalization import numerals as say
from cvi.tts.normalization.numerals import cardinal, ordinal
from cvi.tts.normalization.spoken_text import Rule, Writer

# Keys are lower case, without the last full stop. These are read so wherever they carry their stop.
_ABBREVIATIONS = {
    "mr": "Mister", "mrs": "Missus", "ms": "Miz", "prof": "Professor", "rev": "Reverend", "gen": "General",
    "capt": "Captain", "sgt": "Sergeant", "lt": "Lieutenant", "gov": "Governor", "sen": "Senator",
    "hon": "Honorable", "jr": "Junior", "sr": "Senior", "e.g": "for example", "i.e": "that is",
    "etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department",
    "est": "established", "ave": "Avenue", "blvd": "Boulevard", "rd": "Road", "ln": "Lane",
    "hwy": "Highway", "apt": "apartment", "fig": "figure", "vol": "volume", "ch": "chapter",
    "sec": "section", "inc": "Incorporated", "ltd": "Limited", "corp": "Corporation", "co": "Company",
    "mt": "Mount", "ft": "Fort", "tel": "telephone", "ext": "extension", "esp": "especially",
    "incl": "including", "misc": "miscellaneous", "temp": "temperature", "avg": "average", "max": "maximum",
    "min": "minimum", "assoc": "associate", "asst": "assistant", "univ": "University", "cf": "compare",
    "et al": "and others", "ca": "circa", "viz": "namely", "a.k.a": "also known as", "thu": "Thursday",
    "ph.d": "P H D", "m.d": "M D", "b.a": "B A", "m.a": "M A", "b.sc": "B S C", "m.sc": "M S C",
}  # fmt: skip

# Also common at the end of a sentence as whole words or names: read so only before a capital or a figure.
_NEEDS_FOLLOWER = frozenset("gen gov sen hon rev co ch fig sec min max temp ft mt est ca ext tel".split())
# These never end a sentence: their stop is never a pause.
_TITLES = frozenset(
    "mr mrs ms prof rev gen capt sgt lt gov sen hon mt e.g i.e vs approx fig vol ch cf ca viz".split()
)

_WITHOUT_STOP = {
    "w/": "with", "w/o": "without", "vs": "versus", "aka": "also known as", "etc": "et cetera",
    "mr": "Mister", "mrs": "Missus", "dr": "Doctor", "ok": "okay", "approx": "approximately",
    "ie": "that is", "eg": "for example", "asap": "as soon as possible", "fyi": "for your information",
    "btw": "by the way", "tbd": "to be determined",
}  # fmt: skip

_DAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip

# A capital after St. or Dr. that begins a sentence rather than a name.
_STARTERS = frozenset(
    "He She It They We I The This That You In On A An And But Then If There What When It's He's".split()
)

# Written in capitals, said as a word.
SAID_AS_WORDS = {
    word: word.capitalize()
    for word in (
        "NASA NATO UNESCO UNICEF OPEC FIFA COVID PIN SIM RAM ROM GIF LAN WAN SCUBA RADAR LASER AIDS SWAT "
        "NAFTA OSHA FEMA POTUS SAT YOLO CAPTCHA LIDAR SONAR GAAP BASIC NORAD DARPA HIPAA IKEA LEGO SARS ZIP"
    ).split()
} | {
    "JPEG": "jay peg",
    "JPG": "jay peg",
    "OK": "okay",
    "CEOs": "C E O's",
    "WIFI": "wifi",
    "MIDI": "middy",
    "SAAS": "sass",
    "WWI": "World War one",
    "WWII": "World War two",
}

# Short words that people write in capitals for emphasis.
_EMPHASIZED = frozenset(
    (
        "a i am an and any are as ask at bad be big but buy by can did do done each even ever few first "
        "fast for free from get give go good great had has have he help her here hey him his how if in into "
        "is it's its just keep know last less like long look love made make many may me more most much must "
        "my need new next nice no none not now of off oh old on once one only open or our out over own pay "
        "play please real really safe same say see she slow so some soon stop such sure take talk tell than "
        "that the them then they this time to today too true try two up use very wait want was way we well "
        "were what when who why will win with wow yes yet you your zero huge best right wrong left"
    ).split()
)

_REGAL = frozenset(
    "henry louis elizabeth charles george edward james william richard philip john paul pius benedict "
    "gregory leo francis frederick alexander nicholas catherine ivan peter napoleon mary robert david "
    "alfonso urban".split()
)
_NUMBERED = frozenset(
    "chapter part war volume vol act phase type section title book level stage step article appendix bowl "
    "class tier grade final fantasy rocky unit module world".split()
)
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_CALENDAR = re.compile(
    r"(?:Mon|Tues?|Wed|Thu|Thurs?|Fri|Sat|Sun)(?:[a-z]*day)?|Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|"
    r"June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_INTERJECTIONS = frozenset(
    "hm hmm hmmm mm mmm shh shhh psst pst brr brrr tsk zzz grr pfft nth th st nd rd mr ms dr vs sky".split()
)


def ends_sentence(text: str, at: int) -> bool:
    """Whether a stop before `at` closes a sentence: the text ends, or a capital follows."""
    return re.match(r"\s*$|\s+[A-Z\"“(]", text[at:]) is not None


def _abbreviation(match: re.Match[str], writer: Writer) -> str | None:
    key = match.group(1).lower()
    if key in _DAYS and match.group()[0].isupper() and not ends_sentence(writer.source, match.end()):
        return _DAYS[key]
    said = _ABBREVIATIONS.get(key)
    follower = re.match(r"\s*[A-Z\d]", writer.source[match.end() :])
    if said is None or (key in _NEEDS_FOLLOWER and (not follower or not match.group()[0].isupper())):
        return None
    if key == "co" and follower:
        said = "Company"
    writer.say(said, *match.span())
    if key not in _TITLES and ends_sentence(writer.source, match.end()):
        writer.pause(".")
    return ""


def _street_or_title(match: re.Match[str], writer: Writer) -> str | None:
    """St. and Dr. before a name are Saint and Doctor, after one Street and Drive."""
    last = writer.last_source
    numbered = re.fullmatch(r"\d+(?:st|nd|rd|th)", last) is not None
    named_before = (last[:1].isupper() or numbered) and not writer.at_start
    following = re.match(r"\s+([A-Z][\w']+)", writer.source[match.end() :])
    named_after = following is not None and following.group(1) not in _STARTERS
    after_name = named_before and (
        numbered or not named_after or re.search(r"\d[\w ]*$", writer.source[: match.start()]) is not None
    )
    words = {"st": ("Saint", "Street"), "dr": ("Doctor", "Drive")}[match.group(1).lower()]
    writer.say(words[1 if after_name else 0], *match.span())
    if after_name and ends_sentence(writer.source, match.end()):
        writer.pause(".")
    return ""


def _street(match: re.Match[str], writer: Writer) -> str | None:
    """42nd St, Main St, Oak Ave: without a full stop."""
    last = writer.last_source
    if writer.at_start or not (last[:1].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", last)):
        return None
    return {"St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road"}[match.group()]


def _span(match: re.Match[str], writer: Writer) -> str | None:
    """The dash in Mon–Fri, Jan-Mar, May 5–June 3, 25 °C–30 °C."""
    before = re.search(r"([A-Za-z]+)\.?$|[\d°%]$", writer.source[: match.start()])
    after = re.match(r"([A-Za-z]+)|[$€£−-]?\d", writer.source[match.end() :])
    if before is None or after is None:
        return None
    words = [word for word in (before[1], after[1]) if word]
    if len(words) == 2 and not all(_CALENDAR.fullmatch(word) for word in words):
        return None
    if after[1] and not _CALENDAR.fullmatch(after[1]):
        return None
    return "to" if after[1] or match[0].strip() == "–" else None


def _day(match: re.Match[str], writer: Writer) -> str | None:
    beside = writer.source[match.start() - 1 : match.start()] + writer.source[match.end() : match.end() + 1]
    return _DAYS[match.group().lower()] if "-" in beside or "–" in beside else None


def _page(match: re.Match[str], writer: Writer) -> str | None:
    return "pages" if match.group().startswith("pp") else "page"


def _dotted_letters(match: re.Match[str], writer: Writer) -> str | None:
    """U.S., U.K., J. R. R."""
    writer.say(" ".join(match.group().replace(".", "").upper()), *match.span())
    if (
        match.group().endswith(".")
        and len(match.group()) > 3
        and re.match(r"\s*$", writer.source[match.end() :])
    ):
        writer.pause(".")
    return ""


def _without_stop(match: re.Match[str], writer: Writer) -> str | None:
    return _WITHOUT_STOP.get(match.group().lower())


def _roman(match: re.Match[str], writer: Writer) -> str | None:
    before = writer.last_source
    letters = match.group()
    if not before[:1].isupper() and before.lower() not in _NUMBERED:
        return None
    if len(letters) == 1 and before.lower() not in _NUMBERED | _REGAL:
        return None
    values = [_ROMAN[letter] for letter in letters]
    total = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    if before.lower() in _REGAL:
        return f"the {ordinal(total)}"
    return cardinal(total)


def _capitals(match: re.Match[str], writer: Writer) -> str | None:
    letters, tail = match.group(1), match.group(2) or ""
    beside = writer.source[match.start() - 1 : match.start()] + writer.source[match.end() : match.end() + 1]
    if "&" in beside:
        said = " ".join(letters) + tail
    elif letters in SAID_AS_WORDS:
        said = SAID_AS_WORDS[letters] + tail
    elif (
        letters.lower() in _EMPHASIZED
        or len(letters) > 5
        or (len(letters) > 3 and _shouted(writer.source))
        or (_shouted(writer.source) and re.search(r"[AEIOUY]", letters))
    ):
        said = letters.lower() + tail
    else:
        said = " ".join(letters) + ("'s" if tail else "")
    return said.replace("’", "'")


def _shouted(text: str) -> bool:
    """Whether capitals mean nothing here, because most of the text is in them."""
    words = re.findall(r"[^\W\d_]{2,}", text)
    capitals = [word for word in words if word.isupper()]
    ordinary = [word for word in capitals if len(word) > 5 or word.lower() in _EMPHASIZED]
    return len(words) >= 3 and len(capitals) > len(words) / 2 and len(ordinary) > len(capitals) / 3


def _consonants(match: re.Match[str], writer: Writer) -> str | None:
    """pdf, html, mp: nothing to pronounce, so spelled."""
    if match.group().lower() in _INTERJECTIONS:
        return None
    return " ".join(match.group().upper())


_START = r"(?<![^\W_])"
WORD_RULES: list[Rule] = [
    (re.compile(r"(?:(?<=\d)|(?<=\d ))([aApP])\.?[mM]\b"), lambda m, _: f"{m[1].upper()} M"),
    (re.compile(rf"{_START}(w/o|w/)(?=\s?\w)"), _without_stop),
    (re.compile(rf"{_START}(St|Dr)\.(?=\W|$)"), _street_or_title),
    (re.compile(rf"{_START}(?:St|Ave|Blvd|Rd)(?=$|[,;)?!]|\s+(?![A-Z]))"), _street),
    (re.compile(rf"{_START}pp?\.(?=\s?\d)"), _page),
    (re.compile(rf"{_START}Nos\.(?=\s?\d)"), lambda m, _: "numbers"),
    (re.compile(r"\s?[-–]\s?"), _span),
    (re.compile(rf"{_START}(?:Mon|Tues?|Wed|Thu|Thurs?|Fri|Sat|Sun)(?![\w'’.])"), _day),
    (
        re.compile(
            rf"{_START}(e\.g|i\.e|a\.k\.a|[Pp]h\.[Dd]|[MBb]\.?[ADS]c?|et al|[A-Za-z]{{2,6}})\.(?=\W|$)"
        ),
        _abbreviation,
    ),
    (re.compile(rf"{_START}(?:[A-Za-z]\.){{2,}}[A-Za-z]?(?![A-Za-z])"), _dotted_letters),
    (re.compile(rf"{_START}[A-HJ-Z]\.(?=\s[A-Z]|\d)"), lambda m, _: m.group()[0]),
    (re.compile(rf"{_START}[A-Za-z]+(?![\w'’-])"), _without_stop),
    (re.compile(rf"{_START}(?=[IVXLC])(?:XC|XL|L?X{{0,3}})(?:IX|IV|V?I{{0,3}})(?![\w'’-])"), _roman),
    (re.compile(rf"{_START}([A-Z]{{2,}})((?:['’]?s)?)(?![a-z]|['’]\w)"), _capitals),
    (
        re.compile(
            rf"{_START}[b-df-hj-np-tv-xz]{{2,5}}(?![\w'’-])|{_START}[b-df-hj-np-tv-xz]{{2,4}}(?=[\d²³⁰-⁹])"
        ),
        _consonants,
    ),
]


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
