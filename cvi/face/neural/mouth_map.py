"""From the control vector to one person's mouth coefficients.

The coefficients describe the shape of this person's lips and jaw with the head pose removed
(`cvi.training.footage.mouth_space`); the map to them was fitted to their footage
(`cvi.training.audio.mouth_controls`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.face.base import Controls
from cvi.face.planes import Floats

TERMS = 12
"""Number of terms."""
SPOKEN_TERM = 2
"""Index of the term that is 1 as soon as the mouth opens."""
JAW_TERMS, JAW_SQUARED = (0, 7, 8, 11), 1
"""Indices of the terms that grow with the jaw, the jaw itself first, and of its square."""
HINTS = (9, 10, 11)
"""Indices of the terms of teeth and tongue."""
# The `press` at which the lips have met; the driver presses to 0.92 at a full P, B or M.
_PRESS_MET = 0.6


@dataclass(frozen=True, slots=True)
class MouthMap:
    """A linear map with limits; k coefficients.

    `rest` (k,): the mouth at rest; `closed` (k,): lips together in speech; `weights` (TERMS, k): what `terms`
    adds to `rest`; `smile` (k,): what a full smile adds. `least`, `most` (k,) and `reach` (1,), the largest
    distance from `rest`, limit the result to what the footage showed.
    """

    rest: Floats
    closed: Floats
    weights: Floats
    smile: Floats
    least: Floats
    most: Floats
    reach: Floats

    def __call__(self, controls: Controls) -> Floats:
        """The coefficients (k,) of a control vector; exactly `rest` for a mouth at rest without a smile."""
        spoken = self.rest + terms(controls) @ self.weights
        met = contact(controls)
        shape = spoken + met * (self.closed - spoken)
        # Lips pressed together for a P show less of a smile.
        shape = shape + min(max(controls.smile, -1.0), 1.0) * (1.0 - 0.5 * met) * self.smile
        away = np.clip(shape, self.least, self.most) - self.rest
        length, reach = float(np.linalg.norm(away)), float(self.reach[0])
        return np.asarray(self.rest + away * (reach / length if length > reach else 1.0), np.float32)


def contact(controls: Controls) -> float:
    """How far the lips have met, 0..1."""
    x = min(max(controls.press / _PRESS_MET, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def terms(controls: Controls) -> Floats:
    """The inputs of the linear map, (TERMS,); all zero for a mouth at rest."""
    jaw, wide, round_, tuck, tongue = (
        min(max(value, 0.0), 1.0)
        for value in (controls.jaw, controls.wide, controls.round, controls.tuck, controls.tongue)
    )
    return np.array(
        [
            jaw, jaw * jaw, min(jaw / 0.15, 1.0), wide, wide * wide, round_, round_ * round_,
            jaw * wide, jaw * round_, tuck, tongue, jaw * tongue,
        ],
        np.float32,
    )  # fmt: skip
