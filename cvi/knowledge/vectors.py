"""The nearest vectors to a question's: exact for small sets, by sketches and then exact for large ones.

A sketch is one bit a dimension, the sign of its difference from the mean (random-hyperplane hashing with
the axes as planes; Charikar 2002). A million sketches are 48 MB and are compared whole in about ten
milliseconds of one processor; the nearest few hundred are then compared by their own vectors. Unlike a graph
it is built in no time, can be appended to, and loses nothing when the search is narrowed to some documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvi.embeddings.base import Vectors

EXACT_ROWS = 20_000
"""Up to so many vectors (30 MB) are kept and compared whole: 3 ms."""
CANDIDATES = 600
"""Of more, so many nearest sketches are compared by their vectors."""
_BLOCK = 1 << 15
Fetch = Callable[[Sequence[int]], dict[int, Vectors]]


class VectorIndex:
    """Vectors by id. One thread. `fetch` gives vectors by id, for those that are not kept in memory."""

    def __init__(self, fetch: Fetch, exact_rows: int = EXACT_ROWS) -> None:
        self._fetch = fetch
        self._exact_rows = exact_rows
        self._ids = np.zeros(0, np.int64)
        self._documents: NDArray[Any] = np.zeros(0, "U1")
        self._exact: Vectors | None = None
        self._mean: NDArray[np.float32] | None = None
        self._sketches = np.zeros((0, 0), np.uint64)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def last_id(self) -> int:
        """The highest id, 0 for none."""
        return int(self._ids[-1]) if len(self._ids) else 0

    @property
    def exact(self) -> bool:
        """Whether all vectors are compared."""
        return self._mean is None

    def append(self, parts: Iterator[tuple[NDArray[np.int64], NDArray[Any], Vectors]]) -> None:
        """Add vectors: ids in ascending order, their documents, rows of unit length."""
        ids, documents, sketches = [self._ids], [self._documents], [self._sketches]
        kept = [] if self._exact is None else [self._exact]
        count = len(self._ids)
        for new_ids, new_documents, vectors in parts:
            ids.append(new_ids)
            documents.append(new_documents)
            count += len(new_ids)
            if self._mean is None:
                kept.append(vectors)
                if count > self._exact_rows:
                    whole = np.concatenate(kept)
                    self._mean = whole.mean(axis=0)
                    sketches = [_sketch(whole - self._mean)]
                    kept = []
            else:
                sketches.append(_sketch(vectors - self._mean))
        self._ids, self._documents = np.concatenate(ids), np.concatenate(documents)
        if self._mean is None:
            self._exact = np.concatenate(kept) if kept else None
        else:
            self._exact = None
            self._sketches = np.concatenate([each for each in sketches if each.size], axis=1)

    def nearest(
        self, vector: NDArray[np.float32], count: int, documents: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The ids of the `count` nearest vectors and their cosines, nearest first; of `documents` alone
        unless None."""
        rows: NDArray[np.int64] | None = None
        if documents is not None:
            rows = np.flatnonzero(np.isin(self._documents, list(documents)))
            if not len(rows):
                return []
        if not len(self._ids):
            return []
        if self._exact is not None:
            near = self._exact if rows is None or len(rows) == len(self._ids) else self._exact[rows]
            scores = near @ vector
            found = _highest(scores, count)
            at = found if near is self._exact or rows is None else rows[found]
            return [(int(self._ids[i]), float(s)) for i, s in zip(at, scores[found], strict=True)]
        near_rows = self._near_sketches(vector, max(CANDIDATES, count), rows)
        stored = self._fetch([int(id) for id in self._ids[near_rows]])
        scored = [(id, float(each @ vector)) for id, each in stored.items()]
        return sorted(scored, key=lambda pair: -pair[1])[:count]

    def _near_sketches(
        self, vector: NDArray[np.float32], count: int, rows: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        assert self._mean is not None
        asked = _sketch((vector - self._mean)[None])[:, 0]
        columns = self._sketches if rows is None else self._sketches[:, rows]
        total = columns.shape[1]
        distances = np.empty(total, np.uint16)
        mixed, bits = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
        for start in range(0, total, _BLOCK):
            stop = min(total, start + _BLOCK)
            part, size = distances[start:stop], stop - start
            part[:] = 0
            for column, word in zip(columns, asked, strict=True):
                np.bitwise_xor(column[start:stop], word, out=mixed[:size])
                np.bitwise_count(mixed[:size], out=bits[:size])
                part += bits[:size]
        found = _nearest(distances, count)
        return found if rows is None else rows[found]


def _sketch(differences: Vectors) -> NDArray[np.uint64]:
    """One column a vector, 64 dimensions a row."""
    packed = np.packbits(differences > 0, axis=1)
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(np.ascontiguousarray(padded).view(np.uint64).T)


def _nearest(distances: NDArray[np.uint16], count: int) -> NDArray[np.int64]:
    """About the `count` smallest, without sorting a million: by the share of a sample below a bound."""
    if len(distances) <= 4 * count:
        return np.argsort(distances, kind="stable")[:count]
    sample = np.sort(distances[:: max(1, len(distances) // 50_000)])
    bound = int(sample[min(len(sample) - 1, int(1.2 * count / len(distances) * len(sample)) + 1)])
    found = np.flatnonzero(distances <= bound)
    if len(found) < count:
        return np.argpartition(distances, count)[:count]
    return found[np.argsort(distances[found], kind="stable")[:count]]


def _highest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    if len(scores) > count:
        top = np.argpartition(-scores, count)[:count]
    else:
        top = np.arange(len(scores))
    return top[np.argsort(-scores[top], kind="stable")]
