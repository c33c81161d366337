"""The entry: `normalize("Dr. Lee paid $3.50.").text == "Doctor Lee paid three dollars and fifty cents."`

A scanner walks over the text. At each place the first rule that matches says something, says nothing, or
declines; the rest are plain words and punctuation. English has thorough rules. In other languages numbers,
percent and a few signs are read, and the voice does the rest.
"""

from __future__ import annotations

import re

from cvi.tts.normalization.english import ENGLISH_RULES
from cvi.tts.normalization.markup_rules import MARKUP_RULES
from cvi.tts.normalization.other_languages import rules_for
from cvi.tts.normalization.spoken_text import Rule, SpokenText, Writer

_LETTERS = re.compile(r"[^\W_](?:[^\W\d_]|[\u0300-\u036f\u0900-\u0dff])*(?:['’ʼ‑-][^\W\d_]+)*")
_PAUSES = {
    ".": ".", "!": "!", "?": "?", ",": ",", ";": ";", ":": ":", "…": "...", "—": ",", "–": ",", "(": ",",
    ")": ",", "[": ",", "]": ",", "|": ",", "。": ".", "！": "!", "？": "?", "、": ",", "，": ",", "¿": "",
    "¡": "",
}  # fmt: skip


def normalize(text: str, language: str = "en") -> SpokenText:
    """What a voice says for `text`; without words where there is nothing to say.

    `language` is a code such as "en" or "pt-BR". Markdown, emoji and the addresses of links are left out.
    """
    language = language.replace("_", "-").split("-")[0].lower()
    rules = [*MARKUP_RULES, *(ENGLISH_RULES if language == "en" else rules_for(language))]
    writer = Writer(text, language)
    at = 0
    while at < len(text):
        at = _step(text, at, rules, writer)
    return writer.spoken_text()


def _step(text: str, at: int, rules: list[Rule], writer: Writer) -> int:
    """Say what begins at `at` and return where the rest begins."""
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
