"""A person's own blink, laid over the eyes of any frame when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls
from cvi.face.neural.colour import Bytes, Floats
from cvi.face.neural.compose import lay

_LEAST = 0.1
"""A closure below this is not drawn: lids are never still, and no patch is as sharp as the footage."""


@dataclass(frozen=True, slots=True)
class Lids:
    """`levels` (m,) how far shut the eyes are, 0..1, rising; `patches` uint8 (m, side, side, 3) RGB of both
    eyes so; `mask` and `ring` float32 (side, side) as in `hidden.Region`; `place` (2, 3) from pixels of the
    lower face's crop to those of the patches. m is 0 where the footage showed no blink."""

    levels: Floats
    patches: npt.NDArray[np.uint8]
    mask: Floats
    ring: Floats
    place: Floats

    def draw(self, frame: Bytes, controls: Controls, matrix: Floats) -> None:
        """Shut the eyes of an I420 frame, in place, as far as is asked; `matrix` (2, 3) of the frame to the
        lower face's crop. Both eyes blink together, as far as the one that is asked to be shut more."""
        wanted = min(max(controls.lid_left, controls.lid_right), 1.0)
        if wanted < _LEAST or not len(self.levels):
            return
        nearest = int(np.argmin(np.abs(self.levels - wanted)))
        # Open is what the footage shows already.
        if wanted < self.levels[nearest] - wanted:
            return
        patch = self.patches[nearest].astype(np.float32)
        lay(frame, patch, followed(matrix, self.place), self.mask, self.ring)


def followed(matrix: Floats, then: Floats) -> Floats:
    """(2, 3) followed by (2, 3)."""
    shift = then[:, :2] @ matrix[:, 2:] + then[:, 2:]
    return np.asarray(np.hstack([then[:, :2] @ matrix[:, :2], shift]), np.float32)


def no_lids() -> Lids:
    """Of footage that shows no blink."""
    nothing = np.zeros((0, 0), np.float32)
    patches = np.zeros((0, 0, 0, 3), np.uint8)
    return Lids(np.zeros(0, np.float32), patches, nothing, nothing, np.eye(2, 3, dtype=np.float32))
