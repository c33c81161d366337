"""The engine `sculpted`: draws a baked character.

Where the head covers everything its picture is fetched straight into the frame; only along its outline is it
blended with the background, and outside nothing is done. How far a pose moves pixels decides where the
outline can be; since shoulders move less than a nose, each band of rows is decided by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.planes import Box, Bytes, Floats, Planes, as_weight, to_planes
from cvi.face.sculpted.atlas import Atlas, FrameFit
from cvi.face.sculpted.eyes import BakedEye
from cvi.face.sculpted.mouth import BakedMouth
from cvi.face.sculpted.patch_warp import Map, halved_map, spread
from cvi.face.sculpted.pose import HeadWarp
from cvi.media.frames import Frame
from cvi.paths import user_path

BAND_CELLS = 8
STEP_CELLS = 0.5  # resolution of the reaches that tiles are made for
FARTHEST_CELLS = 8.0  # enough for a conversation; beyond, everything counts as outline
MARGIN_CELLS = 0.75  # for the interpolation's own reach, and chroma's larger pixels


@dataclass(frozen=True, slots=True)
class HeadTile:
    """Columns of a band, pixels of the head's box, even to even; `whole`: the head covers all of it."""

    columns: slice
    whole: bool


@dataclass(frozen=True, slots=True)
class Band:
    """Rows [top, bottom) of the head's box, pixels, and cells [first, last) of the coarse maps there."""

    top: int
    bottom: int
    first: int
    last: int


class HeadTiles:
    """The tiles of every band for every reach."""

    def __init__(self, cover: Bytes, cell: int) -> None:
        """`cover` (h, w): opacity of the resting head, 0..255; `cell`: pixels of a cell of the coarse maps,
        even."""
        height = cover.shape[0]
        empty, holes = (cover == 0).astype(np.uint8), (cover < 255).astype(np.uint8)
        # Distance of each pixel from what the head leaves free, and from the head.
        inside = cv2.distanceTransform(1 - holes, cv2.DIST_C, 3)
        outside = cv2.distanceTransform(empty, cv2.DIST_C, 3)
        self._step = STEP_CELLS * cell
        reaches = [
            self._step * k + MARGIN_CELLS * cell for k in range(1, math.ceil(FARTHEST_CELLS / STEP_CELLS) + 1)
        ]
        self._bands: list[Band] = []
        self._tiles: list[list[list[HeadTile]]] = []
        cells = math.ceil(height / cell)
        for first in range(0, cells, BAND_CELLS):
            last = min(first + BAND_CELLS, cells)
            band = Band(first * cell, min(last * cell, height), first, last)
            rows = slice(band.top, band.bottom)
            self._bands.append(band)
            by_reach = [list(_cut(inside[rows], outside[rows], reach, cell)) for reach in reaches]
            self._tiles.append([*by_reach, [HeadTile(slice(0, cover.shape[1]), False)]])
        self._starts = [band.first for band in self._bands]

    def within(self, moved: Floats) -> Iterator[tuple[Band, list[HeadTile]]]:
        """Bands and tiles to draw; `moved` (rows, columns): how far each cell is moved, pixels."""
        rows = moved.max(1)
        rows[1:-1] = np.maximum(rows[1:-1], np.maximum(rows[:-2], rows[2:]))
        farthest = np.maximum.reduceat(rows, self._starts)
        for band, tiles, reach in zip(self._bands, self._tiles, farthest.tolist(), strict=True):
            found = tiles[min(int(reach / self._step), len(tiles) - 1)]
            if found:
                yield band, found


def _cut(inside: Floats, outside: Floats, reach: float, least: int) -> Iterator[HeadTile]:
    """The tiles of one band: the whole part in the middle, if it is `least` pixels wide, and the outline
    beside it."""
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
            yield HeadTile(slice(start, stop), whole)


