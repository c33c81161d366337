"""From a persona to what its conversation can do beside talking: see `cvi.conversation.capabilities`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cvi.conversation.capabilities import Capabilities, ContextProvider, Observer
from cvi.engines import ResolvedConfig
from cvi.tools.base import Toolbox
from cvi.tools.declared import ToolPermissions, declared_tools

if TYPE_CHECKING:
    from cvi.memory.participant import ParticipantMemory
    from cvi.memory.store import MemoryKey
    from cvi.perception.participant import Participant
    from cvi.policy.guard import ConversationGuard
    from cvi.policy.objective_tracker import ObjectiveTracker

NO_PERMISSIONS = ToolPermissions()


async def build_capabilities(
    config: ResolvedConfig,
    permissions: ToolPermissions = NO_PERMISSIONS,
    remembered: Sequence[MemoryKey] = (),
) -> Capabilities:
    """What the persona asks for, ready to use; `permissions` is what the operator allows its tools.

    `remembered` are the memories of the participant, where the persona has one: it learns into the first.

    Raises MissingError, UsageError; ToolError for an MCP server that is not there.
    """
    providers, participant = await _providers(config), _perception(config)
    if participant is not None:
        providers.append(participant)
    guard = await asyncio.to_thread(_guard, config)
    objectives = _objectives(config)
    if objectives is not None:
        providers.append(objectives)
    memory = await asyncio.to_thread(_memory, config, remembered)
    observers: list[Observer] = [each for each in (guard, objectives) if each is not None]
    if memory is not None:
        providers.append(memory.provider)
        observers.append(memory.keeper)
    return Capabilities(
        providers,
        toolbox=await _tools(config, permissions),
        perceiver=participant,
        guard=guard,
        observers=observers,
        background=memory.background if memory is not None else "",
    )


def _objectives(config: ResolvedConfig) -> ObjectiveTracker | None:
    """None for a very small model, which cannot fill in a form."""
    persona = config.persona
    wanted = [item for item in persona.objectives if item.modality == "verbal"]
    if not wanted or config.small_model or persona.pipeline_mode == "echo":
        return None
    from cvi.policy.objective_tracker import ObjectiveTracker

    return ObjectiveTracker(wanted)


def _guard(config: ResolvedConfig) -> ConversationGuard | None:
    """The persona's guardrails; without any, what keeps documents and tools from giving the model orders."""
    persona = config.persona
    rails = [rail for rail in persona.guardrails if rail.modality == "verbal"]
    reads = persona.knowledge.anything or persona.tools or persona.layers.perception.perception_model != "off"
    if persona.pipeline_mode == "echo" or not (rails or reads):
        return None
    from cvi.embeddings.shared import shared_embedder
    from cvi.policy.checks import Checks
    from cvi.policy.guard import ConversationGuard

    # The families are English; in other languages the author's own patterns, phrases and examples count.
    checks = Checks(rails, shared_embedder("minilm" if config.language == "en" else "e5"))
    judged = [rail for rail in rails if rail.guardrail_name in checks.unchecked or rail.check.needs_model]
    return ConversationGuard(checks, () if config.small_model else judged)


async def _providers(config: ResolvedConfig) -> list[ContextProvider]:
    knowledge = config.persona.knowledge
    if not knowledge.anything or config.small_model:
        return []
    from cvi.knowledge.opening import open_knowledge

    provider, _ = await open_knowledge(
        knowledge.documents, knowledge.document_ids, knowledge.tags, knowledge.retrieval
    )
    return [provider]


def _memory(config: ResolvedConfig, remembered: Sequence[MemoryKey]) -> ParticipantMemory | None:
    """None for a very small model, too: it cannot tell what is worth keeping."""
    policy = config.persona.memory
    if not policy.remember or not remembered or config.small_model or config.persona.pipeline_mode == "echo":
        return None
    from cvi.embeddings.shared import shared_embedder
    from cvi.memory.participant import open_participant

    return open_participant(remembered, shared_embedder(), topics=policy.topics, keep_days=policy.keep_days)


def _perception(config: ResolvedConfig) -> Participant | None:
    from cvi.perception.from_persona import build_participant

    return build_participant(
        config.persona, small_model=config.small_model, private_hosts=config.private_hosts
    )


async def _tools(config: ResolvedConfig, permissions: ToolPermissions) -> Toolbox | None:
    """None for a very small model, too: it cannot tell when to call one."""
    if config.small_model or config.persona.pipeline_mode == "echo":
        return None
    return await declared_tools(config.persona, permissions, config.language)
