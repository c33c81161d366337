"""`cvi train-replica PHOTO`: what is said when a replica is made of one photo."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cvi.training.photo.photo_replica import PhotoRequest


def make(order: PhotoRequest, json: bool) -> None:
    """Make it, and say where it is and what it cannot do."""
    from rich.console import Console

    from cvi.training.photo.photo_replica import LIMITS, make_photo_replica

    with Console(stderr=True, quiet=json).status("finding the face"):
        made = make_photo_replica(order)
    if json:
        document = {"path": str(made.folder), "notes": list(made.notes), "limits": LIMITS}
        typer.echo(jsonlib.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(str(made.folder))
    typer.echo(f"A replica of one photo. {LIMITS}")
    for note in made.notes:
        typer.echo(f"Mind: {note}.")
