"""The form of sound everywhere in the program: mono, 16 bit, with its time.

There are two rates: `HEARD_HZ` for the participant's sound (every recognizer wants it), `PLAYED_HZ` for the
persona's (it divides evenly by 24, 25, 30 and 40 frames a second, and no speech engine here has a higher
one). Engines convert to and from their own rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEARD_HZ = 16_000
PLAYED_HZ = 24_000
HOP_S = 0.010
HOP_SAMPLES = 160

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Some consecutive samples and the time of the first, in seconds on the conversation's clock.

    `pcm` has shape (n,), int16, at `HEARD_HZ`. The array is never written to after it is made.
    """

    pcm: Pcm
    start_s: float

    @property
    def end_s(self) -> float:
        """The time just after the last sample."""
        return self.start_s + len(self.pcm) / HEARD_HZ


def to_float(pcm: Pcm) -> npt.NDArray[np.float32]:
    """int16 -> float32 in [-1, 1)."""
    return pcm.astype(np.float32) * np.float32(1 / 32768)


def to_int16(samples: npt.NDArray[np.floating]) -> Pcm:
    """float in [-1, 1] -> int16, clipped, rounded."""
    pcm: Pcm = np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
    return pcm
