"""Removes from a language model's text what is not to be spoken: markup, stage directions, role labels.

Works on a stream. Text is passed on as soon as it is certain to be speakable; what may still be the beginning
of markup is held back, usually a few characters. The text is fed character by character, so the result does
not depend on how it was cut into pieces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

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

_CALLER = frozenset(
    "user human you visitor customer caller patient candidate guest client participant interviewer person "
    "student learner child q question system instruction instructions input".split()
)
_OWN = frozenset("assistant ai bot chatbot agent model response answer reply a".split())
_OPENERS = frozenset(
    "sure yes no well okay ok note first second third finally remember here right now also so look listen "
    "great good warning tip example answer important today tomorrow yesterday hello hi next then".split()
)
_LABEL = re.compile(r"([^\W\d_][\w'’.-]*(?: [A-Z][\w'’-]*)?)\**\s?:")
_MAYBE_LABEL = re.compile(r"[^\W\d_][\w'’.-]*(?: (?:[A-Z][\w'’-]*)?)?\**\s?$")
_EMOTION = re.compile(r"<emotion\b[^>]*?\bvalue\s*=\s*[\"']?\s*([A-Za-z_-]{1,24})", re.IGNORECASE)
_THINKING = re.compile(r"<(think|thinking|thought|reasoning|analysis)\b", re.IGNORECASE)
_RULE_OR_BULLET = re.compile(r"[-*_=+•–—]+$")
_BULLET = re.compile(r"[-*+•–—]\s")
_NUMBER = re.compile(r"\d{1,2}[.)]\s")
_MAYBE_NUMBER = re.compile(r"\d{1,2}[.)]?$")
_SPOKEN_SYMBOLS = "°©®™№℃℉"


class MarkupFilter:
    """Filters one reply. `names` are the persona's: a label "Ada: " is removed.

    `stopped` becomes true where the model begins to write another speaker's part; nothing is returned after
    that.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {name.lower() for name in names} | _OWN
        self._hold = ""
        self._closing: str | None = None
        self._at_line_start = True
        self._begun = False
        self._last = "\n"
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
            if speakable == "\n":
                self._at_line_start = True
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
        if first == "<":
            return self._tag(held, final)
        if first == "*":
            return self._star(held, final)
        if first == "(":
            return self._aside(held, final)
        if first == "[":
            return self._bracket(held, final)
        if first == "`":
            return self._fence(held, final)
        if first == "!" and len(held) == 1 and not final:
            return None
        if held.startswith("!["):
            return "", held[1:]
        return _spoken(first), held[1:]

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
        """`held` without a label, bullet or heading mark at its front; None to wait for more."""
        if held.startswith("###"):
            self.stopped = True
            return ""
        if held[0] in "#>":
            return None if set(held) == {"#"} and not final else held.lstrip("#>")
        if match := _BULLET.match(held) or _NUMBER.match(held):
            return held[match.end() :]
        if _RULE_OR_BULLET.match(held) and held[0] in "-=+•–—" and not final:
            return None
        if re.match(r"[-=+]{2,}", held):
            return held.lstrip("-=+")
        if _MAYBE_NUMBER.match(held) and not final:
            return None
        if match := _LABEL.match(held):
            label = match[1].lower()
            if label in self._names and not (self._begun and label in _OWN):
                return held[match.end() :].lstrip("*")
            if label in _CALLER or label in _OWN:
                self.stopped = True
                return ""
            if not self._begun and label not in _OPENERS and match[1][0].isupper():
                return held[match.end() :].lstrip("*")
        elif _MAYBE_LABEL.match(held) and len(held) < 40 and not final:
            return None
        return held

    def _tag(self, held: str, final: bool) -> tuple[str, str] | None:
        if held.startswith("<|"):
            self.stopped = True
            return "", ""
        end = held.find(">")
        if end < 0:
            unlike = len(held) > 1 and not re.match(r"<[A-Za-z/!]", held)
            never = final or unlike or "\n" in held or len(held) > _LONGEST_TAG
            return ("", held[1:]) if never else None
        tag = held[: end + 1]
        if not re.match(r"</?[A-Za-z!]", tag):
            return "", held[1:]
        if match := _EMOTION.match(tag):
            self._emotion = match[1].lower()
        elif (match := _THINKING.match(tag)) and not tag.endswith("/>"):
            self._closing = f"</{match[1].lower()}>"
        return " ", held[end + 1 :]

    def _star(self, held: str, final: bool) -> tuple[str, str] | None:
        if len(held) == 1:
            return ("", "") if final else None
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
    if character in "_|\t\r\u00a0\u2028\u2029":
        return " "
    if character in "*#~^<>{}[]\\`":
        return ""
    kind = unicodedata.category(character)
    if character == "\n" or character in _SPOKEN_SYMBOLS or character == "\u200c":
        return character
    # Emoji and their modifiers, control and private characters.
    unsaid = kind in ("So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn", "Me") or character == "\ufe0f"
    return "" if unsaid else character


def _is_third_person(inner: str) -> bool:
    word = inner.split(" ", 1)[0].lower()
    return word.endswith(("s", "ing", "ly")) and not word.endswith("ss") and word not in _PLAIN_S_WORDS
