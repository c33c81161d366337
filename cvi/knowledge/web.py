"""Pages and files of the web: one address, or a website to a depth, politely and within limits.

A site's robots.txt is obeyed, one request is made at a time with a pause between two, and links are followed
on the host of the first address alone. Every address, redirects included, passes `cvi.endpoints.outbound`, so
no page leads into a private network.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from cvi.endpoints.outbound import Fetched, OutboundClient, OutboundError, RefusedAddressError
from cvi.knowledge.reading.blocks import Block, DocumentError
from cvi.knowledge.reading.formats import kind_of
from cvi.knowledge.reading.reader import read_file

AGENT = "cvi"
MOST_FILE_BYTES = 50 << 20
"""The contract's limit for a document."""
MOST_PAGE_BYTES = 10 << 20
MOST_ROBOTS_BYTES = 512 << 10
PAGE_WITHIN_S = 60.0
PAUSE_S = 1.0
LONGEST_PAUSE_S = 10.0
_SUFFIXES = {"text/html": ".html", "application/json": ".json", "text/csv": ".csv", "text/markdown": ".md"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was read."""

    url: str
    blocks: list[Block]


async def read_address(client: OutboundClient, url: str) -> Page:
    """The page or file at an address. Raises DocumentError."""
    page, _ = await _read(client, url, MOST_FILE_BYTES)
    return page


async def crawl(
    client: OutboundClient,
    start: str,
    depth: int,
    most_pages: int,
    *,
    pause_s: float = PAUSE_S,
    on_page: Callable[[int, str], None] = lambda count, url: None,
) -> list[Page]:
    """The pages that links lead to from `start` in `depth` steps, `most_pages` at most, nearest first.

    Pages that cannot be read are left out. Raises DocumentError where not even the first one can be.
    """
    robots = await _robots(client, start)
    pause_s = max(pause_s, min(float(robots.crawl_delay(AGENT) or 0.0), LONGEST_PAUSE_S))
    if not robots.can_fetch(AGENT, start):
        raise DocumentError(
            "website_processing_failed", "Its robots.txt asks not to be read.", "Ask its owner for the files."
        )
    host = urlsplit(start).netloc
    waiting: list[tuple[str, int]] = [(start, 0)]
    seen, pages = {_plain(start)}, list[Page]()
    while waiting and len(pages) < most_pages:
        url, steps = waiting.pop(0)
        if pages:
            await asyncio.sleep(pause_s)
        try:
            page, links = await _read(client, url, MOST_PAGE_BYTES)
        except DocumentError:
            if not pages:
                raise
            continue
        seen.add(_plain(page.url))
        if urlsplit(page.url).netloc != host and pages:
            continue  # a redirect that left the site
        pages.append(page)
        on_page(len(pages), page.url)
        if steps >= depth:
            continue
        for link in links:
            plain = _plain(link)
            if plain not in seen and urlsplit(link).netloc == host and robots.can_fetch(AGENT, link):
                seen.add(plain)
                waiting.append((link, steps + 1))
    return pages


async def _read(client: OutboundClient, url: str, most_bytes: int) -> tuple[Page, list[str]]:
    with tempfile.TemporaryDirectory(prefix="cvi-fetch-") as folder:
        path = Path(folder) / "page"
        fetched = await fetch(client, url, path, most_bytes)
        suffix = _SUFFIXES.get(fetched.content_type) or Path(urlsplit(fetched.url).path).suffix[:10]
        named = path.with_suffix(suffix) if suffix and suffix.isascii() else path
        path.rename(named)
        blocks = await read_file(named, most_bytes=most_bytes, within_s=120.0, cpu_s=100)
        is_page = await asyncio.to_thread(kind_of, named) == "html"
        links = await asyncio.to_thread(_links, named, fetched.url) if is_page else []
    address = urldefrag(fetched.url).url
    return Page(address, [replace(block, url=address) for block in blocks]), links


async def fetch(client: OutboundClient, url: str, path: Path, most_bytes: int) -> Fetched:
    """Put what lies at an address into a file. Raises DocumentError."""
    try:
        return await client.fetch(url, path, most_bytes, PAGE_WITHIN_S)
    except RefusedAddressError as error:
        raise DocumentError("invalid_file_url", f"{url}: {error.message}", error.remedy) from error
    except OutboundError as error:
        too_large = error.message.startswith("larger than")
        code = "file_size_too_large" if too_large else "file_download_failed"
        raise DocumentError(code, f"{url}: {error.message}.", "Try the address in a browser.") from error
    except OSError as error:
        raise DocumentError(
            "file_download_failed", f"{url}: it cannot be stored: {error.strerror}.", "Free some space."
        ) from error


async def _robots(client: OutboundClient, start: str) -> RobotFileParser:
    """The site's rules; none where it has no robots.txt (RFC 9309)."""
    robots = RobotFileParser()
    with tempfile.TemporaryDirectory(prefix="cvi-robots-") as folder:
        path = Path(folder) / "robots.txt"
        try:
            await client.fetch(urljoin(start, "/robots.txt"), path, MOST_ROBOTS_BYTES, 20.0)
        except (OutboundError, RefusedAddressError):
            robots.parse([])
        else:
            robots.parse(path.read_text("utf-8", "replace").splitlines())
    return robots


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href = values.get("href")
        if tag == "base" and href and not self.base:
            self.base = href
        if tag == "a" and href and "nofollow" not in (values.get("rel") or ""):
            self.found.append(href)


def _links(path: Path, url: str) -> list[str]:
    parser = _Links()
    parser.feed(path.read_text("utf-8", "replace"))
    base = urljoin(url, parser.base)
    links = []
    for href in parser.found:
        try:
            link = urldefrag(urljoin(base, href.strip())).url
            scheme = urlsplit(link).scheme
        except ValueError:
            continue
        if scheme in ("http", "https"):
            links.append(link)
    return list(dict.fromkeys(links))


def _plain(url: str) -> str:
    return urldefrag(url).url.rstrip("/")
