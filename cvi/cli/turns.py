"""`cvi turns`: a recording with what turn-taking makes of it, as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def turns(
    file: Annotated[Path, typer.Argument(help="A recording of one person: wav, flac, mp3, a film.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The plot: .png, .svg, .pdf, or .html with all judgements.")
    ] = Path("turns.png"),
    persona: Annotated[str, typer.Option(help="Whose engines and system prompt: a name or file.")] = "guide",
    profile: Annotated[str, typer.Option(help="auto, embedded, cpu, laptop or workstation.")] = "auto",
) -> None:
    """Plot a recording with loudness, pitch, words, how likely the floor is free, and what is decided.

    The program's own conversation hears it in simulated time, with the profile's engines.
    """
    from cvi.bench.turn_plot import plot_turns
    from cvi.conversation.events import TurnCommitted

    events = plot_turns(file, output, persona=persona, profile=profile)
    for event in events:
        if isinstance(event, TurnCommitted):
            sure = "" if event.completeness is None else f", {event.completeness:.2f} before silence"
            waited = f"turn over after {event.silence_ms} ms of silence{sure}"
            typer.echo(f"{event.t:7.2f} s  {waited}: {event.text}")
    typer.echo(f"Drawn in {output}")
