"""From a persona to what its conversation can do beside talking: see `cvi.conversation.capabilities`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cvi.conversation.capabilities import Capabilities, ContextProvider
from cvi.engines import ResolvedConfig, installed_path
from cvi.persona.schema import Persona
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
    context: str = "",
) -> Capabilities:
    """What the persona asks for, ready to use; `permissions` is what the operator allows its tools, `context`
    what the model is told of this conversation besides.

    `remembered` are the memories of the participant, where the persona has one: it learns into the first.

    Raises MissingError, UsageError; ToolError for an MCP server that is not there.
    """
    providers, participant = await _providers(config), build_perception(config)
    if participant is not None:
        providers.append(participant)
    policy = await asyncio.to_thread(
        policy_capabilities, config.persona, config.language, small_model=config.small_model, context=context
    )
    memory = await asyncio.to_thread(_memory, config, remembered)
    # First: what waits for no words is read before them.
    providers = [*policy.providers, *providers]
    observers = list(policy.observers)
    if memory is not None:
        providers.append(memory.provider)
        observers.append(memory.keeper)
    return replace(
        policy,
        providers=providers,
        observers=observers,
        background=memory.background if memory is not None else "",
        toolbox=await _tools(config, permissions),
        perceiver=participant,
    )


def policy_capabilities(
    persona: Persona, language: str, *, small_model: bool, context: str = "", virtual_time: bool = False
) -> Capabilities:
    """The persona's guardrails and objectives alone. Takes a second the first time. Raises MissingError."""
    guard = _guard(persona, language, small_model, context, virtual_time)
    objectives = _objectives(persona, language, small_model)
    return Capabilities(
        [objectives] if objectives is not None else [],
        guard=guard,
        observers=[each for each in (guard, objectives) if each is not None],
    )


def _objectives(persona: Persona, language: str, small_model: bool) -> ObjectiveTracker | None:
    """None for a very small model, which cannot fill in a form."""
    wanted = [item for item in persona.objectives if item.modality == "verbal"]
    if not wanted or small_model or persona.pipeline_mode == "echo":
        return None
    from cvi.policy.objective_tracker import ObjectiveTracker

    return ObjectiveTracker(wanted, english=language == "en")


def _guard(
    persona: Persona, language: str, small_model: bool, context: str, virtual_time: bool
) -> ConversationGuard | None:
    """The persona's guardrails; without any, what keeps documents and tools from giving the model orders."""
    rails = [rail for rail in persona.guardrails if rail.modality == "verbal"]
    reads = persona.knowledge.anything or persona.tools or persona.layers.perception.perception_model != "off"
    if persona.pipeline_mode == "echo" or not (rails or reads):
        return None
    from cvi.conversation.phrases import phrases
    from cvi.embeddings.shared import shared_embedder
    from cvi.policy.checks import Checks
    from cvi.policy.grounding import Grounding
    from cvi.policy.guard import ConversationGuard
    from cvi.policy.support import WordWeights

    checks = Checks(rails, shared_embedder())
    # What is learned at the first sentence would delay the first reply.
    checks.find("Hello there.", "participant")
    checks.find("Hello there.", "reply")
    judged = [rail for rail in rails if rail.check.needs_model]
    grounding, said = None, phrases(language)
    if persona.knowledge.anything:
        own = (persona.spoken_name, persona.system_prompt, persona.context, persona.greeting, context)
        weights = WordWeights(shared_embedder().information)
        grounding = Grounding("\n".join(filter(None, own)), weights, capitals=language != "de")
    return ConversationGuard(
        checks,
        () if small_model else judged,
        grounding=grounding,
        said_instead=(said.in_documents, said.not_in_documents),
        virtual_time=virtual_time,
    )


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

    return open_participant(
        remembered,
        shared_embedder(),
        topics=policy.topics,
        keep_days=policy.keep_days,
        english=config.language == "en",
    )


def build_perception(config: ResolvedConfig) -> Participant | None:
    """What perceives the participant, for one conversation; None where the persona perceives nothing.

    Raises MissingError, UsageError for a vision-language model that cannot be used.
    """
    from cvi.perception.from_persona import build_participant

    return build_participant(
        config.persona,
        small_model=config.small_model,
        private_hosts=config.private_hosts,
        nearness=_nearness if config.llm.engine == "llama-cpp" and config.language == "en" else None,
        model_path=installed_path,
    )


def _nearness(some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    """Cosines of two lists of English texts, see `cvi.perception.awareness`."""
    from cvi.embeddings.shared import shared_embedder

    embedder = shared_embedder("minilm")
    rows: list[list[float]] = (embedder.passages(some) @ embedder.passages(others).T).tolist()
    return rows


async def _tools(config: ResolvedConfig, permissions: ToolPermissions) -> Toolbox | None:
    """None for a very small model, too: it cannot tell when to call one."""
    if config.small_model or config.persona.pipeline_mode == "echo":
        return None
    return await declared_tools(config.persona, permissions, config.language)
