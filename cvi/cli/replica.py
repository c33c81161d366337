"""`cvi replica`: list, show, preview, new, rename, delete, export, import; footage is in `replica_*`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvi.cli.replica_check import check, setup
from cvi.cli.replica_record import record, script, voice

if TYPE_CHECKING:
    from cvi.rendering.film_request import ResolvedFilm

app = typer.Typer(no_args_is_help=True, help="Replicas, the faces: look at them, make, keep and share them.")
app.command()(script)
app.command()(record)
app.command()(check)
app.command()(setup)
app.command()(voice)

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]
Name = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A replica by name or folder.")]
Own = Annotated[str, typer.Argument(metavar="NAME", help="A replica of your own.")]


@app.command("list")
def list_all(json: Json = False) -> None:
    """Show the replicas that can be named."""
    from cvi.errors import CviError
    from cvi.face.replica import folder_size, is_shipped, list_replicas, load_replica_card

    rows: list[dict[str, Any]] = []
    for name, folder in sorted(list_replicas().items()):
        try:
            card = load_replica_card(folder)
            description, state = card.description or card.kind, "ok"
        except CviError as error:
            description, state = str(error.message), "damaged"
        rows.append(
            {
                "name": name,
                "description": description,
                "state": state,
                "shipped": is_shipped(folder),
                "bytes": folder_size(folder),
                "path": str(folder),
            }
        )
    if json:
        _print_json({"replicas": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "size", "from", "who"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=heading != "who")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f} MB"
        table.add_row(row["name"], size, "cvi" if row["shipped"] else "you", row["description"])
    Console(highlight=False, markup=False).print(table)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Print what a replica is, after checking every file against its hash."""
    from cvi.face.replica import find_replica, fingerprint, folder_size, load_replica_card

    card = load_replica_card(find_replica(name))
    row = {
        "name": card.name,
        "description": card.description,
        "kind": card.kind,
        "renderer": card.renderer,
        "source": card.source,
        "licence": card.licence,
        "voices": dict(card.voices),
        "path": str(card.folder),
        "bytes": folder_size(card.folder),
        "fingerprint": fingerprint(card),
        "files": card.files,
    }
    if json:
        _print_json(row)
        return
    for key, value in row.items():
        if key == "files":
            continue
        text = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        if text:
            typer.echo(f"{key:12}{text}")
    typer.echo(f"{'files':12}{', '.join(card.files)} (all as they were made)")


@app.command()
def preview(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for NAME.png and NAME.mp4; here by default.")
    ] = None,
    size: Annotated[str, typer.Option(help="Of the clip: WIDTHxHEIGHT.")] = "1280x720",
    background: Annotated[str, typer.Option(help="As of cvi render.")] = "room",
    clip: Annotated[bool, typer.Option(help="Make the clip too.")] = True,
    states: Annotated[
        bool,
        typer.Option("--states", help="And a film each of idling, listening, thinking, speaking and turns."),
    ] = False,
    seconds: Annotated[float, typer.Option(min=10, max=600, help="How long those films are.")] = 60.0,
    json: Json = False,
) -> None:
    """Make a sheet of all mouth shapes and emotions, and a short clip."""
    from cvi.cli.options import picture_size
    from cvi.cli.render import make_film
    from cvi.engine_registry import build
    from cvi.errors import UsageError
    from cvi.face.base import FaceSettings
    from cvi.face.replica import find_replica, load_replica_card
    from cvi.files import write_bytes
    from cvi.rendering.film_request import FilmRequest, resolve_film
    from cvi.rendering.previews import as_png, contact_sheet

    width, height = picture_size(size)
    folder = output or Path()
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", "Create it first.")
    card = load_replica_card(find_replica(name))
    sheet = folder / f"{card.folder.name}.png"
    face = build("face", card.renderer, FaceSettings(card.folder, 960, 540, background=background))
    try:
        write_bytes(sheet, as_png(contact_sheet(face)))
    finally:
        face.close()
    made = {"sheet": str(sheet)}
    request = resolve_film(
        FilmRequest(
            output=folder / f"{card.folder.name}.mp4",
            text=CLIP.format(name=card.name),
            replica=str(card.folder),
            width=width,
            height=height,
            background=background,
        )
    )
    if clip:
        made["clip"] = str(make_film(request, quiet=json).path)
    if states:
        made.update(_film_states(request, folder, card.folder.name, seconds))
    if json:
        _print_json(made)
    else:
        typer.echo("\n".join(made.values()))


def _film_states(request: ResolvedFilm, folder: Path, name: str, seconds: float) -> dict[str, str]:
    """A film of each state; state -> where it lies."""
    import asyncio

    from cvi.rendering.previews import STATES, film_state

    made: dict[str, str] = {}
    for state in STATES:
        typer.echo(f"filming: {state}", err=True)
        output = folder / f"{name}-{state}.mp4"
        voice = request.voice_engine, request.voice
        film = film_state(state, output, request.face, request.face_engine, voice, seconds=seconds)
        made[state] = str(asyncio.run(film))
    return made


CLIP = (
    "Hello, I am {name}. <emotion value='happy'/> It is good to see you! "
    "<emotion value='curious'/> Five boats, a very big map, and a moving picture of both: "
    "<emotion value='concerned'/> does my mouth follow every word?"
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the new person is called.")],
    seed: Annotated[int, typer.Option(help="Another number, another person.")],
    like: Annotated[str | None, typer.Option(help="A stock replica the new person is a relative of.")] = None,
    threads: Annotated[int, typer.Option(help="Cores to bake with.")] = 2,
) -> None:
    """Invent a person who does not exist, and bake the face. Stopped, the same command goes on."""
    from cvi.characters.generated import generate_character

    folder = generate_character(name, seed, like, threads)
    typer.echo(f"{folder}\nLook at it: cvi replica preview {name}")


@app.command()
def rename(name: Own, new_name: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")]) -> None:
    """Give a replica of your own another name."""
    from cvi.face.replica import rename_replica

    typer.echo(str(rename_replica(name, new_name)))


@app.command()
def delete(name: Own, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove a replica of your own for good."""
    from cvi.face.replica import delete_replica, own_replica

    folder = own_replica(name)
    if not yes and not typer.confirm(f"Remove {folder} for good?"):
        raise typer.Exit(1)
    typer.echo(f"Removed {delete_replica(name)}")


@app.command()
def export(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The .zip to write; NAME.zip by default.")
    ] = None,
) -> None:
    """Write a replica into a zip, to carry it to another machine."""
    from cvi.face.replica import export_replica, find_replica

    archive = output or Path(f"{find_replica(name).name}.zip")
    export_replica(name, archive)
    typer.echo(str(archive))


@app.command("import")
def import_archive(
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="What `cvi replica export` wrote.")],
    name: Annotated[str | None, typer.Option(help="What to call it here.")] = None,
) -> None:
    """Bring in a replica from a zip; every file is checked against its hash."""
    from cvi.face.replica import import_replica

    typer.echo(str(import_replica(archive, name).folder))


def _print_json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
