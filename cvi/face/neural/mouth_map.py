"""From the control vector to one person's mouth coefficients.

The coefficients are those of `cvi.training.footage.mouth_space`: how this person's lips and jaw stand, head
pose removed. What the controls mean for this person was learned from their footage
(`cvi.training.audio.mouth_controls`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.face.base import Controls

Floats = npt.NDArray[np.float32]

TERMS = 12
"""Length of `terms`."""
SPOKEN_TERM = 2
"""The one that is 1 as soon as the mouth is asked to open."""
JAW_TERMS, JAW_SQUARED = (0, 7, 8, 11), 1
"""Those that grow with the jaw, itself first, and with its square."""
HINTS = (9, 10, 11)
"""Those of teeth and tongue."""
# At this much `press` the lips count as met; the driver presses to 0.92 at a full P, B or M.
_PRESS_MET = 0.6


@dataclass(frozen=True, slots=True)
class MouthMap:
    """`rest` (k,) the mouth when nothing is said, `closed` (k,) lips together in speech, `weights`
    (TERMS, k) what the controls add to `rest`, `smile` (k,) what a full smile adds. `least` and `most` (k,),
    and `reach` (1,) of a whole vector from `rest`, are what the footage showed: beyond it the network would
    have to invent, and many coefficients at their limits together are a grimace nobody made.
    """

    rest: Floats
    closed: Floats
    weights: Floats
    smile: Floats
    least: Floats
    most: Floats
    reach: Floats

    def __call__(self, controls: Controls) -> Floats:
        """The coefficients (k,) of a control vector. No mouth and no smile is exactly `rest`."""
        spoken = self.rest + terms(controls) @ self.weights
        met = contact(controls)
        shape = spoken + met * (self.closed - spoken)
        # A smile needs corners that are free: lips that meet for a P keep little of it.
        shape = shape + min(max(controls.smile, -1.0), 1.0) * (1.0 - 0.5 * met) * self.smile
        away = np.clip(shape, self.least, self.most) - self.rest
        length, reach = float(np.linalg.norm(away)), float(self.reach[0])
        return np.asarray(self.rest + away * (reach / length if length > reach else 1.0), np.float32)


def contact(controls: Controls) -> float:
    """How far the lips have met, 0..1."""
    x = min(max(controls.press / _PRESS_MET, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def terms(controls: Controls) -> Floats:
    """What the map is linear in, (TERMS,); all zero for a mouth at rest."""
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
