"""Voice or silence: the detector's probabilities made into onsets and pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cvi.turns.base import VAD_HOP_S
from cvi.turns.thresholds import TurnThresholds


@dataclass(frozen=True, slots=True)
class VoiceChange:
    """A voice started or paused at `at_s`, which was certain at `known_s` (conversation's clock, seconds)."""

    kind: Literal["started", "paused"]
    at_s: float
    known_s: float


class VoiceState:
    """A two-state machine with hysteresis, fed one hop at a time; times on the conversation's clock.

    Invariant: "started" and "paused" alternate, and each begins after the one before.
    """

    def __init__(self, thresholds: TurnThresholds) -> None:
        """Uses `voice_on`, `voice_off`, `voice_min_s` and `pause_min_s`."""
        self._thresholds = thresholds
        self.speaking = False
        """Whether there is a voice now."""
        self._run_s = 0.0
        self._run_start_s = 0.0
        self.voiced_until_s = 0.0
        """The end of the last hop that held voice."""

    def hear(self, probability: float, hop_end_s: float) -> VoiceChange | None:
        """Take one hop's probability of speech; returns the change that it proves, if any."""
        limits = self._thresholds
        if probability >= limits.voice_off:
            self.voiced_until_s = hop_end_s
        contrary = probability < limits.voice_off if self.speaking else probability >= limits.voice_on
        if not contrary:
            self._run_s = 0.0
            return None
        if self._run_s == 0.0:
            self._run_start_s = hop_end_s - VAD_HOP_S
        self._run_s += VAD_HOP_S
        needed_s = limits.pause_min_s if self.speaking else limits.voice_min_s
        if self._run_s + 1e-9 < needed_s:
            return None
        self.speaking = not self.speaking
        self._run_s = 0.0
        return VoiceChange("started" if self.speaking else "paused", self._run_start_s, hop_end_s)
