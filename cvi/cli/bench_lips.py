"""`cvi bench lips`: lips and sync of a finished film, measured from its pixels and its sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lips(
    replica: Annotated[list[str] | None, typer.Option(help="A replica; may be given again.")] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT.")] = "1280x720",
    seconds: Annotated[float, typer.Option(min=5, max=600, help="Of speech.")] = 60.0,
    drift: Annotated[
        float | None,
        typer.Option(min=60, max=10800, help="Instead: does a film of so many seconds drift?"),
    ] = None,
    film: Annotated[
        list[Path] | None,
        typer.Option(help="Instead: how far the face in this film moves a frame; may be given again."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the record.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record for machines.")] = False,
) -> None:
    """Lips against what was asked, closure on P, B, M, stillness at rest, picture against sound.

    With --drift every time stamp of a long film is read, and the lips of its first and last minute. With
    --film the same reader looks at a film of anybody. Needs the face mesh (`cvi replica setup`) and the
    flite voice.
    """
    from rich.console import Console

    from cvi.bench.layers.landmarks import measure_film
    from cvi.bench.layers.lips import measure_drift, measure_lips
    from cvi.bench.layers.measurement import finish
    from cvi.bench.run_store import RunRecorder
    from cvi.cli.options import picture_size
    from cvi.errors import UsageError
    from cvi.face.base import FaceSettings
    from cvi.face.replica import find_replica, load_replica_card

    width, height = picture_size(size)
    if film and (drift is not None or replica):
        raise UsageError("--film looks at a film as it is.", "Leave out --replica and --drift.")
    cards = [] if film else [load_replica_card(find_replica(name)) for name in replica or ["june"]]
    faces = [(FaceSettings(card.folder, width, height), card.renderer) for card in cards]
    options = {"size": size, "seconds": seconds if drift is None else drift}
    recorder = RunRecorder("lips", options, output=output)
    with Console(stderr=True, quiet=json).status("") as status:
        variants = [measure_film(path, seconds) for path in film or ()]
        for face, engine in faces:
            if drift is None:
                variants.append(measure_lips(face, engine, seconds, status.update))
            else:
                variants.append(measure_drift(face, engine, drift, status.update))
    finish(recorder, variants, json)
