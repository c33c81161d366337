"""A picture that goes on: what is newest now, for whoever looks at it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""uint8 [height, width, 3]."""


class LivePicture(Protocol):
    """A camera, a shared screen, or a film in its place. Read from any one thread."""

    @property
    def count(self) -> int:
        """How many frames have come; the same number again means that nothing new is there."""

    def rgb(self, most_side_px: int) -> Rgb | None:
        """The newest frame, upright, no side longer than `most_side_px`; None where there is none, or none
        any more. Blocks for the scaling."""
