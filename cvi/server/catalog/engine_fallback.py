"""Engines and models that a persona names and this machine does not have: the profile's take their place.

A person at the command line is told to correct the name. A client that names an engine of another service
shall not have its conversation end at the start, so the server falls back and says so in its answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvi.engine_registry import names
from cvi.files import is_file
from cvi.models.installed import find_installed, is_model_id
from cvi.paths import user_path
from cvi.persona.field_effects import NotInEffect
from cvi.persona.layers import HOSTED_MODEL_PREFIX, HOSTED_STT_PREFIX, HOSTED_TTS

_OF_AN_ENGINE = ("model", "tts_model_name", "voice", "external_voice_id")
_LAYERS = {
    "stt": ("stt_engine", "engine"),
    "llm": ("engine",),
    "tts": ("tts_engine", "engine"),
    "face": ("engine",),
}


def with_installed_engines(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[NotInEffect]]:
    """The persona's document without engines and models that are not here, and a row for each of them.

    Blocks on the disk.
    """
    layers = document.get("layers")
    if not isinstance(layers, Mapping):
        return dict(document), []
    rows: list[NotInEffect] = []
    kept = dict(layers)
    for name, keys in _LAYERS.items():
        layer = layers.get(name)
        if isinstance(layer, Mapping):
            kept[name] = _installed(name, layer, keys, rows)
    return {**document, "layers": kept}, rows


def _installed(
    name: str, layer: Mapping[str, Any], keys: tuple[str, ...], rows: list[NotInEffect]
) -> dict[str, Any]:
    kept = dict(layer)
    for key in keys:
        engine = layer.get(key)
        if isinstance(engine, str) and not _hosted(engine) and engine not in names(name):
            here = ", ".join(names(name))
            rows.append(
                NotInEffect(
                    f"layers.{name}.{key}",
                    f"there is no {name} engine '{engine}' here; the profile's takes its place",
                    f"Here are: {here}.",
                )
            )
            del kept[key]
            if not layer.get("base_url"):
                kept = {other: value for other, value in kept.items() if other not in _OF_AN_ENGINE}
    model = kept.get("model")
    if name == "llm" and isinstance(model, str) and not kept.get("base_url") and not _has(model):
        rows.append(
            NotInEffect(
                "layers.llm.model",
                f"there is no language model '{model}' here; the profile's takes its place",
                "Name one that `cvi models list` shows, or an endpoint's base_url.",
            )
        )
        del kept["model"]
    return kept


def _hosted(engine: str) -> bool:
    return engine.startswith(HOSTED_STT_PREFIX) or engine in HOSTED_TTS


def _has(model: str) -> bool:
    """Whether a language model's name can be run here: hosted ones stand for the default."""
    if model.startswith(HOSTED_MODEL_PREFIX):
        return True
    if is_model_id(model):
        return find_installed(model) is not None
    return is_file(user_path(model))
