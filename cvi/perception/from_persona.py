"""From a persona's perception layer to the parts that perceive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cvi.engine_registry import build
from cvi.perception.awareness import AwarenessSettings, Modality, Nearness, PerceptionTool
from cvi.perception.participant import Participant, PerceptionSettings
from cvi.perception.vision import VisionEngine, VisionSettings
from cvi.persona.layers import Perception
from cvi.persona.schema import Persona


def build_participant(
    persona: Persona,
    *,
    small_model: bool,
    private_hosts: Sequence[str] | None,
    nearness: Nearness | None = None,
    model_path: Callable[[str | None], str | None] = lambda model: model,
) -> Participant | None:
    """None where the persona perceives nothing. A very small model is neither told nor asked anything: it
    takes a note for something to answer; the face answers the participant all the same.

    `private_hosts` as in `EndpointClient`, `nearness` as in `Awareness`; `model_path` tells where an
    installed model lies. Raises UsageError for an endpoint or engine that cannot be used, MissingError for a
    model that is not here.
    """
    layer = persona.layers.perception
    if layer.perception_model == "off" or persona.pipeline_mode == "echo":
        return None
    if small_model:
        return Participant(PerceptionSettings(notes=False))
    seeing = _awareness(
        "vision", layer.visual_awareness_queries, layer.visual_tools, layer.visual_tool_prompt
    )
    hearing = _awareness("audio", layer.audio_awareness_queries, layer.audio_tools, layer.audio_tool_prompt)
    settings = PerceptionSettings(
        form="scene" if layer.perception_model == "basic" else "tags",
        emotion_recognition=persona.emotion_recognition,
        vision=seeing,
        audio=hearing,
        analysis_queries=tuple(layer.perception_analysis_queries),
    )
    vision = _vision(layer, private_hosts, model_path)
    return Participant(settings, vision=vision, nearness=nearness)


def _awareness(
    modality: Modality, queries: Sequence[str], tools: Sequence[Mapping[str, Any]], prompt: str | None
) -> AwarenessSettings:
    read = [tool for tool in map(PerceptionTool.read, tools) if tool is not None]
    return AwarenessSettings(modality, tuple(queries), tuple(read), prompt or "")


def _vision(
    layer: Perception,
    private_hosts: Sequence[str] | None,
    model_path: Callable[[str | None], str | None],
) -> VisionEngine | None:
    if layer.local_engine is None:
        return None
    there = layer.connection()
    settings = VisionSettings(
        model=layer.model if there.base_url else model_path(layer.model),
        base_url=there.base_url,
        api_key=there.api_key,
        headers=there.headers,
        private_hosts=private_hosts,
    )
    engine: VisionEngine = build("perception", layer.local_engine, settings)
    return engine
