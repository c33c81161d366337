"""From a persona to what its conversation can do beside talking: see `cvi.conversation.capabilities`."""

from __future__ import annotations

from cvi.conversation.capabilities import Capabilities
from cvi.engines import ResolvedConfig


async def build_capabilities(config: ResolvedConfig) -> Capabilities:
    """What the persona asks for, ready to use. Raises MissingError, UsageError."""
    knowledge = config.persona.knowledge
    if not knowledge.anything or config.small_model:
        return Capabilities()
    from cvi.knowledge.opening import open_knowledge

    provider, _ = await open_knowledge(
        knowledge.documents, knowledge.document_ids, knowledge.tags, knowledge.retrieval
    )
    return Capabilities([provider])
