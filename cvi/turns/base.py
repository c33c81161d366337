"""What a voice activity detector and a turn model must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cvi.audio.block import Pcm

VAD_HOP_SAMPLES = 512
VAD_HOP_S = 0.032
"""The same in seconds, at 16 kHz."""


@dataclass(frozen=True, slots=True)
class VadSettings:
    """There is nothing to set; detectors are tuned by `TurnThresholds`."""


class VadEngine(Protocol):
    """Tells speech from silence and noise. State is kept from hop to hop; one caller."""

    name: str

    def probability(self, hop: Pcm) -> float:
        """How likely the 512 samples (16 kHz int16) hold speech, 0 to 1.

        Takes well under a millisecond, so it may run on the event loop.
        """

    def reset(self) -> None:
        """Forget the sound so far, before another conversation."""


@dataclass(frozen=True, slots=True)
class TurnModelSettings:
    """`model` is the path of the network's file."""

    model: str | None = None


class TurnModel(Protocol):
    """Tells from the voice alone (melody, pace, breath) whether a turn is over.

    Called from the event loop at a pause's onset; the work is done on a thread of the engine's own.
    """

    name: str
    window_s: float
    """How much of the turn's sound it looks at, from its end."""

    async def warm(self) -> None:
        """Do whatever makes the first question as fast as the second."""

    async def ended(self, pcm: Pcm) -> float:
        """How likely the turn `pcm` is over, 0 to 1, as the network says it: not calibrated.

        `pcm` is the turn's sound up to now, 16 kHz int16, the pause's first moments included; sound
        before the last `window_s` is ignored. Raises EngineError.
        """

    def close(self) -> None:
        """End its thread."""
