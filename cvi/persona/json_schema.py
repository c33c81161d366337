"""The JSON Schema of a persona file, for editors: both spellings of every key, and its meaning."""

from __future__ import annotations

from typing import Any

from cvi.persona.layers import HOSTED_TTS
from cvi.persona.schema import Persona
from cvi.persona.section import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """A self-contained schema. Accepted keys without an effect are marked `deprecated`."""
    schema = Persona.model_json_schema(mode="validation")
    parts = {part.__name__: part for part in _sections(Section)}
    for name, body in schema.get("$defs", {}).items():
        if name in parts:
            _complete(body, parts[name])
    _complete(schema, Persona)
    schema["title"] = "cvi persona"
    tts = schema["$defs"]["Tts"]["properties"]["engine"]
    tts["examples"] = ["espeak", "flite", "piper", "openai", *HOSTED_TTS]
    return {"$schema": DRAFT, **schema}


def _sections(base: type[Section]) -> list[type[Section]]:
    return [part for child in base.__subclasses__() for part in (child, *_sections(child))]


def _complete(body: dict[str, Any], part: type[Section]) -> None:
    properties: dict[str, Any] = body["properties"]
    required: list[str] = body.pop("required", [])
    spellings: dict[str, list[str]] = {name: [name] for name in required}
    for other, ours in part.other_spellings.items():
        about = {key: value for key, value in properties[ours].items() if key != "title"}
        meaning = about.get("description", "")
        properties[other] = about | {"description": f"Another spelling of '{ours}'. {meaning}".strip()}
        if ours in spellings:
            spellings[ours].append(other)
    for key, instead in part.without_effect.items():
        about_key = "Accepted, without effect here." + (f" What has one: {instead}." if instead else "")
        properties.setdefault(key, {"deprecated": True, "description": about_key})
    single = [names[0] for names in spellings.values() if len(names) == 1]
    if single:
        body["required"] = single
    several = [names for names in spellings.values() if len(names) > 1]
    choices = [{"anyOf": [{"required": [name]} for name in names]} for names in several]
    if choices:
        body["allOf"] = choices
    body["additionalProperties"] = False
    _accept_hyphen(properties)


def _accept_hyphen(properties: dict[str, Any]) -> None:
    model = properties.get("turn_detection_model")
    if model is not None:
        model["enum"] = [*model["enum"], "time-based"]
