"""`cvi talk`: a conversation, live, from a recorded caller, or typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def talk(
    caller: Annotated[
        Path | None,
        typer.Argument(
            help="A recorded caller: wav, flac, mp3, mp4, webm, ... or a scenario (.yaml). "
            "Without one: your own microphone.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Record the conversation into this .mp4.")
    ] = None,
    persona: Annotated[str, typer.Option(help="A persona's name or file.")] = "guide",
    replica: Annotated[
        str | None, typer.Option(help="A replica's name or folder, instead of the persona's own.")
    ] = None,
    profile: Annotated[
        str,
        typer.Option(envvar="CVI_PROFILE", help="Models: auto, embedded, cpu, laptop or workstation."),
    ] = "auto",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Fetch missing models of the profile without asking.")
    ] = False,
    text: Annotated[
        bool, typer.Option("--text", help="Type instead of speaking; no sound, no face.")
    ] = False,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="In the recording: caller left, persona right.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="The recorded caller waits: each segment starts after the reply has ended "
            "(or after 12 s without one).",
        ),
    ] = False,
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    camera: Annotated[
        str | None,
        typer.Option(help="Live: a camera's number, or a film, or `none`; else the first camera there is."),
    ] = None,
    microphone: Annotated[
        str | None, typer.Option(help="Live: a microphone's name or number, or a recording in its place.")
    ] = None,
    speaker: Annotated[str | None, typer.Option(help="Live: a loudspeaker's name or number.")] = None,
    headphones: Annotated[
        bool, typer.Option("--headphones", help="Live: full duplex, so that you can talk over the persona.")
    ] = False,
    window: Annotated[bool, typer.Option(help="Live: show the face in a window.")] = True,
    context: Annotated[str, typer.Option(help="Something the persona should know this time.")] = "",
) -> None:
    """Talk with a persona, live, recorded or typed.

    Live: your microphone, loudspeaker, camera and a window. With a recorded caller: into a recorded film.

    Live keys: M mutes, Space interrupts, Q quits. At the end come the transcript, how long each step
    took, and where the journal lies.
    """
    from cvi.cli.options import TalkRequest
    from cvi.cli.talk_session import run_talk

    run_talk(
        TalkRequest(
            caller=caller,
            output=output,
            persona=persona,
            replica=replica,
            profile=profile,
            text=text,
            stereo=stereo,
            wait=wait,
            size=size,
            fps=fps,
            camera=camera,
            microphone=microphone,
            speaker=speaker,
            headphones=headphones,
            window=window,
            context=context,
            yes=yes,
        )
    )
