"""Which parts of the picture the head can be seen in, and which of them it fills.

Where the head covers everything its picture is fetched straight into the frame; only along its outline
is it blended with the room, and beyond that nothing is done. How far a pose moves things decides where
the outline can lie; shoulders move less than a nose, so every band of the picture is asked for its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.planes import Bytes, Floats

BAND_CELLS = 8
STEP_CELLS = 0.5  # poses are told apart by their reach in such steps
FARTHEST_CELLS = 8.0  # as far as one looks in a conversation; beyond, everything is taken for an edge
MARGIN_CELLS = 0.75  # for what the fetching itself reaches, and chroma's larger pixels


@dataclass(frozen=True, slots=True)
class Tile:
    """Columns of a band, pixels of the head's box, even to even; `whole`: nothing but head is in it."""

    columns: slice
    whole: bool


@dataclass(frozen=True, slots=True)
class Band:
    """Rows [top, bottom) of the head's box, pixels, and the cells [first, last) of the coarse maps there."""

    top: int
    bottom: int
    first: int
    last: int


class Tiles:
    """Tiles for every band and reach, made once."""

    def __init__(self, cover: Bytes, cell: int) -> None:
        """`cover` (h, w): of the resting head, 0..255; `cell`: pixels of a cell of the coarse maps, even."""
        height = cover.shape[0]
        empty, holes = (cover == 0).astype(np.uint8), (cover < 255).astype(np.uint8)
        # How far it is from each pixel to what the head leaves free, and to the head.
        inside = cv2.distanceTransform(1 - holes, cv2.DIST_C, 3)
        outside = cv2.distanceTransform(empty, cv2.DIST_C, 3)
        self._step = STEP_CELLS * cell
        reaches = [
            self._step * k + MARGIN_CELLS * cell for k in range(1, math.ceil(FARTHEST_CELLS / STEP_CELLS) + 1)
        ]
        self._bands: list[Band] = []
        self._tiles: list[list[list[Tile]]] = []
        cells = math.ceil(height / cell)
        for first in range(0, cells, BAND_CELLS):
            last = min(first + BAND_CELLS, cells)
            band = Band(first * cell, min(last * cell, height), first, last)
            rows = slice(band.top, band.bottom)
            self._bands.append(band)
            by_reach = [list(_cut(inside[rows], outside[rows], reach, cell)) for reach in reaches]
            self._tiles.append([*by_reach, [Tile(slice(0, cover.shape[1]), False)]])
        self._starts = [band.first for band in self._bands]

    def within(self, moved: Floats) -> Iterator[tuple[Band, list[Tile]]]:
        """What has to be drawn where things move by `moved` (rows, columns) pixels, told for each cell."""
        rows = moved.max(1)
        rows[1:-1] = np.maximum(rows[1:-1], np.maximum(rows[:-2], rows[2:]))
        farthest = np.maximum.reduceat(rows, self._starts)
        for band, tiles, reach in zip(self._bands, self._tiles, farthest.tolist(), strict=True):
            found = tiles[min(int(reach / self._step), len(tiles) - 1)]
            if found:
                yield band, found


def _cut(inside: Floats, outside: Floats, reach: float, least: int) -> Iterator[Tile]:
    """The tiles of one band: what is whole in the middle, if it is `least` wide, and the edges."""
    seen = np.flatnonzero((outside <= reach).any(0))
    if not len(seen):
        return
    left, right = int(seen[0]) // 2 * 2, min((int(seen[-1]) + 2) // 2 * 2, inside.shape[1])
    first, last = _longest(np.asarray((inside > reach).all(0), np.bool_))
    first, last = (first + 1) // 2 * 2, last // 2 * 2
    if last - first < least:
        first = last = right
    for start, stop, whole in ((left, first, False), (first, last, True), (last, right, False)):
        if stop > start:
            yield Tile(slice(start, stop), whole)


def _longest(true: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Start and end of the longest run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
