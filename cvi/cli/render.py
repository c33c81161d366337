"""`cvi render`: a finished film of a persona saying a script, or of given speech."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.rendering.film_request import ResolvedFilm
    from cvi.rendering.render_film import RenderedFilm


def render(
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT|SCRIPT]", help="What is to be said, or a .txt or .md file of it."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .mp4 to write.")] = Path("film.mp4"),
    audio: Annotated[
        Path | None, typer.Option(help="Recorded speech to put in the mouth, instead of a text.")
    ] = None,
    persona: Annotated[str, typer.Option(help="A persona's name or file.")] = "guide",
    replica: Annotated[str | None, typer.Option(help="A replica's name or folder.")] = None,
    language: Annotated[str | None, typer.Option(help="Of the text: german, de, ...")] = None,
    voice: Annotated[
        str | None, typer.Option(help="A voice, an engine, or both: rms, espeak, flite/rms.")
    ] = None,
    profile: Annotated[
        str, typer.Option(envvar="CVI_PROFILE", help="auto, embedded, cpu, laptop or workstation.")
    ] = "auto",
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    background: Annotated[
        str, typer.Option(help="room, blur, greenscreen, a colour (#20304a), or a picture's path.")
    ] = "room",
    emotion: Annotated[str, typer.Option(help="The face's own: neutral, happy, concerned, ...")] = "neutral",
    captions: Annotated[bool, typer.Option("--captions", help="Write a .vtt beside the film.")] = False,
    seed: Annotated[int, typer.Option(help="Another number, another performance.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Make a film of a text or of recorded speech, faster than it plays.

    Stopped half-way, the same command goes on where it was. In the text, <emotion value="happy"/>
    colours the face and <break time="800ms"/> is a pause.
    """
    from cvi.cli.options import picture_size
    from cvi.errors import UsageError
    from cvi.rendering.film_request import FilmRequest, resolve_film

    if (text is None) == (audio is None):
        raise UsageError("Give either a text or --audio.", 'For example: cvi render "Hello." -o hello.mp4')
    width, height = picture_size(size)
    _check(fps, emotion)
    request = FilmRequest(
        output=output,
        text=None if text is None else _script(text),
        audio=audio,
        persona=persona,
        replica=replica,
        profile=profile,
        language=language,
        voice=voice,
        width=width,
        height=height,
        fps=fps,
        background=background,
        emotion=emotion,
        captions=captions,
        seed=seed,
    )
    _print(make_film(resolve_film(request), quiet=json), json)


def _check(fps: int, emotion: str) -> None:
    """Raises UsageError for a frame rate or an emotion that there is not."""
    from difflib import get_close_matches

    from cvi.cli.options import FRAME_RATES
    from cvi.errors import UsageError
    from cvi.face.expression import EMOTIONS

    if fps not in FRAME_RATES:
        rates = ", ".join(map(str, FRAME_RATES))
        raise UsageError(f"--fps {fps} is not supported.", f"Choose one of {rates}.")
    if emotion not in EMOTIONS:
        near = get_close_matches(emotion.lower(), EMOTIONS, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Choose one of: {', '.join(EMOTIONS)}."
        raise UsageError(f"--emotion {emotion} is not known.", hint)


def _print(film: RenderedFilm, json: bool) -> None:
    if json:
        document = {
            "path": str(film.path),
            "captions": str(film.captions) if film.captions else None,
            "duration_s": round(film.duration_s, 3),
            "frames": film.frames,
            "reused_frames": film.reused,
            "took_s": round(film.took_s, 2),
            "times_real_time": round(film.times_real_time, 2),
        }
        typer.echo(jsonlib.dumps(document, indent=2))
        return
    typer.echo(
        f"{film.path}: {film.duration_s:.1f} s in {film.took_s:.1f} s, "
        f"{film.times_real_time:.1f} times real time"
        + (f"; {film.reused} frames were there already" if film.reused else "")
    )
    if film.captions:
        typer.echo(str(film.captions))


def make_film(request: ResolvedFilm, quiet: bool = False) -> RenderedFilm:
    """Run a request with a progress bar on the terminal's error stream."""
    import asyncio

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from cvi.rendering.render_film import forget_old_films, render_film

    forget_old_films()
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description:8}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("speech", total=None)
        at = ""

        def progress(step: str, done: int, of: int) -> None:
            nonlocal at
            if step != at:
                at = step
                bar.reset(task, description=step, total=of)
            bar.update(task, completed=done)

        return asyncio.run(render_film(request, progress))


def _script(text: str) -> str:
    """The argument itself, or what the file it names holds."""
    from cvi.errors import UsageError
    from cvi.paths import user_path

    named = len(text) <= 240 and text.lower().endswith((".txt", ".md")) and "\n" not in text
    if not named:
        return text
    path = user_path(text)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
