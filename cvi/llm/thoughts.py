"""Removes a language model's reasoning from its stream, in the forms in which models and endpoints leak it.

Tags (`<think>…</think>`, `<reasoning>`, `[THINK]…[/THINK]`, `◁think▷`), control tokens
(`<|begin_of_thought|>`, `<|START_THINKING|>`), OpenAI's harmony channels (`<|channel|>analysis<|message|>…`,
also without their tokens: `analysis…assistantfinal…`), text before a closing tag that was never opened, and
text after an opening tag that is never closed.
"""

from __future__ import annotations

import re

_NAMES = "thinking|think|thoughts|thought|reasoning|reason|analysis|reflection|scratchpad|inner_monologue"
_NAME_LIST = tuple(_NAMES.split("|"))
_BRACKET_NAMES = ("THINK", "THINKING", "REASONING")
_CONTROL_NAMES = "thinking|think|thoughts|thought|reasoning"
_TAG = re.compile(rf"<(?:\w+:)?(?:{_NAMES})(?:\s[^<>]*)?>", re.IGNORECASE)
_TOKEN = re.compile(r"<\|([^|<>\n]{1,60})\|>")
_BRACKET = re.compile(r"\[(?:THINK|THINKING|REASONING)\]|◁think▷")
_OPENING_TOKEN = re.compile(rf"(?:(?:begin|start)[_ ](?:of[_ ])?)?(?:{_CONTROL_NAMES})$", re.IGNORECASE)
_CLOSING = re.compile(
    rf"</(?:\w+:)?(?:{_NAMES})\s*>|<\|(?:/|end[_ ](?:of[_ ])?)(?:{_CONTROL_NAMES})\|>",
    re.IGNORECASE,
)
_CLOSING_BRACKET = re.compile(r"\[/(?:THINK|THINKING|REASONING)\]|◁/think▷")
_CHANNEL_END = re.compile(r"<\|(end|return|call|start|channel)\|>")
_PLAIN_HARMONY = re.compile(r"analysis(?=[A-Z])")
_PLAIN_FINAL = re.compile(r"assistant\s?final(?=\W|[A-Z])")
_SPOKEN_CHANNEL = "final"
_LONGEST_TOKEN = 64
_LONGEST_CLOSING = 80
_START_CHARS = 160
"""How much of a reply's beginning is looked at for the signs below."""

# A reply that speaks of "the user" or of how to answer is held back until it shows what it is: a closing tag
# follows, or the end.
_PONDERING = re.compile(
    r"\W*(?:(?:okay|ok|alright|all right|hmm+|hm|so|well|right|first|now|wait"
    r"|let me see|let's see)\b[,.… ]*)*"
    r"(?:(?:the|this) user\b(?! (?:interface|manual|guide|name|account))"
    r"|(?:the )?users? (?:asks?|asked|wants?|says?|said|greets?|is asking)\b"
    r"|(?:they|he|she)(?:'re| are|'s| is)? "
    r"(?:asking|asked|asks|greeting|greeted|greets|wants? (?:me|to know)\b)"
    r"|(?:i|we) (?:should|need to|must|have to|will|'ll) (?:\w+ )?"
    r"(?:respond|reply|answer|acknowledge|greet|be brief|keep (?:it|this|my)|stay in character)\b"
    r"|(?:let me|let's) (?:think|analy[sz]e|figure|break)\b(?=.*\b(?:user|they|reply|respond|answer)\b)"
    r"|(?:my|the) (?:response|reply|answer) (?:should|must|needs to)\b"
    r"|(?:here(?:'s| is) )?(?:my |a )?(?:thinking|thought)(?: process)?:|thoughts?:|reasoning:)",
    re.IGNORECASE,
)
_LABELLED_ANSWER = re.compile(
    r"(?:\n\s*\**(?:final )?(?:answer|response|reply)\**:|here(?:'s| is) my (?:response|answer|reply):)\**$",
    re.IGNORECASE,
)


