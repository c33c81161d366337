"""Pictures as a video frame has them: planes of Y, Cb and Cr (BT.709, limited range), and parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.bt709 import TO_YCC

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Map = tuple[Floats, Floats]
"""Where each pixel is fetched from, x and y."""


@dataclass(frozen=True, slots=True)
class Box:
    """Columns [x0, x1) and rows [y0, y1) of a frame, all even."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: Floats, width: int, height: int) -> Box:
        """The even box of the frame that holds `points` (n, 2)."""
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


class Places(NamedTuple):
    """Where every pixel of a picture is fetched from: of its luma, in the sheet's luma pixels, and of its
    chroma, in the sheet's chroma pixels."""

    full: Map
    half: Map

    def part(self, box: Box) -> Places:
        """Those of a box within the picture."""
        rows, columns = slice(box.y0, box.y1), slice(box.x0, box.x1)
        rows2, columns2 = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        (x, y), (x2, y2) = self
        return Places((x[rows, columns], y[rows, columns]), (x2[rows2, columns2], y2[rows2, columns2]))


class Planes(NamedTuple):
    """`luma` (h, w), `cb` and `cr` (h/2, w/2); uint8, h and w even."""

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
        """Views of a box."""
        half = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        return Planes(self.luma[box.y0 : box.y1, box.x0 : box.x1], self.cb[half], self.cr[half])


def to_planes(rgb: Bytes) -> Planes:
    """uint8 RGB (h, w, 3), sides even -> planes."""
    luma, cb, cr = cv2.split(cv2.transform(rgb, TO_YCC))
    return Planes(np.asarray(luma, np.uint8), _halved(cb), _halved(cr))


def to_ycc(rgb: Floats) -> Floats:
    """Float RGB 0..255 (..., 3) -> Y, Cb, Cr, not rounded."""
    return np.asarray(rgb @ TO_YCC[:, :3].T + TO_YCC[:, 3], np.float32)


def fetch(sheet: Planes, places: Places, onto: Planes) -> None:
    """Write what lies at `places` of the sheet to `onto`."""
    for plane, target, (x, y) in (
        (sheet.luma, onto.luma, places.full),
        (sheet.cb, onto.cb, places.half),
        (sheet.cr, onto.cr, places.half),
    ):
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)


def fetched(sheet: Planes, places: Places) -> Planes:
    """The same as a new picture."""
    luma, half = places.full[0].shape, places.half[0].shape
    new = Planes(np.empty(luma, np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8))
    fetch(sheet, places, new)
    return new


def mix(onto: Planes, over: Planes, share: Floats) -> None:
    """Lay `over` on `onto` where `share` (h, w), 0..1, says so."""
    half = np.asarray(cv2.resize(share, (onto.cb.shape[1], onto.cb.shape[0]), interpolation=cv2.INTER_AREA))
    for plane, new, weight in zip(onto, over, (share, half, half), strict=True):
        base = plane.astype(np.float32)
        plane[:] = base + (new.astype(np.float32) - base) * weight + np.float32(0.5)


def lay(onto: Planes, ycc: Floats, share: Floats) -> None:
    """The same with floats: `ycc` (h, w, 3)."""
    half = onto.cb.shape[1], onto.cb.shape[0]
    weight = np.asarray(cv2.resize(share, half, interpolation=cv2.INTER_AREA))
    # Colours are averaged with the weight they are seen with, so that nothing bleeds in from outside.
    colour = np.asarray(cv2.resize(ycc[..., 1:] * share[..., None], half, interpolation=cv2.INTER_AREA))
    luma = onto.luma.astype(np.float32)
    onto.luma[:] = np.clip(luma + (ycc[..., 0] - luma) * share + np.float32(0.5), 16, 235)
    for plane, seen in zip((onto.cb, onto.cr), (colour[..., 0], colour[..., 1]), strict=True):
        plane[:] = np.clip(plane * (1 - weight) + seen + np.float32(0.5), 16, 240)


def _halved(plane: npt.NDArray[np.uint8]) -> Bytes:
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
