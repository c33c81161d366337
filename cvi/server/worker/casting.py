"""From a spec to warm engines, and from those to a conversation, spoken or typed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import Journal
from cvi.conversation.playout import Render
from cvi.conversation.settings import OPENING, ConversationSettings, TextEngines
from cvi.engines import EngineSet, build_engine_set, build_llm, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.llm.base import LlmEngine
from cvi.media.frames import Frame
from cvi.persona.schema import Persona
from cvi.server.worker.messages import StartSession
from cvi.transport.base import Transport


@dataclass(slots=True)
class Engines:
    """Warm engines of one conversation: an engine set if spoken, a language model if typed."""

    spec: StartSession
    persona: Persona
    settings: ConversationSettings
    engines: EngineSet | None
    llm: LlmEngine | None

    def conversation(self, transport: Transport, journal: Journal, clock: Clock) -> Conversation:
        """The conversation that begins now."""
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        settings = replace(
            self.settings,
            facts=replace(self.settings.facts, began=began),
            max_duration_s=self.spec.limits.max_call_duration_s,
        )
        if self.llm is not None:
            return Conversation(settings, TextEngines(self.llm), None, transport, journal, clock)
        engines = self.engines
        assert engines is not None
        render = engines.render if engines.face is not None else _nothing(self.spec)
        return Conversation(settings, engines.layers, render, transport, journal, clock)

    async def close(self) -> None:
        """End their threads."""
        if self.engines is not None:
            await self.engines.close()
        if self.llm is not None:
            await self.llm.close()


async def build_engines(spec: StartSession) -> Engines:
    """Raises MissingError, UsageError, EngineError."""
    persona = _persona(spec)
    chosen = resolve(persona, replica=spec.replica, profile=spec.profile)
    settings = conversation_settings(
        chosen,
        spec.conversation_id,
        conversational_context=spec.conversational_context,
        greeting=spec.custom_greeting,
    )
    if spec.dynamic_greeting and spec.custom_greeting is None:
        settings = replace(settings, greeting="", opening=OPENING)
    if spec.chat:
        return Engines(spec, persona, settings, None, await build_llm(chosen))
    engines = await build_engine_set(
        chosen,
        settings,
        width=spec.video.width,
        height=spec.video.height,
        fps=spec.video.fps,
        background="greenscreen" if spec.greenscreen else "room",
        with_face=not spec.audio_only,
    )
    return Engines(spec, persona, settings, engines, None)


def _persona(spec: StartSession) -> Persona:
    document = {**spec.persona, "language": spec.language} if spec.language else spec.persona
    try:
        return Persona.model_validate(document)
    except ValueError as error:
        raise UsageError(f"The persona cannot be used: {error}.") from error


def _nothing(spec: StartSession) -> Render:
    """A black picture, for a recording without a face."""
    frame = np.full((spec.video.height * 3 // 2, spec.video.width), 128, np.uint8)
    frame[: spec.video.height] = 16

    async def draw(controls: Controls) -> Frame:
        return frame

    return draw
