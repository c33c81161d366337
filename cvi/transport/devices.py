"""What this machine has to talk with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cvi.errors import MissingError
from cvi.transport.sound_card import portaudio

_CAMERAS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """`number` is what --microphone, --speaker and --camera take; `default` is used without them."""

    number: int
    name: str
    default: bool = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """`display` names the screen, None without one; `sound_problem` says why there is no sound at all."""

    microphones: tuple[FoundDevice, ...]
    speakers: tuple[FoundDevice, ...]
    cameras: tuple[FoundDevice, ...]
    display: str | None
    sound_problem: str | None = None


def inventory() -> Inventory:
    """Looks, opens nothing. Never raises: what is missing is missing."""
    problem = None
    microphones: tuple[FoundDevice, ...] = ()
    speakers: tuple[FoundDevice, ...] = ()
    try:
        microphones, speakers = _sound("input"), _sound("output")
    except MissingError as error:
        problem = str(error)
    display = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    return Inventory(microphones, speakers, cameras(), display or None, problem)


def _sound(kind: str) -> tuple[FoundDevice, ...]:
    sd = portaudio()
    usual = sd.default.device[0 if kind == "input" else 1]
    return tuple(
        FoundDevice(number, device["name"], number == usual)
        for number, device in enumerate(sd.query_devices())
        if device[f"max_{kind}_channels"] > 0
    )


def cameras(folder: Path = _CAMERAS) -> tuple[FoundDevice, ...]:
    """The video devices Linux knows of; `folder` is its list of them."""
    found = []
    for entry in folder.glob("video*") if folder.is_dir() else ():
        number = entry.name.removeprefix("video")
        # A webcam announces a second node for its metadata, with an index of its own.
        index = _read(entry / "index")
        if number.isdigit() and index in ("", "0"):
            found.append(FoundDevice(int(number), _read(entry / "name") or entry.name))
    return tuple(sorted(found, key=lambda device: device.number))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
