"""The entry: `normalize("Dr. Lee paid $3.50.").text == "Doctor Lee paid three dollars and fifty cents."`

A scanner walks over the text. At each place the first rule that matches says something, says nothing, or
declines; the rest are plain words and punctuation. The rules for every language, about markup, emoji and
addresses, stand here. English has thorough rules of its own. In other languages numbers, percent and a few
signs are read, and the voice does the rest.
"""

from __future__ import annotations

import re
import unicodedata

from cvi.tts.normalization.english import ENGLISH_RULES
from cvi.tts.normalization.numerals import cardinal, digits
from cvi.tts.normalization.other_languages import rules_for
from cvi.tts.normalization.spoken_text import Rule, SpokenText, Writer

_DOMAINS = "com|org|net|io|dev|ai|app|edu|gov|info|de|fr|es|it|nl|eu|uk|us|ca|ch|at|tv|me|co"
_URL_WORDS = {
    "en": {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "+": "plus"},
    "de": {".": "Punkt", "/": "Schrägstrich", "-": "Minus", "_": "Unterstrich", "@": "at", "+": "plus"},
    "fr": {".": "point", "/": "slash", "-": "tiret", "_": "tiret bas", "@": "arobase", "+": "plus"},
    "es": {".": "punto", "/": "barra", "-": "guion", "_": "guion bajo", "@": "arroba", "+": "más"},
    "it": {".": "punto", "/": "barra", "-": "trattino", "_": "trattino basso", "@": "chiocciola", "+": "più"},
}
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_LONGEST_PATH = 24
"""Characters of a URL's path worth saying; a longer one is no use to a listener."""
_RAISED = "⁰¹²³⁴-⁹ⁿ₀-₉"
_LETTERS = re.compile(
    rf"[^\W_](?:[^\W\d_{_RAISED}]|[\u0300-\u036f\u064b-\u065f\u0900-\u109f\u1780-\u17d3])*(?:['’ʼ‑-][^\W\d_{_RAISED}]+)*"
)
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
    rules = [*_MARKUP_RULES, *(ENGLISH_RULES if language == "en" else rules_for(language))]
    writer = Writer(text, language)
    at = 0
    while at < len(text):
        at = _step(text, at, rules, writer)
    return writer.spoken_text()


def _step(text: str, at: int, rules: list[Rule], writer: Writer) -> int:
    """Say what begins at `at` and return where the rest begins."""
    if text[at] == " ":
        return at + 1
    for pattern, action in rules:
        match = pattern.match(text, at)
        words = action(match, writer) if match and match.end() > at else None
        if match and words is not None:
            writer.say(words, match.start(), match.end())
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


def _silent(match: re.Match[str], writer: Writer) -> str | None:
    return ""


def _line_end(match: re.Match[str], writer: Writer) -> str | None:
    following = writer.source[match.end() :]
    listed = re.match(r"[ \t]*([-*+•>#]|\d+[.)])\s", following)
    if match.group().count("\n") > 1 or listed or match.group(1):
        writer.pause(".")
    return ""


def _link(match: re.Match[str], writer: Writer) -> str | None:
    for word in re.finditer(r"[^\W_]+(?:['’-][^\W_]+)*", match.group("label")):
        start = match.start("label") + word.start()
        writer.say(word.group(), start, start + len(word.group()))
    return ""


def _address(match: re.Match[str], writer: Writer) -> str | None:
    spoken_part = re.sub(r"^(https?://)?(www\.)?", "", match.group(), flags=re.IGNORECASE)
    spoken_part = re.split(r"[?#&=]", spoken_part)[0]
    spoken_part = spoken_part.rstrip(".,;:!?)/'\"")
    host, slash, path = spoken_part.partition("/")
    if len(path) > _LONGEST_PATH or not re.fullmatch(r"[\w./-]*", path):
        slash = path = ""
    end = match.end() - (len(match.group()) - len(match.group().rstrip(".,;:!?)'\"")))
    writer.say(_spelled_out(host + slash + path, writer.language), match.start(), end)
    for mark in writer.source[end : match.end()]:
        writer.pause(mark if mark in ".,;:!?" else "")
    return ""


def _spelled_out(address: str, language: str) -> str:
    signs = _URL_WORDS.get(language, _URL_WORDS["en"])
    said: list[str] = []
    for part in re.findall(r"[^\W\d_]+|\d+|[^\w]|_", address):
        if part.isdecimal() and len(part) < 13:
            said.append(cardinal(int(part), language) if len(part) <= 2 or language != "en" else digits(part))
        else:
            said.append(signs.get(part, part if part.isalpha() else ""))
    return " ".join(said)


def _subscript(match: re.Match[str], writer: Writer) -> str | None:
    """CO₂."""
    return cardinal(int(match.group().translate(_SUBSCRIPTS)), writer.language)


def _emoji(match: re.Match[str], writer: Writer) -> str | None:
    char = match.group()
    silent = unicodedata.category(char) in ("So", "Sk", "Cn", "Co", "Cf", "Mn", "Me", "Cc")
    return "" if silent and char not in "°№∞" else None


_MARKUP_RULES: list[Rule] = [
    (re.compile(r"```.*?(```|$)", re.DOTALL), _silent),
    (re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)"), _silent),
    (re.compile(r"\[(?P<label>[^\]\n]+)\]\([^)\n]*\)"), _link),
    (re.compile(r"</?[a-zA-Z][^<>\n]{0,80}>|<!--.*?-->", re.DOTALL), _silent),
    (re.compile(r"(?:(?<=\n)|(?<![\s\S]))[ \t]*(?:#{1,6}|>+|[-*+•])[ \t]+"), _silent),
    (re.compile(r"(?:(?<=\n)|(?<![\s\S]))[ \t]*(?:[-*_=]{3,}|[|:\- ]{3,})[ \t]*(?=\n|$)"), _silent),
    (re.compile(r"[ \t\r]*(\|?)[ \t\r]*\n[\s]*?(?=\S|$|[ \t])"), _line_end),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}", re.ASCII), _address),
    (re.compile(r"(?:https?://|www\.)[^\s<>\"]+", re.IGNORECASE), _address),
    (re.compile(rf"(?<![\w@.])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})\b(?![.]?\w)(?:/[^\s<>\"]*)?"), _address),
    (re.compile(r"\*\*|__|~~|``?"), _silent),
    (re.compile(r"\*(?=\S)|(?<=\S)\*|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)|\\"), _silent),
    (re.compile(r"[₀-₉]+"), _subscript),
    (re.compile(r"[^\w\s!-~]"), _emoji),
]
