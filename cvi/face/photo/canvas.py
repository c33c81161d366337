"""How a photo fills the frame: the sheet that every pixel is fetched from, and fetching from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from cvi.face.planes import TO_YCC, Box, Bytes, Floats, Planes, check_size, to_planes

Map = tuple[Floats, Floats]
"""Where each pixel is fetched from: x and y, of one shape."""
FINEST = 1.5
"""Sheet pixels for one frame pixel, where the photo has them: interpolation between them then hardly
softens."""
_LEAST_HIGH, _MOST_HIGH = 2.2, 3.2
"""Height of the frame in heights of the face (hairline to chin)."""
_LEAST_FILLED = 1.6
"""A photo too narrow for the frame is cropped to fill it while so many face heights remain; else it gets
sides."""
_FACE_AT = 0.44
_SIDES_BLUR, _SIDES_LEVEL, _SIDES_FADE = 0.03, 0.62, 0.06
_TOP, _CHIN = 10, 152


@dataclass(frozen=True, slots=True)
class PhotoCanvas:
    """`sheet`: the picture that the frame shows at rest, `scale` (x, y) times as large as the frame; `affine`
    (2, 3): photo pixels -> frame pixels."""

    sheet: Planes
    scale: tuple[float, float]
    affine: Floats

    def place(self, points: Floats) -> Floats:
        """Points of the photo (n, 2 or 3) in frame pixels; depth is scaled alike."""
        flat = points[:, :2] @ self.affine[:, :2].T + self.affine[:, 2]
        deep = points[:, 2:] * self.affine[0, 0]
        return np.asarray(np.hstack([flat, deep]), np.float32)

    def on_sheet(self, places: Map) -> Map:
        """Frame pixels -> sheet pixels."""
        x, y = (
            (part + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
            for part, scale in zip(places, self.scale, strict=True)
        )
        return x, y


def make_canvas(photo: Bytes, landmarks: Floats, width: int, height: int) -> PhotoCanvas:
    """The canvas of `photo`, uint8 RGB (h, w, 3), for a frame of this size.

    `landmarks` (478, 2 or 3): of the face, photo pixels. Raises UsageError for a size that cannot be drawn.
    """
    check_size(width, height)
    left, top, wide, high = _window(photo.shape[1], photo.shape[0], landmarks, width / height, height)
    shown = height / high
    aside = (width - wide * shown) / 2
    # Photo pixels -> frame pixels; pixel centres are whole numbers.
    affine = np.array(
        [
            [shown, 0, aside - shown * left + (shown - 1) / 2],
            [0, shown, -shown * top + (shown - 1) / 2],
        ]
    )
    fine = min(max(1 / shown, 1.0), FINEST)
    size = 2 * round(width * fine / 2), 2 * round(height * fine / 2)
    scale = size[0] / width, size[1] / height
    grow = np.array(scale)
    onto = affine * grow[:, None]
    onto[:, 2] += (grow - 1) / 2
    soft = photo
    step = 1 / (shown * fine)
    if step > 1:
        soft = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.42 * math.sqrt(step**2 - 1) + 0.05), np.uint8)
    how = cv2.INTER_LINEAR if step > 1 else cv2.INTER_CUBIC
    sheet = np.asarray(cv2.warpAffine(soft, onto, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    if aside > 1:
        _soft_sides(sheet, round(aside * scale[0]))
    return PhotoCanvas(to_planes(sheet), scale, affine.astype(np.float32))


def _window(
    width: int, height: int, landmarks: Floats, aspect: float, frame_height: int
) -> tuple[float, float, float, float]:
    """left, top, width, height of the part of the photo that is shown, photo pixels."""
    crown, chin = landmarks[_TOP, :2], landmarks[_CHIN, :2]
    face = float(np.linalg.norm(chin - crown))
    middle = (crown + chin) / 2
    high = min(float(np.clip(frame_height, _LEAST_HIGH * face, _MOST_HIGH * face)), float(height))
    wide = high * aspect
    if wide > width:
        filled = width / aspect
        high = filled if filled >= _LEAST_FILLED * face else high
        wide = float(width)
    left = float(np.clip(middle[0] - wide / 2, 0, width - wide))
    top = float(np.clip(middle[1] - _FACE_AT * high, 0, height - high))
    return left, top, wide, high


def _soft_sides(sheet: Bytes, aside: int) -> None:
    """Fill both sides with the picture itself, enlarged, dim and out of focus; in place."""
    height, width = sheet.shape[:2]
    inner = sheet[:, aside : width - aside]
    grown = width / inner.shape[1]
    large = cv2.resize(inner, (width, round(height * grown)), interpolation=cv2.INTER_LINEAR)
    above = (large.shape[0] - height) // 2
    soft = cv2.GaussianBlur(large[above : above + height], (0, 0), _SIDES_BLUR * height)
    soft = (soft.astype(np.float32) * _SIDES_LEVEL).astype(np.uint8)
    # Fade the photo into its sides, so that no edge frames it.
    place = np.arange(width, dtype=np.float32) + 0.5
    inward = np.minimum(place, width - place) - aside
    t = np.clip(inward / (_SIDES_FADE * height), 0, 1)
    share = (t * t * (3 - 2 * t))[None, :, None]
    sheet[:] = sheet * share + soft * (1 - share) + 0.5


class SheetPlaces(NamedTuple):
    """Where every pixel of a picture is fetched from: `full` for luma, in luma pixels of the sheet; `half`
    for chroma, in chroma pixels."""

    full: Map
    half: Map

    def part(self, box: Box) -> SheetPlaces:
        """The places of a box within the picture."""
        rows, columns = slice(box.y0, box.y1), slice(box.x0, box.x1)
        rows2, columns2 = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        (x, y), (x2, y2) = self
        return SheetPlaces((x[rows, columns], y[rows, columns]), (x2[rows2, columns2], y2[rows2, columns2]))


def ycc_of(rgb: Floats) -> Floats:
    """Float RGB 0..255 (..., 3) of any leading shape -> Y, Cb, Cr, not rounded."""
    return np.asarray(rgb @ TO_YCC[:, :3].T + TO_YCC[:, 3], np.float32)


def fetch(sheet: Planes, places: SheetPlaces, onto: Planes) -> None:
    """Write the sheet's values at `places` to `onto`."""
    for plane, target, (x, y) in (
        (sheet.luma, onto.luma, places.full),
        (sheet.cb, onto.cb, places.half),
        (sheet.cr, onto.cr, places.half),
    ):
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)


