"""The options of `cvi talk`, and what is wrong with them: told before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cvi.audio.block import PLAYED_HZ
from cvi.errors import UsageError
from cvi.media.decode import is_silent, probe
from cvi.tools.declared import ToolPermissions

FRAME_RATES = (24, 25, 30, 40)
LONGEST_CALLER_S = 3600.0
SMALLEST, LARGEST = (320, 180), (3840, 2160)


@dataclass(frozen=True, slots=True)
class TalkRequest:
    """The options of `cvi talk`, as they were given."""

    caller: Path | None
    output: Path | None
    persona: str
    replica: str | None
    profile: str
    text: bool
    stereo: bool
    wait: bool
    size: str
    fps: int
    camera: str | None
    microphone: str | None
    speaker: str | None
    headphones: bool
    window: bool
    context: str
    yes: bool = False
    tool_modules: tuple[str, ...] = ()
    mcp_commands: bool = False
    participant: str | None = None

    @property
    def permissions(self) -> ToolPermissions:
        """What tools may do here: whoever runs a persona's file lets it call any address."""
        return ToolPermissions(("*",), self.tool_modules, self.mcp_commands)


def is_scenario(caller: Path) -> bool:
    """Whether the caller is a scenario file and not a recording, by its ending."""
    return caller.suffix.lower() in (".yaml", ".yml")


def picture_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as (width, height), both even. Raises UsageError."""
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if match is None:
        raise UsageError(f"--size {text} is not a size.", "Write WIDTHxHEIGHT, for example 1280x720.")
    width, height = int(match[1]), int(match[2])
    if width % 2 or height % 2:
        raise UsageError(f"--size {text} has an odd side.", "Video needs even numbers, for example 1280x720.")
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        raise UsageError(f"--size {text} is out of range.", "Choose from 320x180 to 3840x2160.")
    return width, height


def frame_rate(fps: int) -> int:
    """`fps`, if it is one of FRAME_RATES. Raises UsageError."""
    if fps not in FRAME_RATES:
        rates = ", ".join(map(str, FRAME_RATES))
        raise UsageError(f"--fps {fps} is not supported.", f"Choose one of {rates}.")
    return fps


def check_options(request: TalkRequest) -> None:
    """Options that contradict each other are misuse, said before anything is loaded."""
    if request.fps not in FRAME_RATES or PLAYED_HZ % request.fps:
        rates = ", ".join(map(str, FRAME_RATES))
        raise UsageError(f"--fps {request.fps} is not supported.", f"Choose one of {rates}.")
    if request.text and (request.caller or request.output):
        raise UsageError("--text is a typed conversation, without sound.", "Leave out the caller and -o.")
    if request.caller is None and request.wait:
        raise UsageError("--wait is for a recorded caller.", "Name the caller's file, or leave --wait out.")
    if request.stereo and request.output is None:
        raise UsageError("--stereo is about the recording.", "Add -o FILE.mp4.")
    live = {"--camera": request.camera, "--microphone": request.microphone, "--speaker": request.speaker}
    for option, value in live.items():
        if request.caller is not None and value is not None:
            raise UsageError(f"{option} is for live conversations.", "Leave it out, or leave out the caller.")


def check_caller(caller: Path) -> None:
    """Whether a recording can be a caller at all, told before anything is loaded."""
    info = probe(caller)
    if info.duration_s > LONGEST_CALLER_S:
        hours = info.duration_s / 3600
        raise UsageError(f"{caller} lasts {hours:.1f} h; a conversation at most one.", "Cut it into pieces.")
    if is_silent(caller):
        raise UsageError(f"{caller} is silent: nothing in it rises above -60 dB.", "Check the recording.")
