"""Pictures as planes of Y, Cb and Cr (BT.709, limited range), their conversion from and to RGB, and parts of
them.

Live pictures are bent and blended as planes: full-size luma and half-size chroma are two thirds of the work
of interleaved RGB, and a result can be written straight into an I420 frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TO_YCC = np.array(
    [
        [0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16.0],
        [-0.2126 / 1.8556 * 224 / 255, -0.7152 / 1.8556 * 224 / 255, 0.9278 / 1.8556 * 224 / 255, 128.0],
        [0.7874 / 1.5748 * 224 / 255, -0.7152 / 1.5748 * 224 / 255, -0.0722 / 1.5748 * 224 / 255, 128.0],
    ],
    np.float32,
)
"""Rows Y, Cb, Cr; columns 8-bit R, G, B and an offset (ITU-R BT.709-6, section 3; limited range)."""
_TO_RGB = np.hstack(
    [
        np.linalg.inv(TO_YCC[:, :3].astype(np.float64)),
        -np.linalg.inv(TO_YCC[:, :3].astype(np.float64)) @ TO_YCC[:, 3:].astype(np.float64),
    ]
).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Box:
    """Columns [x0, x1) and rows [y0, y1) of a picture; all even where planes are cut by it."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: Floats, width: int, height: int) -> Box:
        """The even box around `points` (n, 2) within a picture of this size."""
        (left, top), (right, bottom) = points.min(0), points.max(0)
        x0, y0 = (max(int(np.floor(v / 2)) * 2, 0) for v in (left, top))
        x1, y1 = (int(np.ceil(v / 2)) * 2 + 2 for v in (right, bottom))
        return cls(min(x0, width - 2), min(y0, height - 2), max(min(x1, width), 2), max(min(y1, height), 2))

    @property
    def width(self) -> int:
        """Columns of the box."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows of the box."""
        return self.y1 - self.y0


class Planes(NamedTuple):
    """`luma` (h, w), `cb` and `cr` (h/2, w/2); uint8, h and w even. A picture, or a weight for each plane."""

    luma: Bytes
    cb: Bytes
    cr: Bytes

    @classmethod
    def of(cls, frame: Bytes) -> Planes:
        """Views of the planes of an I420 frame (h * 3 // 2, w)."""
        height, width = frame.shape[0] * 2 // 3, frame.shape[1]
        cb, cr = frame[height:].reshape(2, height // 2, width // 2)
        return cls(frame[:height], cb, cr)

    def part(self, box: Box) -> Planes:
        """Views of an even box."""
        half = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        return Planes(self.luma[box.y0 : box.y1, box.x0 : box.x1], self.cb[half], self.cr[half])

    def copy(self) -> Planes:
        """Planes of their own with the same values."""
        return Planes(*(plane.copy() for plane in self))

    def times(self, weight: Planes) -> Planes:
        """Multiplied plane by plane; a weight of 255 is one."""
        return Planes(*(_times(plane, share) for plane, share in zip(self, weight, strict=True)))

    def put(self, values: Planes) -> None:
        """Overwrite these planes with `values` of the same size."""
        for plane, new in zip(self, values, strict=True):
            plane[:] = new


def check_size(width: int, height: int) -> None:
    """Raises UsageError for a frame size that no engine draws."""
    if width % 2 or height % 2 or min(width, height) < 96 or max(width, height) > 4096:
        raise UsageError(
            f"A face cannot be drawn at {width}x{height}.",
            "Use even sizes from 96 to 4096, such as 1280x720.",
        )


def to_planes(rgb: Bytes) -> Planes:
    """uint8 RGB (h, w, 3), sides even -> planes."""
    luma, cb, cr = cv2.split(cv2.transform(rgb, TO_YCC))
    return Planes(np.asarray(luma, np.uint8), halved(cb), halved(cr))


def to_ycc(rgb: Floats) -> Floats:
    """Float RGB 0..255 (h, w, 3) -> Y, Cb, Cr (h, w, 3), not rounded."""
    return np.asarray(cv2.transform(rgb, TO_YCC), np.float32)


def to_i420(rgb: Bytes) -> Bytes:
    """uint8 RGB (h, w, 3), sides even -> I420 (h * 3 // 2, w)."""
    height, width = rgb.shape[:2]
    ycc = cv2.transform(rgb, TO_YCC)
    frame = np.empty((height * 3 // 2, width), np.uint8)
    planes = Planes.of(frame)
    planes.luma[:] = ycc[..., 0]
    half = cv2.resize(ycc[..., 1:], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes.cb[:], planes.cr[:] = half[..., 0], half[..., 1]
    return frame


def to_rgb(frame: Bytes) -> Bytes:
    """I420 (h * 3 // 2, w) -> uint8 RGB (h, w, 3); chroma is interpolated."""
    luma, cb, cr = Planes.of(frame)
    size = luma.shape[1], luma.shape[0]
    full = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (cb, cr)]
    ycc = np.dstack([luma, *full]).astype(np.float32)
    return np.asarray(np.clip(cv2.transform(ycc, _TO_RGB) + 0.5, 0, 255), np.uint8)


def halved(plane: Bytes) -> Bytes:
    """(h, w) -> (h/2, w/2), each value the mean of four."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_weight(weight: Bytes) -> Planes:
    """One weight (h, w), 0..255, for luma and chroma."""
    half = halved(weight)
    return Planes(weight, half, half)


def mixed(first: Planes, second: Planes, share: float) -> Planes:
    """`share` (0..1) of the second picture, the rest of the first."""
    return Planes(
        *(
            np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)
            for one, other in zip(first, second, strict=True)
        )
    )


def feather(box: Box, edge: float) -> Bytes:
    """A weight (h, w) that falls from 255 inside the box to 0 at its border over about `edge` pixels."""

    def ramp(n: int) -> Floats:
        place = np.arange(n, dtype=np.float32) + 0.5
        t = np.clip(np.minimum(place, n - place) / edge, 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    return np.asarray(np.outer(ramp(box.height), ramp(box.width)) * 255 + 0.5, np.uint8)


def _times(plane: Bytes, weight: Bytes) -> Bytes:
    return np.asarray(cv2.multiply(plane, weight, scale=1 / 255), np.uint8)
