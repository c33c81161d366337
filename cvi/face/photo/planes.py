"""Planes fetched from a photo, and laid on each other."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from cvi.face.planes import TO_YCC, Box, Floats, Planes

Map = tuple[Floats, Floats]
"""Where each pixel is fetched from, x and y."""


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
