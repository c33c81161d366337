"""What kind of answer a variable wants, by the words of its name, and where an English text holds one.

A small model takes "good evening" for a time and leaves a telephone number out. So where a variable's name
tells its kind, only an answer of that kind is taken down, in the words that were said; and where the model
took none, the only one that was said. No model, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cvi.policy.said_values import content_words, said_value

_ONES = "one two three four five six seven eight nine"
_DIGIT = rf"(?:zero|oh|double|{_ONES.replace(' ', '|')}|\d)"
_NUMBER_WORD = (
    rf"(?:\d[\d.,]*k?|zero|{_ONES.replace(' ', '|')}|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand)"
)
_NUMBER = rf"{_NUMBER_WORD}(?:[ -](?:and )?{_NUMBER_WORD})*"
_HOUR = rf"(?:{_ONES.replace(' ', '|')}|ten|eleven|twelve|\d{{1,2}})"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)?|(?:twenty|thirty)[ -](?:first|second|third|fourth|fifth|sixth|seventh|eighth"
    r"|ninth)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth"
    r"|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth)"
)
_DATE = rf"(?:the )?{_ORDINAL} (?:of )?{_MONTH}|{_MONTH} (?:the )?{_ORDINAL}\b"
_SPAN = rf"{_NUMBER} (?:minute|hour|day|week|month|year)s?"
_PAST = (
    rf"last (?:{_WEEKDAY}|week(?:end)?|month|year|night|spring|summer|autumn|fall|winter|{_MONTH})"
    rf"|yesterday(?: (?:morning|afternoon|evening|night))?|this (?:morning|afternoon|week|month)|today"
    rf"|tonight|{_SPAN} ago"
)
_MONEY = "(?:dollars|euros|pounds|francs|cents)"
_NEVER = r"(?!)"
_LATER = re.compile(
    r"\b(but now|actually|make that|no wait|i meant?|or rather|sorry|correction|lately)\b", re.IGNORECASE
)
"""What stands between an answer and another one that takes its place."""
_FEW_WORDS = 4


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """`named`: variables of this kind; `value`: its answers; `asked`: what asks for it, beside the name's own
    words. Not `closed`: other answers may be right too. `alone`: taken without having been asked for, if it
    is like this; the empty pattern for any."""

    named: re.Pattern[str]
    value: re.Pattern[str]
    asked: re.Pattern[str]
    alone: re.Pattern[str]
    closed: bool = True

    def found(self, text: str) -> list[str]:
        """The answers in a text, in its own words."""
        return list(dict.fromkeys(match.group().strip() for match in self.value.finditer(text)))


def _kind(named: str, value: str, asked: str, *, closed: bool = True, alone: str = "") -> AnswerKind:
    texts = (rf"\b(?:{named})\b", value, asked, alone)
    variables, answers, questions, unasked = (re.compile(text, re.IGNORECASE) for text in texts)
    return AnswerKind(variables, answers, questions, unasked, closed)


KINDS = (
    _kind(
        "e?mail|email address",
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b(?:\w+ dot )*\w+ at \w+(?: dot \w+)+",
        r"\bmail",
    ),
    _kind(
        r"(?:when|day|date)\b.*\b(?:happened|occurred|bought|purchased)|incident date|purchase date",
        rf"\b(?:{_PAST}|{_DATE}|{_WEEKDAY}|(?:in |last )?{_MONTH})\b",
        r"\bwhen\b|what day|which day",
        closed=False,
        alone=rf"\b(?:{_PAST}|{_DATE})\b",
    ),
    _kind(
        "since|how long|duration|began|started",
        rf"\b(?:last (?:{_WEEKDAY}|week|month|year|night|{_MONTH})|yesterday|this (?:morning|week|month)"
        rf"|{_SPAN}(?: ago)?|(?:in |since )?{_MONTH}|(?:since )?{_WEEKDAY}"
        r"|(?:for )?ages|(?:quite )?a while)\b",
        r"since when|how long",
        closed=False,
    ),
    _kind(
        "guests|people|persons|party size|adults",
        rf"(?<=table for )(?!\w+ o'clock){_NUMBER_WORD}\b|(?<=we are ){_NUMBER_WORD}\b"
        rf"|\b{_NUMBER_WORD}(?= (?:people|persons|guests|adults|of us)\b)"
        rf"|^\W*(?:just |only )?{_NUMBER_WORD}\W*$",
        r"how many",
    ),
    _kind(
        "number of|how many|count|years|age|mileage|scale|zero to ten|one to ten|rating",
        rf"\b{_NUMBER}\b",
        r"how many|how old|zero to ten|how strong",
        alone=_NEVER,
    ),
    _kind(
        "salary|wage|price|budget|amount|income|cost",
        rf"\b{_NUMBER}(?: {_MONEY})?(?: (?:a|an|per) (?:year|month|hour))?(?!\w)",
        r"\bearn|how much|salary|\bcost|\bworth\b|\bpay\b|\bspend\b",
        alone=rf"{_MONEY}\b",
    ),
    _kind(
        "phone|telephone|mobile|number|zip|pin",
        rf"\b(?:{_DIGIT}[ -]?){{2,}}{_DIGIT}\b|\b[a-z]{{0,3}}-?\d[\d-]{{2,}}\b",
        r"\bnumber|reach you",
    ),
    _kind(
        "time",
        rf"\b(?:(?:half|(?:a )?quarter|five|ten|twenty(?:[ -]five)?)(?: minutes)? (?:past|to) {_HOUR}"
        rf"|{_HOUR} o'clock|noon|midday|midnight|\d{{1,2}}[:.]\d\d(?: ?[ap]\.? ?m\b)?|{_HOUR} ?[ap]\.? ?m\b"
        rf"|{_HOUR} in the (?:morning|afternoon|evening)|{_HOUR} (?:thirty|fifteen|forty[ -]five))\b",
        r"what time|when",
    ),
    _kind(
        "day|date|start|when|arrival|departure",
        rf"\b(?:{_DATE}|(?:(?:this|next|on) )?{_WEEKDAY}s?|today|tonight|(?:the day after )?tomorrow|weekend"
        rf"|next (?:week|month|year)|(?:in )?{_MONTH}|at once|immediately|right away|in {_SPAN})\b",
        r"which day|when",
    ),
)  # fmt: skip


def kind_of(variable: str) -> AnswerKind | None:
    """The kind of a variable by its name ("phone_number"); None where the name tells none."""
    words = variable.replace("_", " ")
    return next((kind for kind in KINDS if kind.named.search(words)), None)


def settled(
    taken: Mapping[str, str],
    variables: Sequence[str],
    asked: str,
    said: str,
    reworded: Collection[str] = (),
) -> dict[str, str]:
    """What is taken down of a turn: what the model took, held to the kinds of the variables that are open,
    and what it left out although it was said; a short answer to a question is that of what it asks for.

    `reworded` are variables for which the model wrote an answer that is not in the words said: if they were
    asked for, the words said are the answer."""
    kinds = {name: kind_of(name) for name in variables}
    short = len(said.split()) <= _FEW_WORDS
    answers = {}
    for name, kind in kinds.items():
        value, for_another = taken.get(name, ""), _another_is_asked(name, kinds, asked)
        if for_another and short:
            continue
        was_asked = _is_asked(name, kind, asked) and not for_another
        if kind is not None:
            alone = was_asked or sum(other is kind for other in kinds.values()) == 1
            value = _of_kind(kind, value, said, alone=alone, asked=was_asked)
        elif not value and was_asked and (short or name in reworded):
            value = said_value(said, said)
        if value:
            answers[name] = value
    # What answers one variable by its kind is not the answer of another that would take any words.
    by_kind = {content_words(value) for name, value in answers.items() if kinds[name] is not None}
    return {
        name: value
        for name, value in answers.items()
        if kinds[name] is not None or content_words(value) not in by_kind
    }


def _of_kind(kind: AnswerKind, value: str, said: str, *, alone: bool, asked: bool) -> str:
    inside, found = kind.found(value), kind.found(said)
    if len(found) > 1 and asked and (later := _LATER.search(said)):
        last = kind.found(said[later.end() :])
        if last:
            return last[0]
    if inside and inside[0] in found:
        return inside[0]
    if len(found) == 1 and (value or (alone and (asked or kind.alone.search(found[0])))):
        return said_value(found[0], said)
    return value if inside or not kind.closed else ""


def _another_is_asked(name: str, kinds: Mapping[str, AnswerKind | None], asked: str) -> bool:
    """Whether the question names another open variable of the kind, by a word that this one's name has not,
    and this one by none: the policy's number, not the telephone's."""
    own, words = set(name.split("_")), set(re.findall(r"[a-z]+", asked.lower()))
    others = [set(other.split("_")) for other in kinds if kinds[other] is kinds[name] and other != name]
    return any((other - own) & words and not (own - other) & words for other in others)


def _is_asked(name: str, kind: AnswerKind | None, asked: str) -> bool:
    if kind is not None and kind.asked.search(asked):
        return True
    stems = (word.rstrip("s") for word in name.split("_") if len(word) > 3)
    return any(re.search(rf"\b{re.escape(stem)}", asked, re.IGNORECASE) for stem in stems)
