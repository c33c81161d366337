"""HTML through lxml, and Markdown as HTML through markdown-it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import Block, DocumentError, one_line, rows_as_blocks
from cvi.knowledge.reading.plain import decoded

_NO_TEXT = frozenset(
    "script style noscript template svg iframe object nav footer aside form button select".split()
)
"""Elements whose text is not the page's own, or not text."""
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "p li dt dd blockquote pre figcaption summary td th address center caption "
    "div section article main header body details ul ol dl figure fieldset label legend".split()
)


def read_html(path: Path) -> Iterator[Block]:
    """The text of a page without its navigation, in order."""
    yield from html_blocks(decoded(path))


def read_markdown(path: Path) -> Iterator[Block]:
    """The text of a Markdown file; a YAML head is left out."""
    from markdown_it import MarkdownIt

    text = decoded(path)
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        text = text[4:].partition("\n---\n")[2]
    yield from html_blocks(MarkdownIt("commonmark").enable("table").render(text))


def html_blocks(text: str) -> Iterator[Block]:
    """The blocks of an HTML document. Raises DocumentError where there is no element in it."""
    import lxml.html
    from lxml.etree import LxmlError

    try:
        root = lxml.html.document_fromstring(text.encode("utf-8", "replace"), _parser())
    except (LxmlError, ValueError) as error:
        raise DocumentError("website_processing_failed", "It is no HTML.", "Give another page.") from error
    title = root.findtext(".//title")
    if title and one_line(title):
        yield Block(one_line(title), heading=1)
    body = root.find("body")
    main = root.find(".//main")
    yield from _walk(main if main is not None else body if body is not None else root)


def _parser() -> Any:
    import lxml.html

    return lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)


def _walk(element: Any) -> Iterator[Block]:
    """The element's blocks. Text between block elements is a block of its own."""
    gathered: list[str] = []

    def flush() -> Iterator[Block]:
        text = one_line("".join(gathered))
        gathered.clear()
        if text:
            yield Block(text)

    # An explicit stack: pages may be nested deeper than Python's recursion.
    stack: list[tuple[Any, bool]] = [(element, False)]
    while stack:
        node, leaving = stack.pop()
        tag = node.tag if isinstance(node.tag, str) else ""
        if leaving:
            if tag in _BLOCKS:
                yield from flush()
            if node is not element and node.tail:
                gathered.append(node.tail)
            continue
        if tag in _NO_TEXT or not tag or node.get("hidden") is not None or node.get("aria-hidden") == "true":
            if node is not element and node.tail:
                gathered.append(node.tail)
            continue
        if tag in _HEADINGS or tag == "table":
            yield from flush()
            if tag == "table":
                rows = [
                    [one_line(c.text_content()) for c in r if c.tag in ("td", "th")] for r in node.iter("tr")
                ]
                yield from rows_as_blocks(rows, None)
            elif text := one_line(node.text_content()):
                yield Block(text, heading=_HEADINGS[tag])
            if node.tail:
                gathered.append(node.tail)
            continue
        if tag in _BLOCKS:
            yield from flush()
        if tag == "br":
            gathered.append(" ")
        if node.text:
            gathered.append(node.text)
        stack.append((node, True))
        stack.extend((child, False) for child in reversed(node))
    yield from flush()
