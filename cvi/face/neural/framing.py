"""How footage of one size fills a picture of another."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.neural.colour import Bytes, split

_MOST_CUT = 1.34
"""Shapes that differ by no more are filled, and the overhang cut; others get soft sides."""
_SIDES_BLUR = 0.03
_SIDES_LEVEL = 0.62


class Framing:
    """Native I420 -> output I420. The same size passes through untouched."""

    def __init__(self, native: tuple[int, int], width: int, height: int, focus: tuple[float, float]) -> None:
        """`native` width and height; `focus` the face's middle in it, pixels. Raises UsageError for a size
        that cannot be."""
        if width % 2 or height % 2 or min(width, height) < 96 or max(width, height) > 4096:
            raise UsageError(
                f"A face cannot be drawn at {width}x{height}.",
                "Use even sizes from 96 to 4096, such as 1280x720.",
            )
        self.width, self.height = width, height
        self.same = native == (width, height)
        across, down = width / native[0], height / native[1]
        fills = max(across, down) / min(across, down) <= _MOST_CUT
        scale = max(across, down) if fills else min(across, down)
        self._from = _window(native, (width / scale, height / scale), focus)
        cut_width, cut_height = self._from[2:]
        size = _even(min(cut_width * scale, width)), _even(min(cut_height * scale, height))
        self._to = (_even((width - size[0]) / 2), _even((height - size[1]) / 2), *size)
        self._how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        self._sides: Bytes | None = None

    def fit(self, frame: Bytes) -> Bytes:
        """The output's frame; the input itself where nothing is to be done."""
        if self.same:
            return frame
        if self._to[2:] == (self.width, self.height):
            shown = np.empty((self.height * 3 // 2, self.width), np.uint8)
        else:
            if self._sides is None:
                self._sides = self._soft_sides(frame)
            shown = self._sides.copy()
        x, y, width, height = self._from
        left, top, wide, high = self._to
        for index, (there, here) in enumerate(zip(split(shown), split(frame), strict=True)):
            step = 1 if index == 0 else 2
            part = here[y // step : (y + height) // step, x // step : (x + width) // step]
            place = there[top // step : (top + high) // step, left // step : (left + wide) // step]
            fitted = cv2.resize(part, (wide // step, high // step), interpolation=self._how)
            # Cubic interpolation overshoots at sharp edges.
            np.clip(fitted, 16, 235 if step == 1 else 240, out=place)
        return shown

    def _soft_sides(self, frame: Bytes) -> Bytes:
        """The first frame, enlarged, dim and out of focus; it stays for all frames."""
        sides = np.empty((self.height * 3 // 2, self.width), np.uint8)
        for index, (there, here) in enumerate(zip(split(sides), split(frame), strict=True)):
            step = 1 if index == 0 else 2
            grown = max(there.shape[1] / here.shape[1], there.shape[0] / here.shape[0])
            size = max(round(here.shape[1] * grown), there.shape[1]), max(
                round(here.shape[0] * grown), there.shape[0]
            )
            large = cv2.resize(here, size, interpolation=cv2.INTER_LINEAR)
            left, top = (size[0] - there.shape[1]) // 2, (size[1] - there.shape[0]) // 2
            cut = large[top : top + there.shape[0], left : left + there.shape[1]]
            soft = cv2.GaussianBlur(cut, (0, 0), _SIDES_BLUR * self.height / step)
            if index == 0:
                soft = np.clip(16 + (soft.astype(np.float32) - 16) * _SIDES_LEVEL, 16, 235).astype(np.uint8)
            there[:] = soft
        return sides


def _window(
    native: tuple[int, int], wanted: tuple[float, float], focus: tuple[float, float]
) -> tuple[int, int, int, int]:
    """left, top, width, height of the part that is shown: even, inside, around the focus."""
    width, height = (_even(min(want, side)) for want, side in zip(wanted, native, strict=True))
    left = _even(min(max(focus[0] - width / 2, 0), native[0] - width))
    # A face sits above the middle of a good picture.
    top = _even(min(max(focus[1] - 0.45 * height, 0), native[1] - height))
    return left, top, width, height


def _even(value: float) -> int:
    return int(value // 2 * 2)
