"""English abbreviations and words in capitals: expanded, spelled, or said as they stand."""

from __future__ import annotations

import re

from cvi.tts import spoken_tables as tables
from cvi.tts.spoken_numbers import cardinal, ordinal
from cvi.tts.spoken_text import Rule, Writer

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_INTERJECTIONS = frozenset(
    "hm hmm hmmm mm mmm shh shhh psst pst brr brrr tsk zzz grr pfft nth th st nd rd mr ms dr vs sky".split()
)


def ends_sentence(text: str, at: int) -> bool:
    """Whether a stop before `at` closes a sentence: the text ends, or a capital follows."""
    return re.match(r"\s*$|\s+[A-Z\"“(]", text[at:]) is not None


def _abbreviation(match: re.Match[str], writer: Writer) -> bool:
    key = match.group(1).lower()
    if key in tables.DAYS and match.group()[0].isupper() and not ends_sentence(writer.source, match.end()):
        writer.say(tables.DAYS[key], match.start(), match.end())
        return True
    said = tables.ABBREVIATIONS.get(key)
    follower = re.match(r"\s*[A-Z\d]", writer.source[match.end() :])
    if said is None or (key in tables.NEEDS_FOLLOWER and (not follower or not match.group()[0].isupper())):
        return False
    if key == "co" and follower:
        said = "Company"
    writer.say(said, match.start(), match.end())
    if key not in tables.TITLES and ends_sentence(writer.source, match.end()):
        writer.pause(".")
    return True


def _street_or_title(match: re.Match[str], writer: Writer) -> bool:
    """St. and Dr. before a name are Saint and Doctor, after one Street and Drive."""
    named_before = writer.last_source[:1].isupper() and not writer.at_start
    following = re.match(r"\s+([A-Z][\w']+)", writer.source[match.end() :])
    named_after = following is not None and following.group(1) not in tables.STARTERS
    after_name = named_before and (
        not named_after or re.search(r"\d[\w ]*$", writer.source[: match.start()]) is not None
    )
    words = {"st": ("Saint", "Street"), "dr": ("Doctor", "Drive")}[match.group(1).lower()]
    writer.say(words[1 if after_name else 0], match.start(), match.end())
    if after_name and ends_sentence(writer.source, match.end()):
        writer.pause(".")
    return True


def _dotted_letters(match: re.Match[str], writer: Writer) -> bool:
    """U.S., U.K., J. R. R."""
    writer.say(" ".join(match.group().replace(".", "").upper()), match.start(), match.end())
    if (
        match.group().endswith(".")
        and len(match.group()) > 3
        and re.match(r"\s*$", writer.source[match.end() :])
    ):
        writer.pause(".")
    return True


def _initial(match: re.Match[str], writer: Writer) -> bool:
    writer.say(match.group()[0], match.start(), match.end())
    return True


def _without_stop(match: re.Match[str], writer: Writer) -> bool:
    said = tables.WITHOUT_STOP.get(match.group().lower())
    if said is None:
        return False
    writer.say(said, match.start(), match.end())
    return True


def _roman(match: re.Match[str], writer: Writer) -> bool:
    before = writer.last_source
    letters = match.group()
    if not before[:1].isupper() and before.lower() not in tables.NUMBERED:
        return False
    if len(letters) == 1 and before.lower() not in tables.NUMBERED | tables.REGAL:
        return False
    values = [_ROMAN[letter] for letter in letters]
    total = sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
    if before.lower() in tables.REGAL:
        writer.say(f"the {ordinal(total)}", match.start(), match.end())
    else:
        writer.say(cardinal(total), match.start(), match.end())
    return True


def _capitals(match: re.Match[str], writer: Writer) -> bool:
    letters, tail = match.group(1), match.group(2) or ""
    beside = writer.source[match.start() - 1 : match.start()] + writer.source[match.end() : match.end() + 1]
    if "&" in beside:
        said = " ".join(letters) + tail
    elif letters in tables.SAID_AS_WORDS:
        said = tables.SAID_AS_WORDS[letters] + tail
    elif (
        letters.lower() in tables.EMPHASIZED
        or len(letters) > 5
        or (len(letters) > 3 and _shouted(writer.source))
        or (_shouted(writer.source) and re.search(r"[AEIOUY]", letters))
    ):
        said = letters.lower() + tail
    else:
        said = " ".join(letters) + ("'s" if tail else "")
    writer.say(said.replace("’", "'"), match.start(), match.end())
    return True


def _shouted(text: str) -> bool:
    """Whether capitals mean nothing here, because most of the text is in them."""
    words = re.findall(r"[^\W\d_]{2,}", text)
    capitals = [word for word in words if word.isupper()]
    ordinary = [word for word in capitals if len(word) > 5 or word.lower() in tables.EMPHASIZED]
    return len(words) >= 3 and len(capitals) > len(words) / 2 and len(ordinary) > len(capitals) / 3


def _half_of_day(match: re.Match[str], writer: Writer) -> bool:
    writer.say(f"{match.group(1).upper()} M", match.start(), match.end())
    return True


def _consonants(match: re.Match[str], writer: Writer) -> bool:
    """pdf, html, mp: nothing to pronounce, so spelled."""
    if match.group().lower() in _INTERJECTIONS:
        return False
    writer.say(" ".join(match.group().upper()), match.start(), match.end())
    return True


_START = r"(?<![^\W_])"
ACRONYM_RULES: list[Rule] = [
    (re.compile(r"(?:(?<=\d)|(?<=\d ))([aApP])\.?[mM]\b"), _half_of_day),
    (re.compile(rf"{_START}(w/o|w/)(?=\s?\w)"), _without_stop),
    (re.compile(rf"{_START}(St|Dr)\.(?=\W|$)"), _street_or_title),
    (
        re.compile(
            rf"{_START}(e\.g|i\.e|a\.k\.a|[Pp]h\.[Dd]|[MBb]\.?[ADS]c?|et al|[A-Za-z]{{2,6}})\.(?=\W|$)"
        ),
        _abbreviation,
    ),
    (re.compile(rf"{_START}(?:[A-Za-z]\.){{2,}}[A-Za-z]?(?![A-Za-z])"), _dotted_letters),
    (re.compile(rf"{_START}[A-HJ-Z]\.(?=\s[A-Z]|\d)"), _initial),
    (re.compile(rf"{_START}[A-Za-z]+(?![\w'’-])"), _without_stop),
    (re.compile(rf"{_START}(?=[IVXLC])(?:XC|XL|L?X{{0,3}})(?:IX|IV|V?I{{0,3}})(?![\w'’-])"), _roman),
    (re.compile(rf"{_START}([A-Z]{{2,}})((?:['’]?s)?)(?![a-z]|['’]\w)"), _capitals),
    (
        re.compile(rf"{_START}[b-df-hj-np-tv-xz]{{2,5}}(?![\w'’-])|{_START}[b-df-hj-np-tv-xz]{{2,4}}(?=\d)"),
        _consonants,
    ),
]
