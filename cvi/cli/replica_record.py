"""`cvi replica record`: film yourself with the script on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.training.recording.capture import SoundSource
    from cvi.training.recording.footage_recorder import CameraSource


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
    from cvi.perception.face_mesh import build_tracker
    from cvi.persona.language import language_code, language_name
    from cvi.training.recording.footage_recorder import FootageRecorder, rescue_recording
    from cvi.training.recording.reading_script import Teleprompter, load_reading_script

    check_output(output)
    for path in (output, output.with_suffix(".txt")):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already.", "Choose another name, or add --force.")
    script = load_reading_script(language_code(language_name(language) or "") or language)
    tracker = None
    if guide:
        try:
            tracker = build_tracker()
        except MissingError as error:
            typer.echo(f"{error.message} You film without a framing guide. {error.remedy}", err=True)
    camera_source, microphone_source = _camera(camera), _microphone(microphone)
    # Opened first: while this process has the camera, no other one records.
    rescued = rescue_recording(output)
    if rescued is not None:
        typer.echo(f"An earlier recording was cut short; it is in {rescued}", err=True)
    recorded = FootageRecorder(camera_source, microphone_source, Teleprompter(script), tracker).run(output)
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


def _camera(name: str | None) -> CameraSource:
    import time

    from cvi.errors import MissingError, UsageError
    from cvi.training.footage.reader import open_footage
    from cvi.training.recording.capture import FilmCamera, RecordingCamera
    from cvi.training.recording.footage_recorder import FPS
    from cvi.transport.devices import cameras

    if name is not None and Path(name).is_file():
        return FilmCamera(open_footage(Path(name)).frames(FPS), time.monotonic())
    if name is not None and not name.isdigit():
        raise UsageError(f"--camera {name} is neither a camera's number nor a film.", "See `cvi devices`.")
    if name is not None:
        return RecordingCamera(int(name))
    found = cameras()
    if not found:
        raise MissingError("There is no camera on this machine.", "Film with any other, then check the film.")
    return RecordingCamera(found[0].number)


def _microphone(name: str | None) -> SoundSource:
    import time

    from cvi.media.decode import read_audio
    from cvi.media.encode import SOUND_HZ
    from cvi.training.recording.capture import RecordedSound, RecordingMicrophone

    if name is not None and Path(name).is_file():
        return RecordedSound(read_audio(Path(name), SOUND_HZ), time.monotonic())
    return RecordingMicrophone(int(name) if name is not None and name.isdigit() else name)
