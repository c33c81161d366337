"""What is wrong with a camera's picture: nothing comes, black, covered, frozen, too dark.

A thumbnail is looked at, 0.1 ms a frame.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from cvi.perception.face_detection import Rgb

PictureState = Literal["good", "none", "black", "covered", "frozen", "dark", "sideways"]

BLACK_LUMA, BLACK_CONTRAST = 18.0, 4.0
COVERED_CONTRAST = 6.0
DARK_LUMA = 40.0
"""Mean luma, 0..255, under which a face can hardly be read: with the stock faces at a quarter of their light
the landmarks still hold, at an eighth they jitter by several degrees."""
FROZEN_S = 2.0
"""No camera gives the same pixels twice: two seconds of them are a stalled one, and not a still person."""
NONE_S = 1.5
_THUMBNAIL = (64, 48)


class PictureWatch:
    """Fed with every frame that was looked at. Used by one thread."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changed_s = 0.0
        self._came_s: float | None = None
        self.luma = 0.0
        """Mean brightness of the last frame, 0..255."""
        self.colour = ""
        """The last frame's dominant hue in a word, "" for grey."""

    def look(self, rgb: Rgb | None, t_s: float) -> PictureState:
        """The state with the frame of `t_s`, seconds; None where no new one came."""
        if rgb is None:
            waited_s = t_s - (self._came_s if self._came_s is not None else 0.0)
            return "none" if self._came_s is None or waited_s > NONE_S else "good"
        import cv2

        small = np.asarray(cv2.resize(rgb, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.int16)
        self._came_s = t_s if self._came_s is None or t_s > self._came_s else self._came_s
        if self._last is None or bool(np.any(small != self._last)):
            self._last, self._changed_s = small, t_s
        grey = small @ np.array([0.299, 0.587, 0.114])
        self.luma = float(grey.mean())
        contrast = float(grey.std())
        if self.luma < BLACK_LUMA and contrast < BLACK_CONTRAST:
            return "black"
        if t_s - self._changed_s > FROZEN_S:
            return "frozen"
        if contrast < COVERED_CONTRAST:
            return "covered"
        return "dark" if self.luma < DARK_LUMA else "good"