class ThoughtFilter:
    """Filters one reply, fed character by character; the result does not depend on the pieces of the stream.

    `restarted` becomes true where a closing tag shows that everything returned before was reasoning.
    """

    def __init__(self) -> None:
        self._hold = ""
        self._mode = "answer"  # thought, channel (harmony reasoning), header (of a message), plain_harmony
        self._begun = False
        self._start = ""
        self._pondering = False
        self._kept = ""
        self.restarted = False

    def feed(self, character: str) -> str:
        """Take the next character and return what now belongs to the answer."""
        self._hold += character
        out = ""
        while self._hold:
            step = self._step(final=False)
            if step is None:
                break
            out += self._release(step)
        return out

    def finish(self) -> str:
        """Return what was held back, at the end of the text."""
        out = ""
        while self._hold:
            out += self._release(self._step(final=True) or "")
        kept, self._kept = self._kept, ""
        return out + kept

    def _release(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip()
        if not text:
            return ""
        self._begun = True
        if self._pondering:
            self._kept += text
            if _LABELLED_ANSWER.search(self._kept[-40:]):
                self._restart()
            return ""
        if len(self._start) < _START_CHARS:
            self._start += text
            if not text[-1].isalnum() and _PONDERING.match(self._start):
                self._pondering = True
        return text

    def _restart(self) -> None:
        self._begun = self._pondering = False
        self._kept = self._start = ""
        self.restarted = True

    def _step(self, final: bool) -> str | None:
        """Take something off the front of the held text and return what of it is answer; None to wait."""
        if self._mode == "answer":
            return self._answer(final)
        if final:
            self._hold = ""
            return ""
        if self._mode == "header":
            return self._header()
        if self._mode == "plain_harmony":
            end = _PLAIN_FINAL.search(self._hold)
        elif self._mode == "channel":
            end = _CHANNEL_END.search(self._hold)
        else:
            end = _CLOSING.search(self._hold) or _CLOSING_BRACKET.search(self._hold)
        if end is None:
            self._hold = self._hold[-_LONGEST_CLOSING:]
            return None
        keeps_token = self._mode == "channel" and end[1] in ("start", "channel")
        self._hold = self._hold[end.start() if keeps_token else end.end() :]
        self._mode = "answer"
        return ""

    def _header(self) -> str | None:
        """A message's header: a role, a channel's name, up to the token that begins its text."""
        end = re.search(r"<\|(message|channel|end_header_id|im_sep)\|>|\n", self._hold)
        if end is None:
            return None
        name = self._hold[: end.start()].split()[:1]
        self._hold = self._hold[end.end() :]
        if end[1] == "channel":
            return ""
        spoken = name in ([], ["assistant"], [_SPOKEN_CHANNEL])
        self._mode = "answer" if spoken else "channel"
        return ""

    def _answer(self, final: bool) -> str | None:
        held = self._hold
        if not self._begun and "analysis".startswith(held[:8]) and not final and len(held) < 9:
            return None
        if not self._begun and _PLAIN_HARMONY.match(held):
            self._mode = "plain_harmony"
            return ""
        if held[0] not in "<[◁":
            self._hold = held[1:]
            return held[0]
        if match := _CLOSING.match(held) or _CLOSING_BRACKET.match(held):
            self._hold = held[match.end() :]
            self._restart()
            return ""
        if match := _TAG.match(held) or _BRACKET.match(held):
            self._hold = held[match.end() :]
            if not match[0].endswith("/>"):
                self._mode = "thought"
            return " "
        if match := _TOKEN.match(held):
            return self._token(match[0], match[1].strip().lower())
        if not final and _may_become_mark(held):
            return None
        self._hold = held[1:]
        return held[0]

    def _token(self, token: str, name: str) -> str:
        self._hold = self._hold[len(token) :]
        if _OPENING_TOKEN.match(name):
            self._mode = "thought"
            return " "
        if name == "channel":
            self._mode = "header"
            return ""
        if self._begun and not self._pondering:
            return token  # another speaker's turn, or the end
        if name in ("start", "im_start", "start_header_id"):
            self._mode = "header"
        return ""


def _may_become_mark(held: str) -> bool:
    """Whether more characters may make a tag, bracket or token of `held`."""
    if held.startswith("<|"):
        return "\n" not in held and len(held) < _LONGEST_TOKEN
    if held[0] == "[":
        return any(f"[{slash}{name}]".startswith(held) for slash in ("", "/") for name in _BRACKET_NAMES)
    if held[0] == "◁":
        return "◁think▷".startswith(held) or "◁/think▷".startswith(held)
    if re.fullmatch(r"</?[A-Za-z]{0,12}:?", held):
        return True
    match = re.match(r"</?(?:\w+:)?([A-Za-z_]*)([^<>]*)$", held)
    if match is None or len(held) > _LONGEST_CLOSING:
        return False
    name = match[1].lower()
    if match[2]:
        return name in _NAME_LIST and match[2][0].isspace()
    return any(known.startswith(name) for known in _NAME_LIST)
