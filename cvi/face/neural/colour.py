"""RGB and the planes of a video frame: BT.709, limited range (ITU-R BT.709-6, section 3)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.planes import TO_YCC

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_TO_RGB = np.hstack(
    [
        np.linalg.inv(TO_YCC[:, :3].astype(np.float64)),
        -np.linalg.inv(TO_YCC[:, :3].astype(np.float64)) @ TO_YCC[:, 3:].astype(np.float64),
    ]
).astype(np.float32)


class Planes(NamedTuple):
    """`luma` (h, w), `cb` and `cr` (h/2, w/2); uint8, h and w even."""

    luma: Bytes
    cb: Bytes
    cr: Bytes


def to_ycc(rgb: Floats) -> Floats:
    """Float RGB 0..255 (h, w, 3) -> Y, Cb, Cr (h, w, 3), not rounded."""
    return np.asarray(cv2.transform(rgb, TO_YCC), np.float32)


def to_i420(rgb: Bytes) -> Bytes:
    """uint8 RGB (h, w, 3), sides even -> I420 (h * 3 // 2, w)."""
    height, width = rgb.shape[:2]
    ycc = cv2.transform(rgb, TO_YCC)
    frame = np.empty((height * 3 // 2, width), np.uint8)
    planes = split(frame)
    planes.luma[:] = ycc[..., 0]
    half = cv2.resize(ycc[..., 1:], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes.cb[:], planes.cr[:] = half[..., 0], half[..., 1]
    return frame


def to_rgb(frame: Bytes) -> Bytes:
    """I420 (h * 3 // 2, w) -> uint8 RGB (h, w, 3); chroma is interpolated."""
    luma, cb, cr = split(frame)
    size = luma.shape[1], luma.shape[0]
    full = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (cb, cr)]
    ycc = np.dstack([luma, *full]).astype(np.float32)
    return np.asarray(np.clip(cv2.transform(ycc, _TO_RGB) + 0.5, 0, 255), np.uint8)


def split(frame: Bytes) -> Planes:
    """Views of an I420 frame's planes."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    cb, cr = frame[height:].reshape(2, height // 2, width // 2)
    return Planes(frame[:height], cb, cr)
