"""From a persona's perception layer to the parts that perceive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cvi.perception.awareness import AwarenessSettings, Modality, Nearness, PerceptionTool
from cvi.perception.participant import Participant, PerceptionSettings
from cvi.perception.vision import OpenAiVision
from cvi.persona.layers import Perception
from cvi.persona.schema import Persona


def build_participant(
    persona: Persona,
    *,
    small_model: bool,
    private_hosts: Sequence[str] | None,
    nearness: Nearness | None = None,
) -> Participant | None:
    """None where the persona perceives nothing. A very small model is neither told nor asked anything: it
    takes a note for something to answer; the face answers the participant all the same.

    `private_hosts` as in `EndpointClient`, `nearness` as in `Awareness`. Raises UsageError for an endpoint
    that cannot be used.
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
    return Participant(settings, vision=_vision(layer, private_hosts), nearness=nearness)


def _awareness(
    modality: Modality, queries: Sequence[str], tools: Sequence[Mapping[str, Any]], prompt: str | None
) -> AwarenessSettings:
    read = [tool for tool in map(PerceptionTool.read, tools) if tool is not None]
    return AwarenessSettings(modality, tuple(queries), tuple(read), prompt or "")


def _vision(layer: Perception, private_hosts: Sequence[str] | None) -> OpenAiVision | None:
    if layer.base_url is None:
        return None
    there = layer.connection()
    return OpenAiVision(
        there.base_url, layer.model, api_key=there.api_key, headers=there.headers, private_hosts=private_hosts
    )
