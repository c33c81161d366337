"""`cvi replica script`, `record` and `voice`: what to read, filming it, and the voice cloned from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.training.recording.capture import SoundSource
    from cvi.training.recording.footage_recorder import CameraSource


def script(
    language: Annotated[
        str, typer.Option("--language", "-l", help="A name or code; English, German, Spanish, French.")
    ] = "en",
    text: Annotated[
        bool, typer.Option("--text", help="Only what is spoken: for --script of check and train-replica.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Count the sounds of the script.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Print the reading script: about two minutes of speech, a minute of listening, four feelings."""
    from dataclasses import asdict

    from cvi.persona.language import language_code, language_name
    from cvi.training.recording.reading_script import load_reading_script

    chosen = load_reading_script(language_code(language_name(language) or "") or language)
    counted = None
    if check:
        from cvi.training.recording.reading_script import NAMES, NEEDED, coverage

        found = coverage(chosen.spoken_text, chosen.language)
        counted = {
            "mouths": {NAMES[name]: [found.mouths[name], least] for name, least in NEEDED.items()},
            "phones": found.phones,
            "missing": [NAMES[name] for name in found.missing],
        }
    if json:
        import json as jsonlib

        document = {**asdict(chosen), "speech_s": chosen.speech_s, "duration_s": chosen.duration_s}
        if counted:
            document["coverage"] = counted
        typer.echo(jsonlib.dumps(document, indent=2, ensure_ascii=False))
        return
    if text:
        typer.echo(chosen.spoken_text)
        return
    at_s = 0.0
    for part in chosen.parts:
        minutes, seconds = divmod(round(at_s), 60)
        feeling = f", {part.feeling}" if part.kind == "read" and part.feeling != "neutral" else ""
        typer.echo(f"[{minutes}:{seconds:02d}, {part.seconds:.0f} s{feeling}] {part.say}\n")
        for line in part.lines:
            typer.echo(f"    {line}")
        if part.lines:
            typer.echo()
        at_s += part.seconds
    typer.echo(f"{chosen.duration_s / 60:.1f} minutes, {chosen.speech_s / 60:.1f} of them speech.")
    if counted:
        for name, (count, least) in counted["mouths"].items():  # type: ignore[attr-defined]
            typer.echo(f"{name:8} {count:4} (at least {least})")
        typer.echo(f"{len(counted['phones'])} different sounds")  # type: ignore[arg-type]


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


def voice(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A replica of your own.")],
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="Sound or film, 5 to 20 s of the person speaking.")
    ],
    consent: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The person's consent; the footage itself needs no other."),
    ] = None,
    engine: Annotated[str, typer.Option(help="What clones it, and then speaks.")] = "pocket",
    model: Annotated[str | None, typer.Option(help="The model's folder; the pulled one by default.")] = None,
) -> None:
    """Give a replica the person's own voice, with their consent."""
    from rich.console import Console

    from cvi.training.package.cloned_voice import clone_voice

    with Console(stderr=True).status("listening"):
        path = clone_voice(name, recording, consent=consent, engine=engine, model=model)
    typer.echo(f"{path}\n{name} speaks with it from now on, where English is spoken.")
