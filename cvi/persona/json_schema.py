"""The JSON Schema of a persona file, for editors: both spellings of every key, and its meaning."""

from __future__ import annotations

from typing import Any

from cvi.persona.field_effects import foreign_keys, sections
from cvi.persona.layers import HOSTED_TTS
from cvi.persona.schema import Persona
from cvi.persona.section import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """A self-contained schema. Accepted keys without an effect are marked `deprecated`."""
    schema = Persona.model_json_schema(mode="validation")
    for at, part in sections():
        _complete(schema if part is Persona else schema["$defs"][part.__name__], part, at)
    schema["title"] = "cvi persona"
    tts = schema["$defs"]["Tts"]["properties"]["engine"]
    tts["examples"] = ["espeak", "flite", "piper", "openai", *HOSTED_TTS]
    return {"$schema": DRAFT, **schema}


def _complete(body: dict[str, Any], part: type[Section], at: str) -> None:
    properties: dict[str, Any] = body["properties"]
    required: list[str] = body.pop("required", [])
    spellings: dict[str, list[str]] = {name: [name] for name in required}
    for other, ours in part.other_spellings.items():
        about = {key: value for key, value in properties[ours].items() if key != "title"}
        meaning = about.get("description", "")
        properties[other] = about | {"description": f"Another spelling of '{ours}'. {meaning}".strip()}
        if ours in spellings:
            spellings[ours].append(other)
    for key, effect in foreign_keys(at).items():
        about_key = f"Accepted, without effect in a file: {effect.why}. {effect.remedy}".strip()
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
