"""Removes from a language model's text what is not to be spoken: markup, stage directions, role labels.

Works on a stream. Text is passed on as soon as it is certain to be speakable; what may still be the beginning
of markup is held back, usually a few characters. The text is fed character by character, so the result does
not depend on how it was cut into pieces.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

from cvi.llm.sentence_ends import is_month, ordinals_have_stops

_LONGEST_TAG = 120
_LONGEST_DIRECTION = 80
_LONGEST_LINK = 300

_DIRECTION = re.compile(
    r"(?:smil|laugh|chuckl|giggl|nod|sigh|paus|wink|grin|whisper|gasp|shrug|cough|clear|lean|look|think|tilt|"
    r"wav|blink|cry|cries|yawn|hums|humming|sing|point|frown|gestur|gentl|soft|warm|quiet|excited|cheer|"
    r"thoughtful|beat|silence|applause|music|beam|rais|tak(?:es|ing) a|adjust|snort|sniff|bow|glanc|"
    r"turn|star(?:es|ing))"
    r"[a-z]*\b",
    re.IGNORECASE,
)
_PLAIN_S_WORDS = frozenset(
    "always this yes is was his has as us its thanks plus perhaps sometimes does goes ours yours".split()
)

# Labels of the two speakers that chat formats write; names are added to these.
_CALLER = frozenset("user human you".split())
_OWN = frozenset("assistant ai bot chatbot".split())
_LABEL = re.compile(r"([^\W\d_][\w'’.-]*(?: [A-Z][\w'’-]*){0,2})\**\s?[:：]")
_MAYBE_LABEL = re.compile(r"[^\W\d_][\w'’.-]*(?: [A-Z][\w'’-]*){0,2}\**\s?$")
# The headings by which instruction formats part the speakers.
_TEMPLATE_HEADING = re.compile(r"###\s?(instruction|input|response|human|user|assistant)\s*(?::\s*)?\n", re.I)
_TEMPLATE_HEADINGS = tuple("###" + name for name in "instruction input response human user assistant".split())
_EMOTION = re.compile(r"<emotion\b[^>]*?\bvalue\s*=\s*[\"']?\s*([A-Za-z_-]{1,24})", re.IGNORECASE)
_RULE_OR_BULLET = re.compile(r"[-*_=+•–—]+$")
_BULLET = re.compile(r"[-*+•–—▪◦‣·]\s(?:\[[ xX]\]\s)?")
_NUMBER = re.compile(r"\d{1,2}[.)]\s")
_MAYBE_NUMBER = re.compile(r"\d{1,2}[.)]?$")
_SPOKEN_SYMBOLS = "°©®™№℃℉"


class MarkupFilter:
    """Filters one reply. `names` are the persona's: a label "Ada: " is removed.

    `stopped` becomes true where the model begins to write another speaker's part, a line such as "User: …" or
    "Assistant: …"; nothing is returned after that. Other labels ("Question: …") are words. `language` is the
    reply's, a code such as "en": where ordinals are written with a full stop, "5. Mai" begins no list.
    """

    def __init__(self, names: Iterable[str] = (), language: str = "en") -> None:
        self._names = [name.lower().split() for name in names]
        self._ordinals = ordinals_have_stops(language)
        self._hold = ""
        self._closing: str | None = None
        self._in_formula = False
        self._at_line_start = True
        self._in_item = False
        self._list_number = 0
        self._begun = False
        self._last = "\n"
        self._previous = "\n"
        self._emotion: str | None = None
        self.stopped = False

    def feed(self, character: str) -> str:
        """Take the next character and return the text now certain to be speakable. "\\n" ends a line."""
        self._hold += character
        return self._drain(final=False)

    def finish(self) -> str:
        """Return what was held back, at the end of the text."""
        return self._drain(final=True)

    def take_emotion(self) -> str | None:
        """The value of the latest tag `<emotion value="..."/>`, once; None without a new one."""
        emotion, self._emotion = self._emotion, None
        return emotion

    def _drain(self, final: bool) -> str:
        out = ""
        while self._hold and not self.stopped:
            step = self._step(self._hold, final)
            if step is None:
                break
            speakable, self._hold = step
            if speakable:
                self._previous = speakable[-1]
            if speakable == "\n":
                self._at_line_start, self._in_item, self._in_formula = True, False, False
            elif speakable.strip():
                self._at_line_start, self._begun = False, True
                self._last = speakable.strip()[-1]
            out += speakable
        return out

    def _step(self, held: str, final: bool) -> tuple[str, str] | None:
        """(speakable text, the rest of `held`); None where more characters are needed to decide."""
        if self._closing is not None:
            return self._skip_to_closing(held, final)
        if self._at_line_start:
            if held[0] in " \t\r":
                return "", held[1:]
            head = self._line_head(held, final)
            if head is None:
                return None
            if head != held:
                return "", head
        first = held[0]
        special = {"<": self._tag, "*": self._star, "(": self._aside, "[": self._bracket, "`": self._fence}
        if first in special:
            return special[first](held, final)
        if first == "|":
            return self._cell(held, final)
        if first == "&":
            return _entity(held, final)
        undecided = len(held) == 1 or (first == ">" and not held[1:].strip())
        if first in ">#^~_!-=$\\" and undecided and not final:
            return None
        if first == "$" and (self._in_formula or re.match(r"\$[A-Za-z\\(]", held)):
            self._in_formula = not self._in_formula
            return "", held[1:]
        if re.match(r"\\[()\[\]]", held):
            return "", held[2:]
        if held.startswith(("->", "=>")):
            return "→", held[2:]
        if held.startswith("!["):
            return "", held[1:]
        if self._is_operator(held):
            return first, held[1:]
        return _spoken(first), held[1:]

    def _is_operator(self, held: str) -> bool:
        """Whether a sign that is usually markup is to be said: x < 5, 10^6, #1, C#, ~20, a_b@c.de."""
        after, before = held[1:2], self._previous
        if held[0] in "<>":
            compares = after.isdigit() or after == "=" or (after == " " and held[1:].strip() != "")
            return (before.isalnum() or before in " )°%") and compares
        if held[0] == "#":
            return after.isalnum() or (before.isalpha() and before.isupper())
        if held[0] == "^":
            return before.isalnum() or before == ")"
        if held[0] == "~":
            return after.isdigit()
        return held[0] == "_" and before.isalnum() and after.isalnum()

    def _skip_to_closing(self, held: str, final: bool) -> tuple[str, str] | None:
        assert self._closing is not None
        at = held.lower().find(self._closing)
        if at >= 0:
            rest = held[at + len(self._closing) :]
            self._closing = None
            return " ", rest
        if final:
            return "", ""
        keep = len(self._closing) - 1
        return ("", held[-keep:]) if len(held) > keep else None

    def _line_head(self, held: str, final: bool) -> str | None:
        """`held` without a label, bullet, heading mark or table rule at its front; None to wait for more."""
        if held[0] == "#":
            return self._heading(held, final)
        if held[0] in ">|":
            return held.lstrip(">|")
        if held[0] == ":":
            # The alignment in a table's rule.
            if len(held) == 1 and not final:
                return None
            return held[1:] if held[1:2] in ("-", "|", "\n") else held
        if match := _BULLET.match(held):
            if held.startswith(("- [", "* [")) and len(held) < 6 and not final:
                return None
            self._in_item = True
            return held[match.end() :]
        if _NUMBER.match(held):
            return self._numbered(held, final)
        if _RULE_OR_BULLET.match(held) and held[0] in "-=+•–—▪◦‣·" and not final:
            return None
        if re.match(r"[-=+]{2,}", held):
            return held.lstrip("-=+")
        if _MAYBE_NUMBER.match(held) and not final:
            return None
        if self._in_item:
            return held
        if match := _LABEL.match(held):
            label = match[1].lower()
            own = label in _OWN and not self._begun
            if own or self._is_name(label.split()):
                return held[match.end() :].lstrip("*")
            if label in _CALLER or label in _OWN:
                self.stopped = True
                return ""
        elif _MAYBE_LABEL.match(held) and len(held) < 40 and not final:
            return None
        return held

    def _is_name(self, label: list[str]) -> bool:
        """Whether a label is one of the names, or words of it: "Ada", "Miller" for Ada Miller."""
        return any(set(label) <= set(name) for name in self._names)

    def _heading(self, held: str, final: bool) -> str | None:
        if set(held) == {"#"} and not final:
            return None
        if match := _TEMPLATE_HEADING.match(held):
            if self._begun or match[1].lower() not in ("response", "assistant"):
                self.stopped = True
                return ""
            return held[match.end() :]
        compact = re.sub(r"[\s:]", "", held).lower()
        if not final and "\n" not in held and any(name.startswith(compact) for name in _TEMPLATE_HEADINGS):
            return None
        match = re.match(r"#{1,6}(?=[^#\w])|#{2,6}", held)
        return held[match.end() :] if match else held

    def _numbered(self, held: str, final: bool) -> str | None:
        """A number that begins a list, or goes on with it, is not said; "42. So it is." is."""
        match = re.match(r"(\d{1,2})[.)]\s(\w*)", held)
        assert match is not None
        number = int(match[1])
        if number not in (1, self._list_number + 1):
            return held
        if self._ordinals and held[len(match[1])] == ".":
            if match.end() == len(held) and not final:
                return None
            if is_month(match[2]):
                return held
        self._list_number = number
        self._in_item = True
        return held[match.start(2) :]

    def _tag(self, held: str, final: bool) -> tuple[str, str] | None:
        if held.startswith("<|"):
            self.stopped = True
            return "", ""
        end = held.find(">")
        if end < 0:
            unlike = held[1:].strip() != "" and not re.match(r"<[A-Za-z/!]", held)
            never = final or unlike or "\n" in held or len(held) > _LONGEST_TAG
            return (held[0] if self._is_operator(held) else "", held[1:]) if never else None
        tag = held[: end + 1]
        if not re.match(r"</?[A-Za-z!]", tag):
            return held[0] if self._is_operator(held) else "", held[1:]
        if match := _EMOTION.match(tag):
            self._emotion = match[1].lower()
        return " ", held[end + 1 :]

    def _star(self, held: str, final: bool) -> tuple[str, str] | None:
        if len(held) == 1:
            return ("", "") if final else None
        if self._previous.isdigit() or (self._last.isdigit() and held[1] == " "):
            if len(held) == 2 and held[1] == " " and not final:
                return None
            if re.match(r"\* ?[\d(]", held):
                return "×", held[1:]
        if held[1] in "* \t\n":
            return "", held[1:] if held[1] != "*" else held[2:]
        end = held.find("*", 1)
        if end > 0:
            inner = held[1:end]
            # A stressed word within a sentence is said; "*nods*", or "*opens the door*" by itself, is not.
            alone, acted = self._last in ".!?…\n", _is_third_person(inner)
            if (alone and acted) or (_DIRECTION.match(inner) and (alone or acted)):
                return " ", held[end + 1 :]
            return "", inner + held[end + 1 :]
        if final or "\n" in held or len(held) > _LONGEST_DIRECTION:
            return "", held[1:]
        return None

    def _cell(self, held: str, final: bool) -> tuple[str, str] | None:
        """The border between two cells of a table is a pause, its outer border nothing."""
        rest = held[1:].lstrip(" |\t\r")
        if not rest:
            return ("", "") if final else None
        return ("" if rest[0] == "\n" else ", ", rest)

    def _aside(self, held: str, final: bool) -> tuple[str, str] | None:
        end = held.find(")")
        if end > 0 and _DIRECTION.match(held[1:end]) and len(held[1:end].split()) <= 6:
            return " ", held[end + 1 :]
        words = held[1:].split(" ")
        unlike = len(words) > 1 and not _DIRECTION.match(held[1:])
        if end > 0 or final or "\n" in held or unlike or len(held) > _LONGEST_DIRECTION:
            return "(", held[1:]
        return None

    def _bracket(self, held: str, final: bool) -> tuple[str, str] | None:
        end = held.find("]")
        if end < 0:
            never = final or "\n" in held or len(held) > _LONGEST_TAG
            return ("", held[1:]) if never else None
        if len(held) == end + 1 and not final:
            return None
        if held[end + 1 : end + 2] == "(":
            close = held.find(")", end)
            if close > 0:
                return "", held[1:end] + held[close + 1 :]
            if not final and len(held) < end + _LONGEST_LINK and "\n" not in held:
                return None
            return "", held[1:end]
        return "", held[end + 1 :]

    def _fence(self, held: str, final: bool) -> tuple[str, str] | None:
        if held.startswith("```"):
            self._closing = "```"
            return " ", held[3:]
        if set(held) == {"`"} and not final:
            return None
        return "", held[1:]


def _spoken(character: str) -> str:
    """The character, a blank, or nothing if it cannot be said."""
    if character in "_\t\r\u00a0\u2028\u2029":
        return " "
    if character in "*#~^<>{}[]\\`":
        return ""
    kind = unicodedata.category(character)
    if character == "\n" or character in _SPOKEN_SYMBOLS or character == "\u200c":
        return character
    # Emoji and their modifiers, control and private characters.
    unsaid = kind in ("So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Me") or character == "\ufe0f"
    return "" if unsaid else character


def _entity(held: str, final: bool) -> tuple[str, str] | None:
    """An HTML entity as its character: &amp; &nbsp; &lt;."""
    if re.fullmatch(r"&#?\w{0,8}", held) and not final:
        return None
    match = re.match(r"&#?\w{2,8};", held)
    meant = html.unescape(match[0]) if match else ""
    if match is None or len(meant) != 1:
        return held[0], held[1:]
    return "", (" " if meant.isspace() else meant) + held[match.end() :]


def _is_third_person(inner: str) -> bool:
    word = inner.split(" ", 1)[0].lower()
    return word.endswith(("s", "ing", "ly")) and not word.endswith("ss") and word not in _PLAIN_S_WORDS
