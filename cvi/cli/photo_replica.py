"""`cvi train-replica PHOTO`: make a replica of one photo and print the result."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cvi.training.photo.photo_replica import PhotoRequest


def make(request: PhotoRequest, json: bool) -> None:
    """Make it, and print where it is and what its limits are."""
    from rich.console import Console

    from cvi.training.photo.photo_replica import LIMITS, make_photo_replica

    with Console(stderr=True, quiet=json).status("finding the face"):
        replica = make_photo_replica(request)
    if json:
        document = {"path": str(replica.folder), "notes": list(replica.notes), "limits": LIMITS}
        typer.echo(jsonlib.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(str(replica.folder))
    typer.echo(f"A replica of one photo. {LIMITS}")
    for note in replica.notes:
        typer.echo(f"Mind: {note}.")
