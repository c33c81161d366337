"""How a photo of any size and shape fills the frame: the picture everything is fetched from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.planes import Bytes, Floats, Planes, to_planes

FINEST = 1.5
"""Pixels of the sheet to one of the frame, where the photo has them: what is fetched between two pixels
is then hardly softer than what is fetched from one."""
_LEAST_HIGH, _MOST_HIGH = 2.2, 3.2
"""Heights of the face (hairline to chin) that the frame shows."""
_LEAST_FILLED = 1.6
"""A photo too narrow for the frame fills it all the same where so many heights remain; else it gets sides."""
_FACE_AT = 0.44
_SIDES_BLUR, _SIDES_LEVEL, _SIDES_FADE = 0.03, 0.62, 0.06
_TOP, _CHIN = 10, 152


@dataclass(frozen=True, slots=True)
class Canvas:
    """`sheet`: what the frame shows, `scale` (x, y) times as large; `affine` (2, 3) photo -> frame pixels."""

    sheet: Planes
    scale: tuple[float, float]
    affine: Floats

    def place(self, points: Floats) -> Floats:
        """Points of the photo (n, 2 or 3), in the frame; depth grows with the rest."""
        flat = points[:, :2] @ self.affine[:, :2].T + self.affine[:, 2]
        deep = points[:, 2:] * self.affine[0, 0]
        return np.asarray(np.hstack([flat, deep]), np.float32)


def make_canvas(photo: Bytes, landmarks: Floats, width: int, height: int) -> Canvas:
    """`photo` uint8 RGB (h, w, 3). Raises UsageError for a frame that cannot be."""
    if width % 2 or height % 2 or min(width, height) < 96 or max(width, height) > 4096:
        raise UsageError(
            f"A face cannot be drawn at {width}x{height}.",
            "Use even sizes from 96 to 4096, such as 1280x720.",
        )
    left, top, wide, high = _window(photo.shape[1], photo.shape[0], landmarks, width / height, height)
    shown = height / high
    aside = (width - wide * shown) / 2
    # From the photo to the frame, pixel centres at whole numbers.
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
    return Canvas(to_planes(sheet), scale, affine.astype(np.float32))


def _window(
    width: int, height: int, landmarks: Floats, aspect: float, frame_height: int
) -> tuple[float, float, float, float]:
    """left, top, width, height of the part of the photo that is shown, its pixels."""
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
    # The photo goes over into its sides without an edge that would frame it.
    place = np.arange(width, dtype=np.float32) + 0.5
    inward = np.minimum(place, width - place) - aside
    t = np.clip(inward / (_SIDES_FADE * height), 0, 1)
    share = (t * t * (3 - 2 * t))[None, :, None]
    sheet[:] = sheet * share + soft * (1 - share) + 0.5
