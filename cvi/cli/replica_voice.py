"""`cvi replica voice`: a replica's own voice, cloned from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
