"""From written text to what a voice says, remembering which written word each spoken word came from.

    spoken_form("Dr. Lee paid $3.50.").text == "Doctor Lee paid three dollars and fifty cents."

A scanner walks over the text. At each place the first rule that matches says something, is silent, or
declines; the rest are plain words and punctuation. English rules are thorough (`spoken_english`); in
other languages numbers, percent and a few signs are read, and the voice does the rest.
"""

from __future__ import annotations

import re

from cvi.tts.spoken_english import ENGLISH_RULES
from cvi.tts.spoken_light import light_rules
from cvi.tts.spoken_markup import MARKUP_RULES
from cvi.tts.spoken_text import Rule, SpokenText, Writer

_LETTERS = re.compile(r"[^\W_](?:[^\W\d_]|[\u0300-\u036f\u0900-\u0dff])*(?:['’ʼ‑-][^\W\d_]+)*")
_PAUSES = {
    ".": ".", "!": "!", "?": "?", ",": ",", ";": ";", ":": ":", "…": "...", "—": ",", "–": ",", "(": ",",
    ")": ",", "[": ",", "]": ",", "|": ",", "。": ".", "！": "!", "？": "?",
    "、": ",", "，": ",", "¿": "", "¡": "",
}  # fmt: skip


def spoken_form(text: str, language: str = "en") -> SpokenText:
    """What to say for `text`; no words at all when there is nothing to say.

    `language` is a two-letter code. Markdown, emoji and links' addresses are not said.
    """
    language = language.replace("_", "-").split("-")[0].lower()
    rules = [*MARKUP_RULES, *(ENGLISH_RULES if language == "en" else light_rules(language))]
    writer = Writer(text, language)
    at = 0
    while at < len(text):
        at = _step(text, at, rules, writer)
    return writer.spoken_text()


def _step(text: str, at: int, rules: list[Rule], writer: Writer) -> int:
    """Deal with what stands at `at`, return the place after it."""
    if text[at] == " ":
        return at + 1
    for pattern, rule in rules:
        match = pattern.match(text, at)
        if match and match.end() > at and rule(match, writer):
            return match.end()
    if match := _LETTERS.match(text, at):
        writer.say(match.group().replace("’", "'").replace("ʼ", "'").replace("‑", "-"), at, match.end())
        return match.end()
    mark = _PAUSES.get(text[at], "")
    if mark == "." and text[at : at + 3] == "...":
        mark = "..."
    if mark == "..." and re.match(r"(\.\.\.|…)\s*[a-z]", text[at:]):
        mark = ","
    writer.pause(mark)
    return at + (3 if text[at : at + 3] == "..." else 1)
