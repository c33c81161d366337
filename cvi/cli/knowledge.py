"""`cvi knowledge`: the documents that personas answer from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from cvi.knowledge.library import Added, Library
    from cvi.knowledge.store import StoredDocument

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Documents that personas answer from: add, search, remove them.")

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag to find it by; may be repeated.")]
Which = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its id, name, path or address.")]


@app.command()
def add(
    sources: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|URL...", help="What to read.")],
    tag: Tags = None,
    depth: Annotated[int, typer.Option(min=0, max=10, help="Follow a page's links so many steps.")] = 0,
    pages: Annotated[int, typer.Option(min=1, max=100, help="Read so many pages of a site at most.")] = 10,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow-urls-to", help="A private host or network that may be read; may be repeated."),
    ] = None,
) -> None:
    """Read documents, or read again what has changed of them. What cannot be read stops none of the rest."""
    crawl = (depth, pages) if depth else None
    _run(
        lambda library: library.add_all(sources, tags=tag or (), crawl=crawl, told=_progress, added=_say),
        tuple(allow or ()),
    )


@app.command()
def sync(
    folders: Annotated[
        list[str] | None, typer.Argument(metavar="[FOLDER...]", help="Folders to mirror.")
    ] = None,
) -> None:
    """Read what changed, remove what is gone; with folders, add what is new in them."""
    _run(lambda library: library.sync(folders or (), told=_progress, added=_say))


@app.command("list")
def list_all(json: Json = False) -> None:
    """Show all documents, newest first."""
    documents = _with(lambda library: _now(library.every()))
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps({"documents": [asdict(each) for each in documents]}, indent=2))
        return
    if not documents:
        typer.echo("No documents. Add some with: cvi knowledge add FILE")
        return
    for each in documents:
        tags = f"  [{', '.join(each.tags)}]" if each.tags else ""
        typer.echo(f"{each.id}  {each.state:<10} {each.passages:>5} passages  {each.name}{tags}")
        if each.message:
            typer.echo(f"  {each.message}")


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What somebody might ask.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=50, help="How many passages.")] = 5,
    tag: Tags = None,
    mode: Annotated[str, typer.Option(help="hybrid, words or meaning.")] = "hybrid",
    json: Json = False,
) -> None:
    """Show the passages that a question finds, best first, with the probability that each answers it."""
    from cvi.embeddings.shared import shared_embedder
    from cvi.errors import UsageError
    from cvi.knowledge.relevance import GATE
    from cvi.knowledge.search import Scope, Searcher
    from cvi.knowledge.store import knowledge_path

    if mode not in ("hybrid", "words", "meaning"):
        raise UsageError(f"There is no mode '{mode}'.", "Give hybrid, words or meaning.")
    searcher = Searcher(knowledge_path(), shared_embedder(), Scope(tags=frozenset(tag)) if tag else Scope())
    try:
        found = searcher.search(question, count, mode)  # type: ignore[arg-type]
    finally:
        searcher.close()
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps({"question": question, "found": [asdict(each) for each in found]}, indent=2))
        return
    if not found:
        typer.echo("Nothing was found.")
    for number, each in enumerate(found, 1):
        passage = each.passage
        place = f", page {passage.page}" if passage.page else ""
        told = "" if each.relevance >= GATE else "  (not told to the model)"
        typer.echo(f"{number}. {passage.document}{place}  {each.relevance:.2f}{told}")
        if passage.heading:
            typer.echo(f"   {passage.heading}")
        typer.echo(f"   {passage.text}\n")


@app.command()
def show(
    document: Which,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="How many passages.")] = 10,
) -> None:
    """Show one document and the passages that were read from it."""
    import time

    async def work(library: Library) -> None:
        each = library.find(document)
        typer.echo(f"{each.id}  {each.name}  ({each.state})")
        typer.echo(f"  {each.source}")
        read = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.updated_at))
        typer.echo(f"  {each.passages} passages of {each.pages} pages; changed {read}")
        if each.message:
            typer.echo(f"  {each.message}")
        for passage in library.passages(each, limit=count):
            place = f"page {passage.page}, " if passage.page else f"{passage.url}, " if passage.url else ""
            typer.echo(f"\n[{passage.position}] {place}{passage.heading}\n{passage.text}")

    _with(work)


@app.command()
def remove(
    documents: Annotated[list[str], typer.Argument(metavar="DOCUMENT...", help="As for show.")],
) -> None:
    """Forget documents and everything that was made of them; their files stay."""

    async def work(library: Library) -> None:
        for found in [library.find(name) for name in documents]:
            library.remove(found)
            typer.echo(f"Removed {found.name} ({found.passages} passages).")

    _with(work)


async def _now(value: T) -> T:
    return value


def _with(work: Callable[[Library], Awaitable[T]], allowed: tuple[str, ...] = ()) -> T:
    async def run() -> T:
        from cvi.knowledge.library import Library

        async with Library(allowed=allowed) as library:
            return await work(library)

    return asyncio.run(run())


def _run(work: Callable[[Library], Awaitable[list[Added]]], allowed: tuple[str, ...] = ()) -> None:
    results = _with(work, allowed)
    failed = [each.error for each in results if each.error is not None]
    if failed:
        raise typer.Exit(failed[0].exit_status if len(failed) == len(results) else 1)


def _progress(document: StoredDocument, done: int, of: int) -> None:
    import sys

    if sys.stderr.isatty():
        print(f"\r{document.name[:50]}  {done}/{of} passages\x1b[K", end="", file=sys.stderr, flush=True)


def _say(one: Added) -> None:
    import sys

    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if one.error is not None:
        print(f"cvi: {one.error}", file=sys.stderr)
    elif one.document is None:
        typer.echo(f"Removed {one.source}: it is gone.")
    elif not one.changed:
        typer.echo(f"{one.document.name}: unchanged")
    else:
        each = one.document
        typer.echo(f"{each.name}: {each.passages} passages of {each.pages} pages ({each.id})")
        if each.message:
            typer.echo(f"  {each.message}")
