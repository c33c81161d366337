"""Profiles: the engines and models for a class of machine, and the choice of one for this machine."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

from cvi.errors import CviError, MissingError, UsageError
from cvi.files import write_text
from cvi.models.hardware import GIB, Hardware, detect, llama_offloads
from cvi.models.installed import find_installed, model_folder
from cvi.models.manifest import Model, expand
from cvi.models.pull import missing_bytes, pull
from cvi.paths import models_dir

AUTO = "auto"
NAMES = ("embedded", "cpu", "laptop", "workstation")

# What the models of a profile need beside the rest of the program; from their sizes, not measured.
CPU_RAM_BYTES = 4 * GIB
CPU_CORES = 2
LAPTOP_RAM_BYTES = 12 * GIB
LAPTOP_CORES = 4
WORKSTATION_GPU_BYTES = 10 * GIB


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """`model` is an absolute path, or None for what the engine carries itself; `voice` likewise."""

    engine: str
    model: str | None = None
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """`choices` maps each layer (vad, stt, llm, tts, face) to its engine, and "turns" where a turn model is
    installed. `models` are ids of the manifest."""

    name: str
    title: str
    choices: Mapping[str, EngineChoice]
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The profile to use, and a line about the choice for the user, "" for none."""

    profile: Profile
    note: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What `auto` needs to know of the machine; tests replace it."""

    hardware: Callable[[], Hardware] = field(default=detect)
    llama_offloads: Callable[[], bool] = field(default=llama_offloads)


_TITLES = {
    "embedded": "small models from packages alone, robotic voice",
    "cpu": "good models for two CPU cores",
    "laptop": "larger models for four CPU cores and more",
    "workstation": "large models on one GPU",
}


def resolve_profile(
    requested: str = AUTO,
    *,
    ask: Callable[[Profile, int], bool] | None = None,
    fetch: Callable[[tuple[Model, ...]], object] = pull,
    machine: Machine | None = None,
) -> Resolution:
    """The profile to use, its choices with absolute paths of installed models.

    `auto` takes the best one that is installed and fits the machine. Where better ones would fit and `ask` is
    given, `ask(profile, bytes_to_download)` offers them, the best first; on True, `fetch` downloads its
    models (blocking), on False it is not offered again. One that cannot be fetched or is declined leaves the
    next to be offered. A named profile whose models are not installed is offered likewise.
    Raises UsageError for an unknown name, MissingError for a named profile whose models are not installed.
    """
    if requested != AUTO:
        if requested in NAMES and _absent(requested) and ask is not None:
            models = expand([requested])
            if ask(build_profile(requested), missing_bytes(models)):
                fetch(models)
        return Resolution(_named(requested))
    fitting = _fitting(machine or Machine())
    best = next(name for name in fitting if not _absent(name))
    better = fitting[: fitting.index(best)]
    fetched, failure = _offer(better, ask, fetch) if ask is not None else (None, "")
    name = fetched or best
    if failure:
        return Resolution(build_profile(name), f"Using the profile '{name}'. {failure}")
    note = _better_note(best, better[0]) if better and not fetched else ""
    return Resolution(build_profile(name), note)


def best_installed(machine: Machine | None = None) -> str:
    """The name of the best profile that fits the machine and whose models are installed."""
    return next(name for name in _fitting(machine or Machine()) if not _absent(name))


def build_profile(name: str) -> Profile:
    """The profile with the paths of its models, whether or not they are installed."""
    if name == "embedded":
        models: tuple[Model, ...] = ()
        tts = EngineChoice("flite" if flite_loads() else "espeak")
        choices = {"stt": EngineChoice("pocketsphinx"), "llm": EngineChoice("llama-cpp"), "tts": tts}
    else:
        models = expand([name])
        choices = {}
        # What the profile needs comes first: an optional voice is some faces' own, not everybody's.
        for model in sorted(models, key=lambda model: name in model.optional):
            if name not in model.optional or find_installed(model.id) is not None:
                choices.setdefault(model.purpose, EngineChoice(model.engine, _path(model)))
    layers = {"vad": EngineChoice("silero"), **choices, "face": EngineChoice("sculpted")}
    return Profile(name, _TITLES[name], MappingProxyType(layers), tuple(model.id for model in models))


def flite_loads() -> bool:
    """Whether the system has flite and its standard voice."""
    try:
        ctypes.CDLL("libflite.so.1")
        ctypes.CDLL("libflite_cmu_us_slt.so.1")
    except OSError:
        return False
    return True


def _named(name: str) -> Profile:
    if name not in NAMES:
        near = get_close_matches(name, (AUTO, *NAMES), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Choose one of: {', '.join((AUTO, *NAMES))}."
        raise UsageError(f"There is no profile named '{name}'.", hint)
    absent = _absent(name)
    if absent:
        raise MissingError(
            f"The profile '{name}' needs models that are not installed: {', '.join(absent)}.",
            f"Get them with: cvi models pull {name}",
        )
    return build_profile(name)


def _absent(name: str) -> list[str]:
    if name == "embedded":
        return []
    needed = (model for model in expand([name]) if name not in model.optional)
    return [model.id for model in needed if find_installed(model.id) is None]


def _fits(name: str, hardware: Hardware, llama_offloads: Callable[[], bool]) -> bool:
    if name == "workstation":
        gpu = hardware.gpu
        return gpu is not None and gpu.memory_bytes >= WORKSTATION_GPU_BYTES and llama_offloads()
    if name == "laptop":
        return hardware.ram_bytes >= LAPTOP_RAM_BYTES and hardware.cores >= LAPTOP_CORES
    if name == "cpu":
        return hardware.ram_bytes >= CPU_RAM_BYTES and hardware.cores >= CPU_CORES
    return True


def _offer(
    names: list[str], ask: Callable[[Profile, int], bool], fetch: Callable[[tuple[Model, ...]], object]
) -> tuple[str | None, str]:
    """The first of the profiles that was wanted and fetched, and why one before it could not be."""
    failure = ""
    for name in names:
        if _was_declined(name):
            continue
        models = expand([name])
        if not ask(build_profile(name), missing_bytes(models)):
            _decline(name)
            continue
        try:
            fetch(models)
        except CviError as error:
            failure = failure or str(error)
        else:
            return name, failure
    return None, failure


def _fitting(machine: Machine) -> list[str]:
    hardware = machine.hardware()
    return [name for name in reversed(NAMES) if _fits(name, hardware, machine.llama_offloads)]


def _better_note(best: str, better: str) -> str:
    size = missing_bytes(expand([better]))
    return (
        f"Using the profile '{best}' ({_TITLES[best]}); "
        f"for {_TITLES[better]} ({size / 1e9:.1f} GB): cvi models pull {better}"
    )


def _path(model: Model) -> str:
    folder = model_folder(model.id)
    return str(folder if model.entry == "." else folder / model.entry)


def _was_declined(name: str) -> bool:
    return name in _declined()


def _decline(name: str) -> None:
    try:
        write_text(models_dir() / "declined.json", json.dumps(sorted({*_declined(), name})) + "\n")
    except CviError:
        # Nothing is lost but that the question is asked again.
        return


def _declined() -> set[str]:
    try:
        return set(json.loads((models_dir() / "declined.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return set()
