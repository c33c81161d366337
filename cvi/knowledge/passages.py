"""Cutting a document into passages: what is found, cited and given to the model.

A passage never crosses a heading or a page. It holds about 90 words: a small model reads it in about two
seconds of one processor, and most questions have their answer in fewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cvi.knowledge.reading.blocks import Block

AIM_WORDS = 90
MOST_WORDS = 130
LEAST_WORDS = 25
"""A shorter rest is joined to the passage before it, within the same page and heading."""
MOST_ROW_WORDS = 500
"""A longer row of a table is cut like a paragraph."""
LONG_WORD = 40
"""So many characters without a blank, of an address or an encoded picture, count as a word."""
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Passage:
    """`heading` is the path of headings above it, from the outermost: "Fees > Late payment"."""

    text: str
    heading: str = ""
    page: int | None = None
    url: str = ""


def words_in(text: str) -> float:
    """How many words a text has; two characters of a script without blanks count as one, and each
    `LONG_WORD` characters of an endless word."""
    wide = len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]", text))
    words = re.sub(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]", "", text).split()
    return sum(1 + len(each) // LONG_WORD for each in words) + wide / 2


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def cut(blocks: Iterable[Block]) -> Iterator[Passage]:
    """The passages of a document, in its order."""
    headings: list[tuple[int, str]] = []
    gathered: list[str] = []
    count = 0.0
    page: int | None = None
    url = ""
    previous: Passage | None = None

    def flush() -> Passage | None:
        nonlocal count
        text = "\n".join(gathered)
        gathered.clear()
        count = 0.0
        return Passage(text, " > ".join(name for _, name in headings), page, url) if text else None

    def out(passage: Passage | None) -> Iterator[Passage]:
        """`passage`, held back until it is known whether a short rest follows."""
        nonlocal previous
        if passage is None:
            return
        before = previous
        same = before is not None and (before.heading, before.page, before.url) == (
            passage.heading,
            passage.page,
            passage.url,
        )
        if before is not None and same and words_in(passage.text) < LEAST_WORDS:
            joined = f"{before.text}\n{passage.text}"
            if words_in(joined) <= MOST_WORDS:
                previous = Passage(joined, before.heading, before.page, before.url)
                return
        if before is not None:
            yield before
        previous = passage

    for block in blocks:
        if block.heading:
            yield from out(flush())
            headings = [each for each in headings if each[0] < block.heading]
            headings.append((block.heading, block.text[:120]))
            page, url = block.page, block.url
            continue
        if gathered and (block.page, block.url) != (page, url):
            yield from out(flush())
        page, url = block.page, block.url
        whole = block.keep and words_in(block.text) <= MOST_ROW_WORDS
        for part in [block.text] if whole else _parts(block.text):
            size = words_in(part)
            if gathered and (count + size > MOST_WORDS or count >= AIM_WORDS):
                yield from out(flush())
            gathered.append(part)
            count += size
    yield from out(flush())
    if previous is not None:
        yield previous


def _parts(text: str) -> Iterator[str]:
    """A paragraph in parts of at most `AIM_WORDS`, cut between sentences, or between words in a long one."""
    if words_in(text) <= AIM_WORDS:
        yield text
        return
    part = ""
    for sentence in sentences(text):
        for piece in _pieces(sentence):
            if part and words_in(part) + words_in(piece) > AIM_WORDS:
                yield part
                part = ""
            part = f"{part} {piece}".strip()
    if part:
        yield part


def _pieces(sentence: str) -> Iterator[str]:
    if words_in(sentence) <= MOST_WORDS:
        yield sentence
        return
    words = sentence.split()
    if len(words) < 2:  # a script without blanks, or no language at all
        yield from (sentence[at : at + 2 * AIM_WORDS] for at in range(0, len(sentence), 2 * AIM_WORDS))
        return
    for at in range(0, len(words), AIM_WORDS):
        piece = " ".join(words[at : at + AIM_WORDS])
        # A "word" may itself be endless.
        yield from (piece[start : start + 2000] for start in range(0, len(piece), 2000))
