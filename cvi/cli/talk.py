"""`cvi talk`: a conversation, live, from a recorded caller, or typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Caller = Annotated[
    Path | None,
    typer.Argument(
        help="A recorded caller: wav, flac, mp3, mp4, webm, ... or a scenario (.yaml). "
        "Without one: your own microphone.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Record the conversation into this .mp4.")
]
Persona = Annotated[str, typer.Option(help="A persona's name or file.")]
Replica = Annotated[
    str | None, typer.Option(help="A replica's name or folder, instead of the persona's own.")
]
Profile = Annotated[
    str,
    typer.Option(envvar="CVI_PROFILE", help="Models: auto, embedded, cpu, laptop or workstation."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Fetch missing models of the profile without asking.")]
Text = Annotated[bool, typer.Option("--text", help="Type instead of speaking; no sound, no face.")]
Stereo = Annotated[bool, typer.Option("--stereo", help="In the recording: caller left, persona right.")]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="The recorded caller waits: each segment starts after the reply has ended "
        "(or after 12 s without one).",
    ),
]
Size = Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")]
Fps = Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")]
Camera = Annotated[
    str | None,
    typer.Option(help="Live: a camera's number, or a film, or `none`; else the first camera there is."),
]
Microphone = Annotated[
    str | None, typer.Option(help="Live: a microphone's name or number, or a recording in its place.")
]
Speaker = Annotated[str | None, typer.Option(help="Live: a loudspeaker's name or number.")]
Headphones = Annotated[
    bool, typer.Option("--headphones", help="Live: full duplex, so that you can talk over the persona.")
]
Window = Annotated[bool, typer.Option(help="Live: show the face in a window.")]
AllowToolModule = Annotated[
    list[str] | None,
    typer.Option(help="A Python module whose functions the persona may have as tools. Repeatable."),
]
AllowMcpCommands = Annotated[
    bool, typer.Option("--allow-mcp-commands", help="The persona may start MCP servers as programs.")
]
Participant = Annotated[
    str | None,
    typer.Option(help="Who talks: remembered from one conversation to the next, if the persona remembers."),
]
Context = Annotated[str, typer.Option(help="Something the persona should know this time.")]


def talk(
    caller: Caller = None,
    output: Output = None,
    persona: Persona = "guide",
    replica: Replica = None,
    profile: Profile = "auto",
    yes: Yes = False,
    text: Text = False,
    stereo: Stereo = False,
    wait: Wait = False,
    size: Size = "1280x720",
    fps: Fps = 25,
    camera: Camera = None,
    microphone: Microphone = None,
    speaker: Speaker = None,
    headphones: Headphones = False,
    window: Window = True,
    allow_tool_module: AllowToolModule = None,
    allow_mcp_commands: AllowMcpCommands = False,
    context: Context = "",
    participant: Participant = None,
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
            tool_modules=tuple(allow_tool_module or ()),
            mcp_commands=allow_mcp_commands,
            yes=yes,
            participant=participant,
        )
    )
