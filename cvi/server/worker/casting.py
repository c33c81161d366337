"""From a spec to warm engines, and from those to a conversation, spoken or typed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from cvi.assembly import Studio, build_llm, build_studio, cast, conversation_settings
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import Journal
from cvi.conversation.performance import Render
from cvi.conversation.settings import OPENING, ConversationSettings
from cvi.errors import UsageError
from cvi.face.base import Controls, Frame
from cvi.llm.base import LlmEngine
from cvi.persona.schema import Persona
from cvi.server.worker.spec import Spec
from cvi.server.worker.typed import TypedConversation
from cvi.transport.base import Transport


@dataclass(slots=True)
class Engines:
    """Warm engines of one conversation: a studio where it is spoken, a language model where it is typed."""

    spec: Spec
    persona: Persona
    settings: ConversationSettings
    studio: Studio | None
    llm: LlmEngine | None

    def conversation(
        self, transport: Transport, journal: Journal, clock: Clock
    ) -> Conversation | TypedConversation:
        """The conversation that begins now."""
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        settings = replace(
            self.settings,
            facts={**self.settings.facts, "began": began},
            max_duration_s=self.spec.limits.max_call_duration_s,
        )
        if self.llm is not None:
            return TypedConversation(settings, self.llm, journal)
        studio = self.studio
        assert studio is not None
        render = studio.render if studio.face is not None else _nothing(self.spec)
        return Conversation(settings, studio.layers, render, transport, journal, clock)

    async def close(self) -> None:
        """End their threads."""
        if self.studio is not None:
            await self.studio.close()
        if self.llm is not None:
            await self.llm.close()


async def build_engines(spec: Spec) -> Engines:
    """Raises MissingError, UsageError, EngineError."""
    persona = _persona(spec)
    chosen = cast(persona, replica=spec.replica, profile=spec.profile)
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
    studio = await build_studio(
        chosen,
        settings,
        width=spec.video.width,
        height=spec.video.height,
        fps=spec.video.fps,
        background="greenscreen" if spec.greenscreen else "room",
        with_face=not spec.audio_only,
    )
    return Engines(spec, persona, settings, studio, None)


def _persona(spec: Spec) -> Persona:
    document = {**spec.persona, "language": spec.language} if spec.language else spec.persona
    try:
        return Persona.model_validate(document)
    except ValueError as error:
        raise UsageError(f"The persona cannot be used: {error}.") from error


def _nothing(spec: Spec) -> Render:
    """A black picture, for a recording without a face."""
    frame = np.full((spec.video.height * 3 // 2, spec.video.width), 128, np.uint8)
    frame[: spec.video.height] = 16

    async def draw(controls: Controls) -> Frame:
        return frame

    return draw
