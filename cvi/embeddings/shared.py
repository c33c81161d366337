"""The one embedder of this process: its weights are read once, by whoever needs them first."""

from __future__ import annotations

import threading

from cvi import engine_registry
from cvi.embeddings.base import Embedder, EmbeddingSettings

DEFAULT_ENGINE = "e5"

_built: dict[str, Embedder] = {}
_lock = threading.Lock()


def shared_embedder(engine: str = DEFAULT_ENGINE) -> Embedder:
    """The embedder of that name; blocks while it is built. It is never closed.

    Raises UsageError for an unknown name, MissingError and EngineError where it cannot be built.
    """
    with _lock:
        if engine not in _built:
            _built[engine] = engine_registry.build("embeddings", engine, EmbeddingSettings())
        return _built[engine]
