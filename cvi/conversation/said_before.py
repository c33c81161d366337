"""How to answer somebody who asks what was said before: "What was my first question?", "What did you say?"

A model of one or two billion parameters finds the words in its history and answers in the wrong person ("I
asked what ..."), or from the persona's context. Told which words they were, it says them. English patterns;
in other languages nothing matches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cvi.conversation.history import History

MOST_CHARACTERS = 400
"""Of the words said so far; the latest are told."""

_ASKS = re.compile(
    r"\bwhat (?:was|is|were) (?P<whose>my|your) (?:very )?(?:first |last |previous |other )?"
    r"(?P<noun>questions?|words?|sentence|answer)\b|"
    r"\bwhat (?:did|have) (?P<who>i|you) (?:just |first |last )?(?P<verb>ask|asked|say|said|tell|told)\b|"
    r"\bwhat (?:(?:was|is) the (?:very )?(?:first|last) (?:thing|question) (?:that )?)?(?P<who2>i|you) "
    r"(?:just |first |last )?(?P<verb2>asked|said|told)\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\b(?:first|beginning|start)\b", re.IGNORECASE)
_LAST = re.compile(r"\b(?:last|just|previous)\b", re.IGNORECASE)
_ABOUT = re.compile(r"\babout (.*)", re.IGNORECASE)
_QUESTION = re.compile(
    r"\?|(?:^|[.!] )(?:and |but |so |well |okay )?(?:what|which|who|whose|where|when|why|how|is|are|was|were|"
    r"do|does|did|can|could|will|would|should|may|have|has)\b",
    re.IGNORECASE,
)


def said_before_hint(history: History, text: str) -> str:
    """How to answer the turn `text`, in a few sentences; "" where it does not ask for what was said."""
    asks = _ASKS.search(text)
    if asks is None:
        return ""
    theirs = (asks["whose"] or asks["who"] or asks["who2"]).lower() in ("my", "i")
    asked = (asks["noun"] or asks["verb"] or asks["verb2"]).lower().startswith(("ask", "question"))
    said = [
        message.content
        for message in history.messages
        if message.role == ("user" if theirs else "assistant") and not _ASKS.search(message.content)
    ]
    told = _told(said, text, asked)
    who, begin = ("They", "You") if theirs else ("You", "I")
    verb = "asked" if asked else "said"
    if not told:
        return f"{who} {verb} nothing before this. Tell them so."
    return f'{who} {verb} before: {told} Answer with that alone, and begin with "{begin} {verb}".'


def _told(said: Sequence[str], text: str, asked: bool) -> str:
    """The words that are asked for, quoted."""
    if asked or not (_FIRST.search(text) or _LAST.search(text)):
        said = [words for words in said if bool(_QUESTION.search(words)) == asked] or ([] if asked else said)
    if _FIRST.search(text):
        said = said[:1]
    elif _LAST.search(text):
        said = said[-1:]
    about = _ABOUT.search(text)
    topic = set(re.findall(r"\w{4,}", about.group(1).lower())) if about else set()
    said = [words for words in said if topic & set(re.findall(r"\w{4,}", words.lower()))] or said
    kept: list[str] = []
    for words in reversed(said):
        if kept and sum(map(len, kept)) + len(words) > MOST_CHARACTERS:
            break
        kept.insert(0, f'"{words[:MOST_CHARACTERS]}"')
    return " ".join(kept)
