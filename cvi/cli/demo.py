"""`cvi demo`: a whole conversation, to see what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The film of the conversation.")
    ] = Path("cvi-demo.mp4"),
    profile: Annotated[
        str,
        typer.Option(envvar="CVI_PROFILE", help="Models: auto, embedded, cpu, laptop or workstation."),
    ] = "auto",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Fetch missing models of the profile without asking.")
    ] = False,
    replica: Annotated[str | None, typer.Option(help="A replica's name or folder.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Talk yourself: camera, microphone, loudspeaker and a window.")
    ] = False,
    headphones: Annotated[
        bool, typer.Option("--headphones", help="With --live: full duplex, you can talk over the persona.")
    ] = False,
) -> None:
    """Hold a conversation with a recorded caller, and make a film and a latency table of it.

    It takes as long as the conversation, about a minute. The caller asks about the world; of the embedded
    profile's small model, only what it can answer.
    """
    from cvi.cli.models import profile_of
    from cvi.cli.talk import talk
    from cvi.errors import UsageError

    if live:
        talk(persona="guide", replica=replica, profile=profile, yes=yes, headphones=headphones)
        return
    if headphones:
        raise UsageError("--headphones is for live conversations.", "Add --live, or leave it out.")
    small = profile_of(profile, yes=yes).profile.name == "embedded"
    scenario = Path(__file__).parents[1] / "bench" / "scenarios" / ("demo.yaml" if small else "world.yaml")
    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    talk(
        caller=scenario,
        output=output,
        persona="guide",
        replica=replica,
        profile=profile,
        yes=yes,
        wait=not small,
    )
    typer.echo(f"\nWatch {output}. To talk yourself: cvi demo --live")
