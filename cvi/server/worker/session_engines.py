"""From a start message to warm engines, and from those to a conversation, spoken or typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from cvi.capabilities import build_capabilities
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import Journal
from cvi.conversation.playout import Render
from cvi.conversation.resumption import Past
from cvi.conversation.settings import OPENING, ConversationSettings, TextEngines
from cvi.engines import EngineSet, build_engine_set, build_llm, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.llm.base import LlmEngine
from cvi.media.frames import Frame
from cvi.memory.store import MemoryKey
from cvi.persona.schema import Persona
from cvi.server.worker.messages import StartSession
from cvi.tools.declared import ToolPermissions
from cvi.transport.base import Transport

SETTLE_WITHIN_S = 20.0
"""What memory has not read by then, it reads when the participant comes back."""


@dataclass(slots=True)
class SessionEngines:
    """Warm engines of one conversation: an engine set if spoken, a language model if typed."""

    start: StartSession
    persona: Persona
    settings: ConversationSettings
    engines: EngineSet | None
    llm: LlmEngine | None
    capabilities: Capabilities

    def conversation(
        self, transport: Transport, journal: Journal, clock: Clock, past: Past | None
    ) -> Conversation:
        """The conversation that begins now, or goes on from its past."""
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        settings = replace(
            self.settings,
            facts=replace(
                self.settings.facts,
                began=began,
                participants=[each.participant for each in self.start.remembered],
            ),
            max_duration_s=self.start.limits.max_call_duration_s,
        )
        if self.llm is not None:
            return Conversation(
                settings, TextEngines(self.llm), None, transport, journal, clock, self.capabilities, past
            )
        engines = self.engines
        assert engines is not None
        render = engines.render if engines.face is not None else _black_picture(self.start)
        return Conversation(
            settings, engines.layers, render, transport, journal, clock, self.capabilities, past
        )

    async def close(self, settle_within_s: float = SETTLE_WITHIN_S) -> None:
        """End their threads, once memory has read what was said last."""
        await self.capabilities.settle(settle_within_s)
        if self.engines is not None:
            await self.engines.close()
        if self.llm is not None:
            await self.llm.close()


LOADED = ("stt", "llm", "tts", "face")
"""The layers that take long enough to load that whoever waits is told."""


async def build_engines(
    start: StartSession, loading: Callable[[list[str]], None] = lambda layers: None
) -> SessionEngines:
    """Raises MissingError, UsageError, EngineError.

    `loading` is called with the layers that are not ready yet.
    """
    persona = _persona(start)
    remembered = [MemoryKey(each.participant, each.persona, each.owner) for each in start.remembered]
    if not remembered:  # it must not say that it will remember
        persona = persona.model_copy(update={"memory": persona.memory.model_copy(update={"remember": False})})
    chosen = resolve(persona, replica=start.replica, profile=start.profile, private_hosts=start.private_hosts)
    settings = conversation_settings(
        chosen,
        start.conversation_id,
        conversational_context=start.conversational_context,
        greeting=start.custom_greeting,
        typed=start.chat,
    )
    if start.dynamic_greeting and start.custom_greeting is None:
        # A sentence that has to be said is said; then there is a greeting already.
        settings = replace(settings, greeting=persona.disclosure.verbal, opening=OPENING)
    permissions = ToolPermissions(
        urls_to=("*",) if start.private_hosts is None else start.private_hosts,
        modules=tuple(start.tool_modules),
        mcp_commands=start.mcp_commands,
        client=True,
    )
    capabilities = await build_capabilities(chosen, permissions, remembered, settings.context)
    if start.chat:
        return SessionEngines(start, persona, settings, None, await build_llm(chosen), capabilities)
    left = [layer for layer in LOADED if layer != "face" or not start.audio_only]

    def ready(layer: str) -> None:
        if layer in left:
            left.remove(layer)
            loading(list(left))

    loading(list(left))
    engines = await build_engine_set(
        chosen,
        settings,
        width=start.video.width,
        height=start.video.height,
        fps=start.video.fps,
        background="greenscreen" if start.greenscreen else "room",
        with_face=not start.audio_only,
        progress=ready,
    )
    return SessionEngines(start, persona, settings, engines, None, capabilities)


def _persona(start: StartSession) -> Persona:
    document = {**start.persona, "language": start.language} if start.language else start.persona
    try:
        return Persona.model_validate(document)
    except ValueError as error:
        raise UsageError(f"The persona cannot be used: {error}.") from error


def _black_picture(start: StartSession) -> Render:
    """A black picture, for a recording without a face."""
    frame = np.full((start.video.height * 3 // 2, start.video.width), 128, np.uint8)
    frame[: start.video.height] = 16

    async def draw(controls: Controls) -> Frame:
        return frame

    return draw
