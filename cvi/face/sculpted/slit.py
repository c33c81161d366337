"""The light that falls through the lips: hardly parted, they leave what is behind them in the dark.

Patches show teeth as bright as they were baked; bent narrow, a wide mouth's teeth would shine as a white line
where people show a dark one. (MediaPipe's mesh takes a white line for shut lips: below a jaw of .2 it saw
none part.)
"""

from __future__ import annotations

import cv2
import numpy as np

from cvi.face.planes import Box, Planes
from cvi.face.sculpted.morph import Floats

DARK = 0.25  # of the light reaches what lies behind a gap as narrow as a hair
LIT_PX = 18.0  # of 720: from a gap so wide on all of it does
BEND = 1.6  # how late the light comes; all three by `cvi bench lips`, and so that a smile has white teeth
SOFT_PX = 0.8  # of 720
WARM = 5.0  # what is dark in a mouth is a little red, but no lip: this much of Cr, and half of it less of Cb
_BLACK, _GREY = 16, 128


class Slit:
    """Shades what lies between the lips; `unit` pixels are one of a picture 720 high."""

    def __init__(self, unit: float) -> None:
        self._unit = unit

    def shade(self, mouth: Planes, x: Floats, upper: Floats, lower: Floats, share: float) -> None:
        """Darken `mouth`, in place, between the inner edges of the lips.

        `upper`, `lower` (t,): the rows of the edges at columns `x`, pixels. `share`: how much of it, 0..1.
        """
        if float((lower - upper).max()) < 0.25 or share < 0.01:
            return
        box = self._around(mouth, x, upper, lower)
        columns = np.arange(box.x0, box.x1, dtype=np.float32)
        rows = np.arange(box.y0, box.y1, dtype=np.float32)[:, None]
        above, below = (np.interp(columns, x, edge).astype(np.float32) for edge in (upper, lower))
        inside = np.clip(rows - above + 0.5, 0, 1) * np.clip(below - rows + 0.5, 0, 1)
        inside *= (columns > x[0]) & (columns < x[-1])
        # Light comes from above: least of it gets to what the upper lip hangs over.
        gap = below - above
        reach = 0.5 * gap + np.clip(rows - above, 0, 0.5 * gap)
        dark = share * (1 - DARK) * (1 - np.clip(reach / (LIT_PX * self._unit), 0, 1) ** BEND)
        dark = cv2.GaussianBlur((inside * dark).astype(np.float32), (0, 0), SOFT_PX * self._unit)
        half = cv2.resize(dark, (dark.shape[1] // 2, dark.shape[0] // 2), interpolation=cv2.INTER_AREA)
        luma, cb, cr = mouth.part(box)
        luma[:] = _BLACK + (luma - np.float32(_BLACK)) * (1 - dark) + np.float32(0.5)
        for plane, tint in ((cb, _GREY - 0.5 * WARM), (cr, _GREY + WARM)):
            plane[:] = plane + half * (np.float32(tint) - plane) + np.float32(0.5)

    def _around(self, mouth: Planes, x: Floats, upper: Floats, lower: Floats) -> Box:
        """The even box of what may be shaded."""
        height, width = mouth.luma.shape
        reach = 3 * SOFT_PX * self._unit + 1
        left, right = max(int(x[0] - reach), 0), min(int(x[-1] + reach) + 2, width)
        top, bottom = max(int(upper.min() - reach), 0), min(int(lower.max() + reach) + 2, height)
        return Box(left // 2 * 2, top // 2 * 2, right // 2 * 2, bottom // 2 * 2)