def _longest(true: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Start and end of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


class SculptedEngine:
    """A `FaceEngine`: mouth and eyes are laid on the head, the head is turned and laid on the background.

    One thread at a time. A frame depends on its controls alone.
    """

    name = "sculpted"

    def __init__(self, atlas: Atlas, settings: FaceSettings) -> None:
        cv2.setNumThreads(1)
        size = atlas.width, atlas.height
        fit = FrameFit.cover(size, settings.width, settings.height)
        self.width, self.height = settings.width, settings.height
        # Mixing more pixels than were baked gains nothing: the last warp enlarges.
        sheet = FrameFit.whole(size, min(fit.scale, 1.0))
        baked = atlas.box("head_rect")
        cover = sheet.image(atlas.image("head_alpha"), baked)
        # Premultiplied: the head is added to what remains of the background.
        self._head = to_planes(sheet.image(atlas.image("head"), baked)).times(as_weight(cover))
        self._clear = as_weight(cv2.bitwise_not(cover))
        self._pose = HeadWarp(atlas, fit)
        head = sheet.box(baked)
        self._to_sheet = fit.into(sheet, self._pose.box, head)
        self._mouth = BakedMouth(atlas, sheet)
        self._eyes = BakedEye(atlas, sheet, -1), BakedEye(atlas, sheet, 1)
        self._slots = [_PatchSlot(part.box, head, part.weight, cover) for part in (self._mouth, *self._eyes)]
        self._current = self._head.copy()
        self._last_patches: list[Planes | None] = [None, None, None]
        self._head_left = self._slots[0].left_of(self._head.part(self._slots[0].box))
        # What lies under the eyes after the mouth was laid: the boxes overlap.
        self._under: list[Planes] = [self._head.part(slot.box) for slot in self._slots[1:]]
        self._room = np.empty((self.height * 3 // 2, self.width), np.uint8)
        Planes.of(self._room).put(make_background(settings.background, atlas, fit))
        self._tiles = HeadTiles(fit.image(atlas.image("head_alpha"), baked), self._pose.cell)
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """As `FaceEngine.render`."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        self._lay_patches(controls)
        turned = self._pose.maps(controls)
        x, y = (part * step + shift for part, (step, shift) in zip(turned, self._to_sheet, strict=True))
        half = halved_map((x, y))
        frame = self._room.copy()
        onto = Planes.of(frame).part(self._pose.box)
        for band, tiles in self._tiles.within(self._pose.moved(turned)):
            left, right = tiles[0].columns.start, tiles[-1].columns.stop
            luma = self._window((x, y), band, left, right, self._pose.cell)
            chroma = self._window(half, band, left, right, self._pose.cell // 2)
            for tile in tiles:
                self._lay(tile, band, (left, luma, chroma), onto)
        return frame

    def close(self) -> None:
        """As `FaceEngine.close`."""
        self._closed = True

    def _lay_patches(self, controls: Controls) -> None:
        """Lay mouth and eyes on the head where they changed."""
        drawn = [self._mouth.draw(controls), *(eye.draw(controls) for eye in self._eyes)]
        if all(new is old for new, old in zip(drawn, self._last_patches, strict=True)):
            return
        mouth, *eyes = self._slots
        if drawn[0] is not self._last_patches[0]:
            for eye in eyes:
                self._current.part(eye.box).put(self._head.part(eye.box))
            mouth.lay(drawn[0], self._head_left, self._current)
            self._under = [self._current.part(eye.box).copy() for eye in eyes]
        for eye, patch, under in zip(eyes, drawn[1:], self._under, strict=True):
            eye.lay(patch, eye.left_of(under), self._current)
        self._last_patches = list(drawn)

    def _window(self, coarse: Map, band: Band, left: int, right: int, cell: int) -> Map:
        """The part of a coarse map that a band needs, interpolated to pixels: luma's columns [left, right).

        `cell`: width of a cell in pixels of the planes that the map is for.
        """
        size = self._pose.cell // cell
        left, right, height = left // size, right // size, (band.bottom - band.top) // size
        # One more cell on every side, for the interpolation.
        rows = slice(max(band.first - 1, 0), band.last + 1)
        columns = slice(max(left // cell - 1, 0), -(-right // cell) + 1)
        part_x, part_y = coarse[0][rows, columns], coarse[1][rows, columns]
        x, y = spread((part_x, part_y), (part_x.shape[0] * cell, part_x.shape[1] * cell))
        top, start = (band.first - rows.start) * cell, left - columns.start * cell
        place = slice(top, top + height), slice(start, start + right - left)
        return x[place], y[place]

    def _lay(self, tile: HeadTile, band: Band, maps: tuple[int, Map, Map], onto: Planes) -> None:
        """Draw the head into one tile of the frame; `maps`: the luma column at which they begin, and both
        maps."""
        left, luma, chroma = maps
        for plane, clear, target, (map_x, map_y), size in (
            (self._current.luma, self._clear.luma, onto.luma, luma, 1),
            (self._current.cb, self._clear.cb, onto.cb, chroma, 2),
            (self._current.cr, self._clear.cr, onto.cr, chroma, 2),
        ):
            first, last = tile.columns.start // size, tile.columns.stop // size
            seen = target[band.top // size : band.bottom // size, first:last]
            columns = slice(first - left // size, last - left // size)
            x, y = map_x[:, columns], map_y[:, columns]
            if tile.whole:
                cv2.remap(plane, x, y, cv2.INTER_LINEAR, dst=seen, borderMode=cv2.BORDER_REPLICATE)
                continue
            free = cv2.remap(clear, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            bent = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            cv2.multiply(seen, free, dst=seen, scale=1 / 255)
            cv2.add(seen, bent, dst=seen)


class _PatchSlot:
    """Lays a feathered patch on the head's picture."""

    def __init__(self, box: Box, head: Box, weight: Bytes, cover: Bytes) -> None:
        self.box = Box(box.x0 - head.x0, box.y0 - head.y0, box.x1 - head.x0, box.y1 - head.y0)
        under = cover[self.box.y0 : self.box.y1, self.box.x0 : self.box.x1]
        self._shown = as_weight(np.asarray(cv2.multiply(weight, under, scale=1 / 255), np.uint8))
        self._left = as_weight(np.asarray(cv2.bitwise_not(weight), np.uint8))

    def left_of(self, under: Planes) -> Planes:
        """The part of `under`, the picture below the patch, that remains visible."""
        return under.times(self._left)

    def lay(self, drawn: Planes, left: Planes, head: Planes) -> None:
        """Write the patch over `left`, the visible rest of the picture below it, into `head`."""
        for part, patch, shown, rest in zip(head.part(self.box), drawn, self._shown, left, strict=True):
            cv2.multiply(patch, shown, dst=part, scale=1 / 255)
            cv2.add(part, rest, dst=part)


GRAIN = 0.9  # standard deviation of still noise in luma, which keeps soft gradients from banding
GREEN = (0, 177, 64)  # the green of cloth and paint for keying
BLUR = 0.022  # sigma of the room out of focus, picture heights
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")


def make_background(background: str, atlas: Atlas, fit: FrameFit) -> Planes:
    """The picture behind the person in frame size; `background` as in `FaceSettings`.

    Raises UsageError for anything else than a known name, a colour or a picture that can be read.
    """
    shape = (fit.height, fit.width, 3)
    if background in ("room", "blur"):
        room = fit.image(atlas.image("room"), Box(0, 0, atlas.width, atlas.height))
        if background == "blur":
            room = np.asarray(cv2.GaussianBlur(room, (0, 0), BLUR * fit.height), np.uint8)
        return grained(to_planes(room))
    if background == "greenscreen":
        # Chroma keying needs one exact colour: no grain.
        return to_planes(np.full(shape, GREEN, np.uint8))
    if match := _COLOUR.fullmatch(background):
        colour = bytes.fromhex(match[1])
        return to_planes(np.full(shape, tuple(colour), np.uint8))
    return grained(to_planes(_picture(user_path(background), fit.width, fit.height)))


def grained(planes: Planes) -> Planes:
    """The planes with still noise in luma, the same for every picture of one size."""
    grain = np.random.default_rng(7).normal(0, GRAIN, planes.luma.shape)
    return Planes(np.clip(planes.luma + grain + 0.5, 16, 235).astype(np.uint8), planes.cb, planes.cr)


def _picture(path: Path, width: int, height: int) -> Bytes:
    """A picture that fills the frame, its overhang cut off evenly, RGB."""
    if not path.is_file():
        raise UsageError(
            f"There is no background '{path}'.",
            "Give room, blur, greenscreen, a colour such as #20304a, or the path of a picture.",
        )
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} is not a picture that can be read.", "Give a png, jpeg or webp file.")
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=how)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width, ::-1], np.uint8)
