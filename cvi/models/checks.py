"""What works on this machine, what does not, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cvi.errors import CviError
from cvi.models import engine_checks
from cvi.models.check import Check, Status
from cvi.models.hardware import GIB, detect
from cvi.models.manifest import load_manifest
from cvi.models.probes import Answer, Probe, run_probes
from cvi.models.profiles import CPU_CORES, NAMES, resolve_profile
from cvi.paths import home, replicas_dir, shared_dir

# Pythons the package declares; the newest is excluded.
OLDEST_PYTHON, FIRST_UNKNOWN_PYTHON = (3, 11), (3, 14)
# The embedded profile with everything in memory (target of the project), and a few recordings.
EMBEDDED_RAM_BYTES = 3 * GIB
LOW_DISK_BYTES = 1_000_000_000


def run_checks(probe: Callable[[Sequence[Probe]], dict[str, Answer]] = run_probes) -> list[Check]:
    """Look at everything. Takes some seconds: every native package is really imported, in a child."""
    answers = probe([*_PROBES, *engine_checks.probes()])
    return [
        _python(),
        _processor(),
        _gpu(),
        _compiler(answers),
        *engine_checks.check_engines(answers),
        _replicas(),
        *_profiles(),
        _ffmpeg(answers["av"]),
        _portaudio(answers["sounddevice"]),
        *_sound_devices(answers["devices"]),
        _camera(),
        _display(answers["pygame"]),
        _home(),
        _disk(),
    ]


def embedded_runs(checks: Sequence[Check]) -> bool:
    """Whether the embedded profile can hold a conversation here."""
    return all(check.status == "ok" for check in checks if check.required)


_DEVICES = (
    "[sum(d[k] > 0 for d in load('sounddevice').query_devices())"
    " for k in ('max_input_channels', 'max_output_channels')]"
)
_PROBES = (
    Probe("av", "load('av').__version__ + (' ' if 'libx264' in load('av').codecs_available else ' no-x264')"),
    Probe("sounddevice", "load('sounddevice').get_portaudio_version()[1]"),
    Probe("devices", _DEVICES),
    Probe("pygame", "load('pygame').version.ver"),
)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST_PYTHON <= sys.version_info[:2] < FIRST_UNKNOWN_PYTHON:
        return Check("machine", "python", "ok", version, required=True)
    return Check("machine", "python", "broken", version, "Make the environment with Python 3.11.", True)


def _processor() -> Check:
    hardware = detect()
    detail = f"{hardware.cores} cores, {hardware.ram_bytes / GIB:.1f} GiB memory"
    if hardware.cores >= CPU_CORES and hardware.ram_bytes >= EMBEDDED_RAM_BYTES:
        return Check("machine", "processor", "ok", detail)
    wanted = f"{CPU_CORES} cores and {EMBEDDED_RAM_BYTES // GIB} GiB are needed to keep time"
    return Check("machine", "processor", "missing", f"{detail}; {wanted}")


def _gpu() -> Check:
    gpu = detect().gpu
    if gpu is None:
        return Check("machine", "gpu", "missing", "no NVIDIA GPU; only the workstation profile needs one")
    return Check("machine", "gpu", "ok", f"{gpu.name}, {gpu.memory_bytes / GIB:.0f} GiB")


def _compiler(answers: dict[str, Answer]) -> Check:
    if not answers["llama_cpp"].missing:
        return Check("machine", "compiler", "ok", "not needed: everything is built")
    if shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"):
        return Check("machine", "compiler", "ok", "there, to build llama-cpp-python")
    return Check(
        "machine",
        "compiler",
        "missing",
        "llama-cpp-python has to be built, and there is no C++ compiler",
        "sudo apt-get install g++ cmake",
    )


def _replicas() -> Check:
    places = (replicas_dir(), shared_dir("replicas"))
    names = sorted({card.parent.name for place in places for card in place.glob("*/replica.yaml")})
    if names:
        return Check("face", "replicas", "ok", ", ".join(names), required=True)
    return Check("face", "replicas", "missing", "none found", "pip install --force-reinstall cvi", True)


def _profiles() -> list[Check]:
    sizes = {name: sum(model.size for model in load_manifest() if name in model.profiles) for name in NAMES}
    lines = []
    for name in NAMES[1:]:
        try:
            resolve_profile(name)
        except CviError as error:
            detail = f"{error.message} ({sizes[name] / 1e9:.1f} GB in all)"
            lines.append(Check("models", f"profile {name}", "missing", detail, f"cvi models pull {name}"))
        else:
            lines.append(Check("models", f"profile {name}", "ok", "all models are installed"))
    return lines


def _ffmpeg(answer: Answer) -> Check:
    if answer.missing:
        return Check("media", "ffmpeg", "missing", "PyAV is not installed", "pip install av", True)
    version, _, lack = answer.shown.partition(" ")
    fault = answer.fault or ("PyAV was built without H.264" if lack else "")
    if fault:
        return Check("media", "ffmpeg", "broken", fault, "pip install --force-reinstall av", True)
    return Check("media", "ffmpeg", "ok", f"PyAV {version}, with H.264", required=True)


def _portaudio(answer: Answer) -> Check:
    name = "portaudio"
    if answer.missing:
        return Check("media", name, "missing", "sounddevice is not installed", "pip install sounddevice")
    if "PortAudio library not found" in answer.fault:
        detail = "not there: no microphone and loudspeaker, files work"
        return Check("media", name, "missing", detail, "sudo apt-get install libportaudio2")
    if answer.fault:
        return Check("media", name, "broken", answer.fault, "pip install --force-reinstall sounddevice")
    return Check("media", "portaudio", "ok", answer.shown)


def _sound_devices(answer: Answer) -> list[Check]:
    counts = answer.shown.strip("[]").split(",") if answer.ok else ["0", "0"]
    lines = []
    for name, count in zip(("microphone", "loudspeaker"), counts, strict=True):
        if int(count):
            lines.append(Check("media", name, "ok", f"{int(count)} found; see: cvi devices"))
        else:
            remedy = "Connect one, or give a file: cvi talk caller.wav"
            lines.append(Check("media", name, "missing", "none found", remedy))
    return lines


def _camera() -> Check:
    cameras = sorted(Path("/dev").glob("video*"))
    if not cameras:
        return Check("media", "camera", "missing", "none found", "Connect one, or give a file: --camera FILE")
    if not any(os.access(camera, os.R_OK | os.W_OK) for camera in cameras):
        return Check("media", "camera", "broken", "no right to open it", "sudo usermod -aG video $USER")
    return Check("media", "camera", "ok", ", ".join(map(str, cameras)))


def _display(answer: Answer) -> Check:
    if answer.missing or answer.fault:
        status: Status = "missing" if answer.missing else "broken"
        detail = answer.fault or "pygame is not installed"
        return Check("media", "window", status, detail, "pip install pygame-ce")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Check("media", "window", "missing", "no display", "Go without a window: cvi talk --no-window")
    return Check("media", "window", "ok", f"pygame {answer.shown}")


def _home() -> Check:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Check("storage", "data folder", "ok", str(folder), required=True)
    except OSError as error:
        return Check(
            "storage",
            "data folder",
            "broken",
            f"{folder} cannot be written: {error.strerror or error}",
            "Set CVI_HOME to a folder that you may write to.",
            True,
        )


def _disk() -> Check:
    there = home()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Check("storage", "disk", "broken", detail, "Free some space, or set CVI_HOME.")
    return Check("storage", "disk", "ok", detail)
