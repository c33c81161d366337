"""`cvi replica record`: film yourself with the script on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.training.recording.booth import Eye
    from cvi.training.recording.microphone import SoundSource


def record(
    output: Annotated[Path, typer.Argument(metavar="FILM.mp4", help="The film to write.")],
    language: Annotated[str, typer.Option("--language", "-l", help="Of the script.")] = "en",
    camera: Annotated[
        str | None, typer.Option(help="A camera's number, or a film in its place; the first one by default.")
    ] = None,
    microphone: Annotated[
        str | None, typer.Option(help="A microphone's number or name, or a recording in its place.")
    ] = None,
    guide: Annotated[bool, typer.Option(help="Tell whether you sit well in the picture.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a film that is there, and the text beside it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Show the script as a teleprompter over the camera's picture, and record picture and sound.

    Space starts and goes on to the next line, R repeats one, Q stops and keeps what was filmed.
    """
    import json as jsonlib

    from cvi.errors import MissingError, UsageError
    from cvi.media.encode import check_output
    from cvi.persona.language import language_code, language_name
    from cvi.training.mesh import build_tracker
    from cvi.training.reading.sheet import read_sheet
    from cvi.training.recording.booth import Booth
    from cvi.training.recording.prompter import Prompter
    from cvi.training.recording.rescue import rescue

    check_output(output)
    for path in (output, output.with_suffix(".txt")):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already.", "Choose another name, or add --force.")
    sheet = read_sheet(language_code(language_name(language) or "") or language)
    tracker = None
    if guide:
        try:
            tracker = build_tracker()
        except MissingError as error:
            typer.echo(f"{error.message} You film without a framing guide. {error.remedy}", err=True)
    eye, ear = _eye(camera), _ear(microphone)
    # After the camera is ours: nobody else is recording now.
    rescued = rescue(output)
    if rescued is not None:
        typer.echo(f"An earlier recording was cut short; it is in {rescued}", err=True)
    recorded = Booth(eye, ear, Prompter(sheet), tracker).run(output)
    if recorded is None:
        typer.echo("Nothing was recorded.", err=True)
        raise typer.Exit(1)
    if json:
        document = {
            "film": str(recorded.film),
            "script": str(recorded.script),
            "duration_s": round(recorded.duration_s, 2),
            "complete": recorded.complete,
        }
        typer.echo(jsonlib.dumps(document, indent=2))
        return
    typer.echo(f"{recorded.film}: {recorded.duration_s:.0f} s; what you read is in {recorded.script}")
    typer.echo(f"Look at it first: cvi replica check {recorded.film}")


def _eye(name: str | None) -> Eye:
    import time

    from cvi.errors import MissingError, UsageError
    from cvi.training.footage import open_footage
    from cvi.training.recording.booth import FPS
    from cvi.training.recording.camera import Camera, FilmCamera
    from cvi.transport.devices import cameras

    if name is not None and Path(name).is_file():
        return FilmCamera(open_footage(Path(name)).frames(FPS), time.monotonic())
    if name is not None and not name.isdigit():
        raise UsageError(f"--camera {name} is neither a camera's number nor a film.", "See `cvi devices`.")
    if name is not None:
        return Camera(int(name))
    found = cameras()
    if not found:
        raise MissingError("There is no camera on this machine.", "Film with any other, then check the film.")
    return Camera(found[0].number)


def _ear(name: str | None) -> SoundSource:
    import time

    from cvi.media.decode import read_audio
    from cvi.media.encode import SOUND_HZ
    from cvi.training.recording.microphone import Microphone, RecordedSound

    if name is not None and Path(name).is_file():
        return RecordedSound(read_audio(Path(name), SOUND_HZ), time.monotonic())
    return Microphone(int(name) if name is not None and name.isdigit() else name)
