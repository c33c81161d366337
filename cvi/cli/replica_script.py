"""`cvi replica script`: what to read and do in front of the camera."""

from __future__ import annotations

from typing import Annotated

import typer


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
