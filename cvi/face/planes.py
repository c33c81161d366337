"""Pictures as a video frame has them: planes of Y, Cb and Cr (BT.709, limited range), and parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

# Rows: Y, Cb, Cr from 8-bit R, G, B (ITU-R BT.709-6, section 3; limited range).
TO_YCC = np.array(
    [
        [0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16.0],
        [-0.2126 / 1.8556 * 224 / 255, -0.7152 / 1.8556 * 224 / 255, 0.9278 / 1.8556 * 224 / 255, 128.0],
        [0.7874 / 1.5748 * 224 / 255, -0.7152 / 1.5748 * 224 / 255, -0.0722 / 1.5748 * 224 / 255, 128.0],
    ],
    np.float32,
)


Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Box:
    """Columns [x0, x1) and rows [y0, y1) of a picture; all even where planes are cut by it."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: Floats, width: int, height: int) -> Box:
        """The even box of a picture of this size that holds `points` (n, 2)."""
        (left, top), (right, bottom) = points.min(0), points.max(0)
        x0, y0 = (max(int(np.floor(v / 2)) * 2, 0) for v in (left, top))
        x1, y1 = (int(np.ceil(v / 2)) * 2 + 2 for v in (right, bottom))
        return cls(min(x0, width - 2), min(y0, height - 2), max(min(x1, width), 2), max(min(y1, height), 2))

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


class Planes(NamedTuple):
    """`luma` (h, w), `cb` and `cr` (h/2, w/2); uint8, h and w even. A picture, or a weight for each plane."""

    luma: Bytes
    cb: Bytes
    cr: Bytes

    @classmethod
    def of(cls, frame: Bytes) -> Planes:
        """Views of an I420 frame."""
        height, width = frame.shape[0] * 2 // 3, frame.shape[1]
        cb, cr = frame[height:].reshape(2, height // 2, width // 2)
        return cls(frame[:height], cb, cr)

    def part(self, box: Box) -> Planes:
        """Views of an even box."""
        half = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        return Planes(self.luma[box.y0 : box.y1, box.x0 : box.x1], self.cb[half], self.cr[half])

    def copy(self) -> Planes:
        return Planes(*(plane.copy() for plane in self))

    def times(self, weight: Planes) -> Planes:
        """Multiplied plane by plane, `weight` 255 being one."""
        return Planes(*(_times(plane, share) for plane, share in zip(self, weight, strict=True)))

    def put(self, over: Planes) -> None:
        """Write `over` here."""
        for plane, new in zip(self, over, strict=True):
            plane[:] = new


def to_planes(rgb: Bytes) -> Planes:
    """uint8 RGB (h, w, 3), sides even -> planes."""
    luma, cb, cr = cv2.split(cv2.transform(rgb, TO_YCC))
    return Planes(np.asarray(luma, np.uint8), halved(cb), halved(cr))


def halved(plane: Bytes) -> Bytes:
    """(h, w) -> (h/2, w/2), each the mean of four."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _times(plane: Bytes, weight: Bytes) -> Bytes:
    return np.asarray(cv2.multiply(plane, weight, scale=1 / 255), np.uint8)
