"""The live renderer of a baked character."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from cvi.errors import EngineError
from cvi.face.base import Controls, FaceSettings, Frame
from cvi.face.sculpted.atlas import Atlas, Box
from cvi.face.sculpted.background import make_background
from cvi.face.sculpted.eyes import Eye
from cvi.face.sculpted.mouth import Mouth
from cvi.face.sculpted.planes import Bytes, Fit, to_sheet
from cvi.face.sculpted.pose import Pose

BAND_PX = 48  # of 720: the head is laid on the room in bands, each as wide as what it shows
REACH_PX = 44  # of 720: no pose moves anything further


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
        self._head = _scaled(to_sheet(sheet.image(atlas.image("head"), baked)), cover)
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
        self._laid: list[Bytes | None] = [None, None, None]
        self._head_left = self._places[0].left_of(self._head[self._places[0].where])
        # What lies under the eyes once the mouth is laid; their boxes overlap.
        self._under: list[Bytes] = [self._head, self._head]
        self._room = np.empty((self.height * 3 // 2, self.width), np.uint8)
        luma, cb, cr = make_background(settings.background, atlas, fit)
        for plane, part in zip(_planes(self._room), (luma, cb, cr), strict=True):
            plane[:] = part
        self._bands = list(_bands(fit.image(atlas.image("head_alpha"), baked), fit.scale * atlas.fineness))
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """One frame: uint8 I420, (height * 3 // 2, width), BT.709 limited range."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        self._dress(controls)
        head = self._pose.box
        size = head.x1 - head.x0, head.y1 - head.y0
        map_x, map_y = (
            cv2.resize(part * step + shift, size, interpolation=cv2.INTER_LINEAR)
            for part, (step, shift) in zip(self._pose.maps(controls), self._to_sheet, strict=True)
        )
        frame = self._room.copy()
        planes = _planes(frame)
        for rows, columns in self._bands:
            bent = cv2.remap(
                self._now,
                map_x[rows, columns],
                map_y[rows, columns],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
            )
            self._lay(bent, planes, rows.start + head.y0, columns.start + head.x0)
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
                self._now[eye.where] = self._head[eye.where]
            mouth.lay(drawn[0], self._head_left, self._now)
            self._under = [self._now[eye.where].copy() for eye in eyes]
        for eye, patch, under in zip(eyes, drawn[1:], self._under, strict=True):
            eye.lay(patch, eye.left_of(under), self._now)
        self._laid = list(drawn)

    def _lay(self, bent: Bytes, planes: tuple[Bytes, Bytes, Bytes], top: int, left: int) -> None:
        """Add a premultiplied sheet to the room that shines through it, at (left, top) of the frame."""
        height, width = bent.shape[:2]
        small = cv2.resize(bent, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        full = slice(top, top + height), slice(left, left + width)
        half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        clear = cv2.bitwise_not(cv2.extractChannel(bent, 3))
        _add(cv2.extractChannel(bent, 0), planes[0][full], clear)
        clear = cv2.bitwise_not(cv2.extractChannel(small, 3))
        for channel in (1, 2):
            _add(cv2.extractChannel(small, channel), planes[channel][half], clear)


class _Place:
    """Where a feathered patch lies within the head's sheet."""

    def __init__(self, box: Box, head: Box, weight: Bytes, cover: Bytes) -> None:
        self.where = slice(box.y0 - head.y0, box.y1 - head.y0), slice(box.x0 - head.x0, box.x1 - head.x0)
        shown = np.asarray(cv2.multiply(weight, cover[self.where], scale=1 / 255), np.uint8)
        self._shown = np.dstack([shown] * 4)
        self._left = np.dstack([cv2.bitwise_not(weight)] * 4)

    def left_of(self, under: Bytes) -> Bytes:
        """What of a sheet of the patch's size is still seen under the patch."""
        return np.asarray(cv2.multiply(under, self._left, scale=1 / 255), np.uint8)

    def lay(self, drawn: Bytes, left: Bytes, head: Bytes) -> None:
        """Write the patch over what is left of the sheet under it, to the head."""
        part = head[self.where]
        cv2.multiply(drawn, self._shown, dst=part, scale=1 / 255)
        cv2.add(part, left, dst=part)


def _scaled(sheet: Bytes, cover: Bytes) -> Bytes:
    """A sheet multiplied by a cover (h, w) / 255, in all channels."""
    return np.asarray(cv2.multiply(sheet, np.dstack([cover] * 4), scale=1 / 255), np.uint8)


def _add(over: Bytes, onto: Bytes, clear: Bytes) -> None:
    cv2.multiply(onto, clear, dst=onto, scale=1 / 255)
    cv2.add(onto, over, dst=onto)


def _planes(frame: Frame) -> tuple[Bytes, Bytes, Bytes]:
    """Views of an I420 frame's luma and chroma."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    cb, cr = frame[height:].reshape(2, height // 2, width // 2)
    return frame[:height], cb, cr


def _bands(cover: Bytes, scale: float) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the head's box in the frame, even to even, that can ever show something of it."""
    reach, step = round(REACH_PX * scale), max(round(BAND_PX * scale / 2) * 2, 2)
    seen = cover > 0
    for top in range(0, cover.shape[0], step):
        bottom = min(top + step, cover.shape[0])
        columns = np.flatnonzero(seen[max(top - reach, 0) : bottom + reach].any(0))
        if len(columns):
            left, right = int(columns[0]) - reach, int(columns[-1]) + 1 + reach
            yield slice(top, bottom), slice(max(left, 0) // 2 * 2, min(right + 1, cover.shape[1]) // 2 * 2)
