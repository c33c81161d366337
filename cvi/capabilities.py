"""From a persona to what its conversation can do beside talking: see `cvi.conversation.capabilities`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cvi.conversation.capabilities import Capabilities, ContextProvider
from cvi.engines import ResolvedConfig
from cvi.tools.base import Toolbox
from cvi.tools.declared import ToolPermissions, declared_tools

if TYPE_CHECKING:
    from cvi.perception.participant import Participant

NO_PERMISSIONS = ToolPermissions()


async def build_capabilities(
    config: ResolvedConfig, permissions: ToolPermissions = NO_PERMISSIONS
) -> Capabilities:
    """What the persona asks for, ready to use; `permissions` is what the operator allows its tools.

    Raises MissingError, UsageError; ToolError for an MCP server that is not there.
    """
    providers, participant = await _providers(config), _perception(config)
    if participant is not None:
        providers.append(participant)
    return Capabilities(providers, toolbox=await _tools(config, permissions), perceiver=participant)


async def _providers(config: ResolvedConfig) -> list[ContextProvider]:
    knowledge = config.persona.knowledge
    if not knowledge.anything or config.small_model:
        return []
    from cvi.knowledge.opening import open_knowledge

    provider, _ = await open_knowledge(
        knowledge.documents, knowledge.document_ids, knowledge.tags, knowledge.retrieval
    )
    return [provider]


def _perception(config: ResolvedConfig) -> Participant | None:
    persona = config.persona
    if persona.layers.perception.perception_model == "off" or persona.pipeline_mode == "echo":
        return None
    from cvi.perception.participant import Participant, PerceptionSettings

    return Participant(
        PerceptionSettings(
            # A very small model takes a note for something to answer.
            notes=not config.small_model,
            form="scene" if persona.layers.perception.perception_model == "basic" else "tags",
            emotion_recognition=persona.emotion_recognition,
        )
    )


async def _tools(config: ResolvedConfig, permissions: ToolPermissions) -> Toolbox | None:
    """None for a very small model, too: it cannot tell when to call one."""
    if config.small_model or config.persona.pipeline_mode == "echo":
        return None
    return await declared_tools(config.persona, permissions, config.language)