def fetched(sheet: Planes, places: SheetPlaces) -> Planes:
    """The sheet's values at `places` as a new picture."""
    luma, half = places.full[0].shape, places.half[0].shape
    new = Planes(np.empty(luma, np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8))
    fetch(sheet, places, new)
    return new


def mix(onto: Planes, over: Planes, share: Floats) -> None:
    """Blend `share` (h, w), 0..1, of `over` into `onto`, in place."""
    half = np.asarray(cv2.resize(share, (onto.cb.shape[1], onto.cb.shape[0]), interpolation=cv2.INTER_AREA))
    for plane, new, weight in zip(onto, over, (share, half, half), strict=True):
        base = plane.astype(np.float32)
        plane[:] = base + (new.astype(np.float32) - base) * weight + np.float32(0.5)


def blend(onto: Planes, ycc: Floats, share: Floats) -> None:
    """As `mix`, of float `ycc` (h, w, 3)."""
    half = onto.cb.shape[1], onto.cb.shape[0]
    weight = np.asarray(cv2.resize(share, half, interpolation=cv2.INTER_AREA))
    # Chroma is averaged weighted by `share`, so that nothing bleeds in from outside.
    colour = np.asarray(cv2.resize(ycc[..., 1:] * share[..., None], half, interpolation=cv2.INTER_AREA))
    luma = onto.luma.astype(np.float32)
    onto.luma[:] = np.clip(luma + (ycc[..., 0] - luma) * share + np.float32(0.5), 16, 235)
    for plane, seen in zip((onto.cb, onto.cr), (colour[..., 0], colour[..., 1]), strict=True):
        plane[:] = np.clip(plane * (1 - weight) + seen + np.float32(0.5), 16, 240)
