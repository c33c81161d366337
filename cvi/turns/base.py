"""What a voice activity detector must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cvi.audio.block import Pcm

VAD_HOP_SAMPLES = 512
VAD_HOP_S = 0.032


@dataclass(frozen=True, slots=True)
class VadSettings:
    pass


class VadEngine(Protocol):
    name: str

    def probability(self, hop: Pcm) -> float:
        """How likely the 512 samples (16 kHz int16) hold speech, 0 to 1.

        Keeps state from hop to hop. Takes well under a millisecond, so it may run on the event loop.
        """

    def reset(self) -> None: ...
