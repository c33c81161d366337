"""A small picture in the corner of a large one: rounded corners, thin light border."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cvi.media.frames import Frame, planes

# Of the large picture's height and width.
HIGHEST, WIDEST = 0.27, 0.20
MARGIN = 0.033
BORDER_LUMA = 210.0


class PictureSource(Protocol):
    """The participant as seen: a film or a camera. `size` is (width, height) in pixels."""

    size: tuple[int, int]

    def at(self, time_s: float, *, patience_s: float = 0.0) -> Frame | None:
        """The I420 frame of that moment, the newest where there is only now; None before the first."""

    def close(self) -> None:
        """Let go of the device or file."""


def room_for(width: int, height: int) -> tuple[int, int]:
    """The most an inset may take of a picture, (width, height) in pixels."""
    return round(width * WIDEST), round(height * HIGHEST)


class Inset:
    """Draws small I420 frames of one size into the lower right corner of large ones."""

    def __init__(self, large: tuple[int, int], small: tuple[int, int]) -> None:
        self._width, self._height = large
        self._small = small
        margin = round(self._height * MARGIN)
        self._x = (self._width - small[0] - margin) // 2 * 2
        self._y = (self._height - small[1] - margin) // 2 * 2
        radius = max(small[1] * 0.09, 2.0)
        border = max(self._height / 480, 1.0)
        outer, inner = _rounded(small, radius, 0.0), _rounded(small, radius, border)
        # out = large * keep + small * show + border
        self._keep = [1 - outer, _halved(1 - outer), _halved(1 - outer)]
        self._show = [inner, _halved(inner), _halved(inner)]
        edge = outer - inner
        self._edge = [edge * BORDER_LUMA, _halved(edge) * 128.0, _halved(edge) * 128.0]

    def draw(self, frame: Frame, small: Frame) -> Frame:
        """A copy of `frame` with `small` in its corner."""
        out = frame.copy()
        for index, (to, what) in enumerate(
            zip(planes(out, self._width, self._height), planes(small, *self._small), strict=True)
        ):
            half = 2 if index else 1
            y, x = self._y // half, self._x // half
            place = to[y : y + what.shape[0], x : x + what.shape[1]]
            place[:] = np.rint(place * self._keep[index] + what * self._show[index] + self._edge[index])
        return out


def _rounded(size: tuple[int, int], radius: float, inside: float) -> npt.NDArray[np.float32]:
    """Coverage (0..1) of a rounded rectangle drawn `inside` pixels within the edges; shape (h, w)."""
    width, height = size
    x = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    outside = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    distance = outside + np.minimum(np.maximum(x[None, :], y[:, None]), 0) - radius
    coverage: npt.NDArray[np.float32] = np.clip(0.5 - distance - inside, 0, 1).astype(np.float32)
    return coverage


def _halved(mask: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = mask.shape
    small: npt.NDArray[np.float32] = mask.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return small
