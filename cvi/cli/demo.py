"""`cvi demo`: a whole conversation, to see what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.talk import Headphones, Profile, Replica, Yes, talk

Film = Annotated[Path, typer.Option("-o", "--output", help="The film of the conversation.")]
Live = Annotated[
    bool, typer.Option("--live", help="Talk yourself: camera, microphone, loudspeaker and a window.")
]


def demo(
    output: Film = Path("cvi-demo.mp4"),
    profile: Profile = "auto",
    yes: Yes = False,
    replica: Replica = None,
    live: Live = False,
    headphones: Headphones = False,
) -> None:
    """Hold a conversation with a recorded caller, and make a film and a latency table of it.

    It takes as long as the conversation, about a minute. The caller asks about the world; of the embedded
    profile's small model, only what it can answer.
    """
    from cvi.cli.models import profile_of
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
