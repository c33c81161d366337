"""The live renderer of a baked character."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.errors import EngineError
from cvi.face.base import Controls, FaceSettings
from cvi.face.planes import Box, Bytes, Planes, to_planes
from cvi.face.sculpted.atlas import Atlas
from cvi.face.sculpted.background import make_background
from cvi.face.sculpted.eyes import Eye
from cvi.face.sculpted.morph import Map, halved_map, spread
from cvi.face.sculpted.mouth import Mouth
from cvi.face.sculpted.planes import Fit, as_weight
from cvi.face.sculpted.pose import Pose
from cvi.face.sculpted.tiles import Band, Tile, Tiles
from cvi.media.frames import Frame


class SculptedFace:
    """Draws frames from an atlas: mouth and eyes laid on the head, the head turned, laid on the room.

    One thread at a time. `render` depends on its controls alone.
    """

    name = "sculpted"

    def __init__(self, atlas: Atlas, settings: FaceSettings) -> None:
        cv2.setNumThreads(1)
        size = atlas.width, atlas.height
        fit = Fit.cover(size, settings.width, settings.height)
        self.width, self.height = settings.width, settings.height
        # Nothing is gained by mixing more pixels than were baked: the last warp enlarges.
        sheet = Fit.whole(size, min(fit.scale, 1.0))
        baked = atlas.box("head_rect")
        cover = sheet.image(atlas.image("head_alpha"), baked)
        # Premultiplied: what is laid on the room is added to what shines through.
        self._head = to_planes(sheet.image(atlas.image("head"), baked)).times(as_weight(cover))
        self._clear = as_weight(cv2.bitwise_not(cover))
        self._pose = Pose(atlas, fit)
        head = sheet.box(baked)
        self._to_sheet = fit.into(sheet, self._pose.box, head)
        self._mouth = Mouth(atlas, sheet)
        self._eyes = Eye(atlas, sheet, -1), Eye(atlas, sheet, 1)
        self._places = [
            _Place(part.box, head, part.weight, cover)
            for part in (self._mouth, *self._eyes)
        ]
        self._now = self._head.copy()
        self._laid: list[Planes | None] = [None, None, None]
        self._head_left = self._places[0].left_of(self._head.part(self._places[0].box))
        # What lies under the eyes once the mouth is laid; their boxes overlap.
        self._under: list[Planes] = [self._head.part(place.box) for place in self._places[1:]]
        self._room = np.empty((self.height * 3 // 2, self.width), np.uint8)
        _planes(self._room).put(make_background(settings.background, atlas, fit))
        self._tiles = Tiles(fit.image(atlas.image("head_alpha"), baked), self._pose.cell)
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """One frame: uint8 I420, (height * 3 // 2, width), BT.709 limited range."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        self._dress(controls)
        turned = self._pose.maps(controls)
        x, y = (part * step + shift for part, (step, shift) in zip(turned, self._to_sheet, strict=True))
        half = halved_map((x, y))
        frame = self._room.copy()
        onto = _planes(frame).part(self._pose.box)
        for band, tiles in self._tiles.within(self._pose.moved(turned)):
            left, right = tiles[0].columns.start, tiles[-1].columns.stop
            luma = self._window((x, y), band, left, right, self._pose.cell)
            chroma = self._window(half, band, left, right, self._pose.cell // 2)
            for tile in tiles:
                self._lay(tile, band, (left, luma, chroma), onto)
        return frame

    def close(self) -> None:
        self._closed = True

    def _dress(self, controls: Controls) -> None:
        """Lay mouth and eyes on the head where they changed."""
        drawn = [self._mouth.draw(controls), *(eye.draw(controls) for eye in self._eyes)]
        if all(new is old for new, old in zip(drawn, self._laid, strict=True)):
            return
        mouth, *eyes = self._places
        if drawn[0] is not self._laid[0]:
            for eye in eyes:
                self._now.part(eye.box).put(self._head.part(eye.box))
            mouth.lay(drawn[0], self._head_left, self._now)
            self._under = [self._now.part(eye.box).copy() for eye in eyes]
        for eye, patch, under in zip(eyes, drawn[1:], self._under, strict=True):
            eye.lay(patch, eye.left_of(under), self._now)
        self._laid = list(drawn)

    def _window(self, coarse: Map, band: Band, left: int, right: int, cell: int) -> Map:
        """The part of a coarse map that a band needs, drawn out to pixels: luma's columns [left, right).

        `cell`: how many pixels a cell is wide in the planes the map is for.
        """
        size = self._pose.cell // cell
        left, right, height = left // size, right // size, (band.bottom - band.top) // size
        # Between cells it is interpolated: one more on every side belongs to it.
        rows = slice(max(band.first - 1, 0), band.last + 1)
        columns = slice(max(left // cell - 1, 0), -(-right // cell) + 1)
        part_x, part_y = coarse[0][rows, columns], coarse[1][rows, columns]
        x, y = spread((part_x, part_y), (part_x.shape[0] * cell, part_x.shape[1] * cell))
        top, start = (band.first - rows.start) * cell, left - columns.start * cell
        place = slice(top, top + height), slice(start, start + right - left)
        return x[place], y[place]

    def _lay(self, tile: Tile, band: Band, maps: tuple[int, Map, Map], onto: Planes) -> None:
        """Draw what a tile shows of the head onto the room; `maps` begin at a column of luma."""
        left, luma, chroma = maps
        for plane, clear, target, (map_x, map_y), size in (
            (self._now.luma, self._clear.luma, onto.luma, luma, 1),
            (self._now.cb, self._clear.cb, onto.cb, chroma, 2),
            (self._now.cr, self._clear.cr, onto.cr, chroma, 2),
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


class _Place:
    """Where a feathered patch lies within the head's picture."""

    def __init__(self, box: Box, head: Box, weight: Bytes, cover: Bytes) -> None:
        self.box = Box(box.x0 - head.x0, box.y0 - head.y0, box.x1 - head.x0, box.y1 - head.y0)
        under = cover[self.box.y0 : self.box.y1, self.box.x0 : self.box.x1]
        self._shown = as_weight(np.asarray(cv2.multiply(weight, under, scale=1 / 255), np.uint8))
        self._left = as_weight(np.asarray(cv2.bitwise_not(weight), np.uint8))

    def left_of(self, under: Planes) -> Planes:
        """What of a picture of the patch's size is still seen under the patch."""
        return under.times(self._left)

    def lay(self, drawn: Planes, left: Planes, head: Planes) -> None:
        """Write the patch over what is left of the picture under it, to the head."""
        for part, patch, shown, rest in zip(head.part(self.box), drawn, self._shown, left, strict=True):
            cv2.multiply(patch, shown, dst=part, scale=1 / 255)
            cv2.add(part, rest, dst=part)


def _planes(frame: Frame) -> Planes:
    """Views of an I420 frame."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    cb, cr = frame[height:].reshape(2, height // 2, width // 2)
    return Planes(frame[:height], cb, cr)
