"""Whether a value that a model took down was really said, and is an answer at all.

A small model fills a form with what would fit. So a value counts only if its words are the participant's:
a number in digits or in words, a date in any order, case and punctuation aside.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’.@-][^\W_]+)*")
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_FILLERS = frozenset(
    "a an the of at in on for and to is it it's i i'm my me we our about around roughly approximately "
    "um uh er well please years year old".split()
)
_NO_ANSWER = re.compile(
    r"^(|unknown|none|null|n/?a|nothing|undefined|empty|yes|no|ok(ay)?|unspecified|\?+|-+"
    r"|not (said|mentioned|given|specified|provided|stated|known|sure|applicable)"
    r"|(the )?(participant|user|caller) .*)$"
    r"|\b(rather not|prefer not|don't (know|want|remember)|do not (know|want)|not (going to|gonna) (say|tell)"
    r"|why do you|none of your|no idea|not sure|can't (say|tell|remember)|skip (that|it)|guess|depends"
    r"|whatever|let's not|private|between me and|who (can|could|knows)|we('ll| will) see"
    r"|(not|n't) (talk|speak|tell)|no thanks|do you (really )?need|you should know|this and that)\b"
    # A question back, and what is said of the one who asks.
    # Evasions.
    r"|^(hard to \w+|good question|as soon as|as \w+ as (possible|i can|you can)|some ?time)\b"
    r"|\b((doesn't|does not|don't|won't) matter|hard to (say|tell|pick|choose|put)|never mind|no business"
    r"|keep (that|this|it) to myself|leave (that|this|it) open|get in touch)\b"
    r"|^(the|that|this) (one|thing|other)\b|^(it|that|this|they|them|there|here|one|something|anything)$"
    r"|^(what|why|how|who|when|where|which)( \w+)? (do|does|did|are|is|was|can|could|will|would|should)\b"
    r"|^(do|does|did|am|are|is|can|could|will|would|should|have|has) "
    r"(i|you|we|they|he|she|it|that|this|there)\b"
    r"|\b(are|is|do)n't (you|it|they)$|\b(you|your|yours)\b",
    re.IGNORECASE,
)
MOST_WORDS = 14
_CLAUSE_ENDS = re.compile(
    r"[,;.]|\s(?=(?:and|but|because|so|that|which|who|when|while|although|then)\b)", re.IGNORECASE
)
_INFLECTION = re.compile(r"(?<=[a-z]{3})(ing|ed|es|s|e|d)$")


def said_value(value: object, said: str) -> str:
    """The value, tidied, if the words `said` hold it; "" if they do not, or if it is no answer.

    Where its first or last words were not said, what stands between them is the value, if that is most of it.
    Endings do not count: "hurts" was said by "it has been hurting".
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = _shortened(str(value).replace("’", "'").strip(" \t\n.,;:!\"'"))
    found = list(_WORD.finditer(text))
    if _NO_ANSWER.search(text) or not found or len(found) > MOST_WORDS:
        return ""
    words = _words(text)
    heard = set(_words(said)) | joined_numbers(said)
    stems = {_INFLECTION.sub("", word) for word in heard}
    matters = [word not in _FILLERS for word in words]
    if not any(matters):
        matters = [True] * len(words)
    holds = [
        not matter or _is_heard(word, heard, said) or _INFLECTION.sub("", word) in stems
        for word, matter in zip(words, matters, strict=True)
    ]
    first = next((at for at, held in enumerate(holds) if held and matters[at]), len(words))
    last = next((at for at in reversed(range(len(words))) if holds[at] and matters[at]), -1)
    kept = sum(matters[first : last + 1])
    if not all(holds[first : last + 1]) or 2 * kept <= sum(matters):
        return ""
    return text if kept == sum(matters) else text[found[first].start() : found[last].end()]


def _shortened(text: str) -> str:
    """A value of more than `MOST_WORDS` words up to the last end of a clause within them; else unchanged."""
    if len(_WORD.findall(text)) <= MOST_WORDS:
        return text
    ends = [match.start() for match in _CLAUSE_ENDS.finditer(text)]
    short = [text[:end] for end in ends if 1 < len(_WORD.findall(text[:end])) <= MOST_WORDS]
    return short[-1] if short else text


def is_answer(value: object) -> bool:
    """Whether what a model wrote is an answer, rather than a way to say that there is none."""
    return isinstance(value, str) and _NO_ANSWER.search(value.strip(" .")) is None


def content_words(text: str) -> tuple[str, ...]:
    """The words of a value that mean something, numbers in digits."""
    return tuple(word for word in _words(text) if word not in _FILLERS)


def _is_heard(word: str, heard: set[str], said: str) -> bool:
    if word in heard:
        return True
    plain = re.sub(r"[^a-z0-9]", "", word)
    # A spelt-out address or number: "anna at example dot com", "5 5 0 9".
    together = re.sub(r"[^a-z0-9]", "", _spelt(said))
    return len(plain) >= 3 and plain in together


def _spelt(said: str) -> str:
    text = said.lower().replace(" at ", "@").replace(" dot ", ".")
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    return [number_in_digits(match.group().lower().replace("’", "'")) for match in _WORD.finditer(text)]


def number_in_digits(word: str) -> str:
    """Number words and ordinals as digits: "twenty-five", "third", "3rd"."""
    if word in _SMALL:
        return str(_SMALL.index(word))
    if word in _ORDINALS:
        return str(_ORDINALS.index(word))
    if word in _TENS:
        return str(20 + 10 * _TENS.index(word))
    first, _, last = word.partition("-")
    if first in _TENS and last:
        small = number_in_digits(last)
        if small.isdigit() and int(small) < 10:
            return str(20 + 10 * _TENS.index(first) + int(small))
    match = re.fullmatch(r"(\d+)(?:st|nd|rd|th|'s|s)?", word)
    return match[1] if match else word.removesuffix("'s")


def joined_numbers(said: str) -> set[str]:
    """Numbers of several words: "twenty five" -> 25, "nineteen eighty four" -> 1984, "two hundred" -> 200."""
    words = _words(said)
    found: set[str] = set()
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if not word.isdigit():
            continue
        if following in ("hundred", "thousand"):
            found.add(str(int(word) * (100 if following == "hundred" else 1000)))
        if following.isdigit():
            found.add(word + following)
            if len(word) == 2 and word.endswith("0") and len(following) == 1:
                found.add(str(int(word) + int(following)))
                after = words[index + 2] if index + 2 < len(words) else ""
                if after.isdigit():
                    found.add(str(int(word) + int(following)) + after)
            tens = words[index + 2] if index + 2 < len(words) else ""
            if len(following) == 2 and following.endswith("0") and len(tens) == 1 and tens.isdigit():
                found.add(word + str(int(following) + int(tens)))
    return found
