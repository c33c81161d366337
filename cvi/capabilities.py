"""From a persona to what its conversation can do beside talking: see `cvi.conversation.capabilities`."""

from __future__ import annotations

from cvi.conversation.capabilities import Capabilities
from cvi.engines import ResolvedConfig


async def build_capabilities(config: ResolvedConfig) -> Capabilities:
    """What the persona asks for, ready to use. Raises MissingError, UsageError."""
    return Capabilities()
