"""The nearest vectors to a question's: exact for small sets, coarse to fine for large ones.

Three steps, each over what the one before left. A sketch of one bit a dimension, the sign of its difference
from the mean (random-hyperplane hashing with the axes as planes; Charikar 2002), is compared with all: a
million are 48 MB and take five milliseconds of one processor. Then the nearest thousands in 8 bits a
dimension, then the nearest few by their own vectors. Unlike a graph it is built in no time, can be appended
to, and loses nothing when the search is narrowed to some documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Vectors

EXACT_ROWS = 20_000
"""Up to so many vectors (30 MB) are kept and compared whole: 3 ms."""
SKETCHED = 10_000
"""Of more, so many with the nearest sketches are compared in 8 bits: 4 MB are read for it."""
REFINED = 64
"""So many of those are compared by their own vectors."""
_BLOCK = 1 << 15
_ROWS = 256
"""Small enough for the processor's cache, and for one thread of BLAS."""
_FAR = np.iinfo(np.uint16).max
_STEPS = 127
Fetch = Callable[[Sequence[int]], dict[int, Vectors]]
Part = tuple[NDArray[np.int64], NDArray[Any], Vectors]


class VectorIndex:
    """Vectors by id. One thread. `fetch` gives vectors by id, for those that are not kept in memory.

    A large set takes 435 bytes a vector of 384 dimensions.
    """

    def __init__(self, fetch: Fetch, exact_rows: int = EXACT_ROWS) -> None:
        self._fetch = fetch
        self._exact_rows = exact_rows
        self._ids = np.zeros(0, np.int64)
        self._codes: dict[str, int] = {}
        self._documents = np.zeros(0, np.uint32)
        self._exact: Vectors | None = None
        self._coarse: _Coarse | None = None

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def last_id(self) -> int:
        """The highest id, 0 for none."""
        return int(self._ids[-1]) if len(self._ids) else 0

    @property
    def exact(self) -> bool:
        """Whether all vectors are compared."""
        return self._coarse is None

    def append(self, parts: Iterator[Part]) -> None:
        """Add vectors: ids in ascending order, their documents, rows of unit length."""
        ids, documents = [self._ids], [self._documents]
        kept = [] if self._exact is None else [self._exact]
        coded: list[tuple[NDArray[np.uint64], NDArray[np.int8]]] = []
        count = len(self._ids)
        for new_ids, new_documents, vectors in parts:
            ids.append(new_ids)
            documents.append(self._coded(new_documents))
            count += len(new_ids)
            if self._coarse is not None:
                coded.append(self._coarse.coded(vectors))
                continue
            kept.append(vectors)
            if count > self._exact_rows:
                whole = np.concatenate(kept)
                self._coarse, self._exact, kept = _Coarse(whole), None, []
                coded.append(self._coarse.coded(whole))
        self._ids, self._documents = np.concatenate(ids), np.concatenate(documents)
        if self._coarse is not None:
            self._coarse.append(coded)
        else:
            self._exact = np.concatenate(kept) if kept else None

    def nearest(
        self, vector: NDArray[np.float32], count: int, documents: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The ids of the `count` nearest vectors and their cosines, nearest first; of `documents` alone
        unless None."""
        inside = None if documents is None else self._inside(documents)
        if not len(self._ids) or (inside is not None and not inside.any()):
            return []
        if self._exact is not None:
            rows = np.arange(len(self._ids)) if inside is None else np.flatnonzero(inside)
            scores = (self._exact if inside is None else self._exact[rows]) @ vector
            found = _highest(scores, count)
            return [(int(self._ids[i]), float(s)) for i, s in zip(rows[found], scores[found], strict=True)]
        assert self._coarse is not None
        near = self._coarse.near(vector, max(REFINED, count), inside)
        stored = self._fetch([int(id) for id in self._ids[near]])
        scored = [(id, float(each @ vector)) for id, each in stored.items()]
        return sorted(scored, key=lambda pair: -pair[1])[:count]

    def _coded(self, documents: NDArray[Any]) -> NDArray[np.uint32]:
        names, at = np.unique(documents, return_inverse=True)
        codes = [self._codes.setdefault(str(name), len(self._codes)) for name in names]
        return np.array(codes, np.uint32)[at]

    def _inside(self, documents: Sequence[str]) -> NDArray[np.bool_]:
        wanted = np.zeros(len(self._codes), bool)
        wanted[[self._codes[name] for name in documents if name in self._codes]] = True
        return wanted[self._documents]


class _Coarse:
    """Vectors in one bit and in eight bits a dimension, as differences from the mean of the first ones."""

    def __init__(self, first: Vectors) -> None:
        self._mean = first.mean(axis=0)
        self._step = np.float32(np.quantile(np.abs(first[::16] - self._mean), 0.9999) / _STEPS)
        width = first.shape[1]
        self._sketches = np.zeros((-(-width // 64), 0), np.uint64)
        self._bytes = np.zeros((0, width), np.int8)

    def coded(self, vectors: Vectors) -> tuple[NDArray[np.uint64], NDArray[np.int8]]:
        """Their sketches, one column a vector, and their bytes, one row a vector."""
        away = vectors - self._mean
        packed = np.packbits(away > 0, axis=1)
        padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
        steps = np.clip(np.rint(away / self._step), -_STEPS, _STEPS).astype(np.int8)
        return np.ascontiguousarray(padded).view(np.uint64).T, steps

    def append(self, coded: Sequence[tuple[NDArray[np.uint64], NDArray[np.int8]]]) -> None:
        """Add what `coded` made."""
        self._sketches = np.concatenate([self._sketches, *(sketches for sketches, _ in coded)], axis=1)
        self._bytes = np.concatenate([self._bytes, *(steps for _, steps in coded)])

    def near(
        self, vector: NDArray[np.float32], count: int, inside: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """The rows of about the `count` nearest, of those `inside` alone unless None."""
        rows = np.flatnonzero(inside) if inside is not None else None
        if rows is None or len(rows) > SKETCHED:
            distances = self._distances(vector)
            if inside is not None:
                distances[~inside] = _FAR
            rows = _lowest(distances, SKETCHED)
        # Off by the same for each row: the question's product with the mean.
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            scores[part] = self._bytes[rows[part]].astype(np.float32) @ vector
        return rows[_highest(scores, count)]

    def _distances(self, vector: NDArray[np.float32]) -> NDArray[np.uint16]:
        """In how many bits each sketch differs from the question's."""
        asked = self.coded(vector[None])[0][:, 0]
        total = self._sketches.shape[1]
        distances = np.zeros(total, np.uint16)
        mixed, bits = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
        for start in range(0, total, _BLOCK):
            part = distances[start : start + _BLOCK]
            size = len(part)
            for column, word in zip(self._sketches, asked, strict=True):
                np.bitwise_xor(column[start : start + size], word, out=mixed[:size])
                np.bitwise_count(mixed[:size], out=bits[:size])
                part += bits[:size]
        return distances


def _lowest(distances: NDArray[np.uint16], count: int) -> NDArray[np.int64]:
    """Where the `count` smallest stand, and those as small as the last of them."""
    reached = np.bincount(distances).cumsum()
    return np.flatnonzero(distances <= int(np.searchsorted(reached, min(count, reached[-1]))))


def _highest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    if len(scores) > count:
        top = np.argpartition(-scores, count)[:count]
    else:
        top = np.arange(len(scores))
    return top[np.argsort(-scores[top], kind="stable")]
