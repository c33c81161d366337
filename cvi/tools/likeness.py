"""How like a turn's words are to what each tool is for, rather than to turns that ask for none.

Embeddings of a tool's examples and description on one side, of `NEUTRAL_TURNS` on the other. It costs a few
milliseconds, and spares most turns the question to the model.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from cvi.tools.base import ToolDefinition
from cvi.tools.neutral import NEUTRAL_TURNS

_KEPT = 64


class ToolLikeness:
    """Compares texts with tools. `embedder` as in `cvi.embeddings.base`; its calls run on threads."""

    def __init__(self, tools: Sequence[ToolDefinition], embedder: Any) -> None:
        self._names = [tool.name for tool in tools]
        self._texts = [[*tool.examples, tool.spec.description] for tool in tools]
        self._embedder = embedder
        self._vectors: Any = None
        self._neutral: Any = None
        self._owner = np.concatenate([np.full(len(texts), i) for i, texts in enumerate(self._texts)])
        self._known: OrderedDict[str, dict[str, float]] = OrderedDict()

    async def warm(self) -> None:
        """Embed the tools' own texts. Raises what the embedder raises."""
        flat = [text for texts in self._texts for text in texts]
        self._vectors = await asyncio.to_thread(self._embedder.questions, flat)
        self._neutral = await asyncio.to_thread(self._embedder.questions, NEUTRAL_TURNS)

    async def of(self, text: str) -> dict[str, float]:
        """For each tool the cosine similarity of its likest text, less that of the likest neutral turn."""
        if text not in self._known:
            vector = (await asyncio.to_thread(self._embedder.questions, [text]))[0]
            likeness = self._vectors @ vector - (self._neutral @ vector).max()
            self._known[text] = {
                name: float(likeness[self._owner == i].max()) for i, name in enumerate(self._names)
            }
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[text]
