"""The engine `photo`: draws a replica made of one photo."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.photo.canvas import fetch, make_canvas
from cvi.face.photo.features import PhotoEye, PhotoLips
from cvi.face.photo.fields import NAMES, FieldGrid, amounts, fields, summed
from cvi.face.photo.rig import PHOTO, RIG, load_rig, shape_of
from cvi.face.planes import Box, Bytes, Planes
from cvi.media.frames import Frame

_CELL = 8
_BAND_CELLS = 10
_STEPS = 3
_HEAD = ("yaw", "pitch", "roll")


class PhotoEngine:
    """A `FaceEngine` that bends the photo: the head and what moves with it, then the mouth, then the eyes.

    One thread at a time. A frame depends on its controls alone.
    """

    name = "photo"

    def __init__(self, settings: FaceSettings) -> None:
        cv2.setNumThreads(1)
        if settings.background != "room":
            raise UsageError(
                f"A replica of a photo stands before what the photo shows, not '{settings.background}'.",
                "Leave --background out.",
            )
        rig = load_rig(settings.replica / RIG)
        self.width, self.height = settings.width, settings.height
        self._canvas = make_canvas(_photo(settings), rig.landmarks, self.width, self.height)
        line = np.hstack([rig.lip_line, np.zeros((len(rig.lip_line), 1), np.float32)])
        shape = shape_of(
            self._canvas.place(rig.landmarks), self._canvas.place(line)[:, :2], bool(rig.glasses[0] > 0)
        )
        whole = FieldGrid.over(Box(0, 0, self.width, self.height), _CELL)
        moved = np.abs(fields(shape, whole, self.height)).max((0, 1)) > 0
        self._grid = FieldGrid.over(_around(moved, self.width, self.height), _CELL)
        self._fields = fields(shape, self._grid, self.height)
        self._bands = list(_bands(np.abs(self._fields).max((0, 1)) > 0, self._grid.box))
        self._lips = PhotoLips(rig, shape, self._canvas, self.width, self.height)
        self._eyes = [PhotoEye(rig, shape, side, self._canvas, self.width, self.height) for side in (0, 1)]
        self._still = np.empty((self.height * 3 // 2, self.width), np.uint8)
        unmoved = whole.spread(self._canvas.on_sheet((whole.x, whole.y)))
        fetch(self._canvas.sheet, unmoved, Planes.of(self._still))
        self._head = np.array([name in _HEAD for name in NAMES])
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """As `FaceEngine.render`."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        frame = self._still.copy()
        planes = Planes.of(frame)
        shares = amounts(controls)
        places = self._canvas.on_sheet(self._grid.backwards(*summed(self._fields, shares), _STEPS))
        onto = planes.part(self._grid.box)
        for band in self._bands:
            fetch(self._canvas.sheet, self._grid.spread(places, band), onto.part(band))
        self._lips.draw(planes, controls, shares, shares * self._head)
        for eye in self._eyes:
            eye.draw(planes, controls, shares)
        return frame

    def close(self) -> None:
        """As `FaceEngine.close`."""
        self._closed = True


def _around(moved: npt.NDArray[np.bool_], width: int, height: int) -> Box:
    """The part of the frame that any field moves; `moved`: which cells move."""
    rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
    return Box(
        max((int(columns[0]) - 1) * _CELL, 0),
        max((int(rows[0]) - 1) * _CELL, 0),
        min((int(columns[-1]) + 2) * _CELL, width),
        min((int(rows[-1]) + 2) * _CELL, height),
    )


def _bands(moved: npt.NDArray[np.bool_], box: Box) -> Iterator[Box]:
    """The moved part in bands of rows, relative to the box's corner: tighter around a head than one
    rectangle."""
    for top in range(0, len(moved), _BAND_CELLS):
        columns = np.flatnonzero(moved[top : top + _BAND_CELLS].any(0))
        if len(columns):
            left, right = max(int(columns[0]) - 1, 0), int(columns[-1]) + 2
            bottom = min((top + _BAND_CELLS) * _CELL, box.height)
            yield Box(left * _CELL, top * _CELL, min(right * _CELL, box.width), bottom)


def _photo(settings: FaceSettings) -> Bytes:
    path = settings.replica / PHOTO
    data = np.frombuffer(path.read_bytes() or b"\0", np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} is not a picture that can be read.", "Make or fetch the replica again.")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)
