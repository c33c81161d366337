"""Breaking a silence: what the persona says when the participant says nothing for long."""

from __future__ import annotations

from typing import Literal

IdleLevel = Literal["off", "patient", "eager"]
# Seconds of silence after the last sound of either side; after the last of them it waits without a word.
_TIMES_S: dict[IdleLevel, tuple[float, ...]] = {
    "off": (),
    "patient": (20.0, 60.0),
    "eager": (8.0, 20.0, 45.0),
}
TAKE_UP = (
    "(The participant has said nothing for a while. In one short sentence, take up what you talked about or "
    "offer something new, as you would with somebody who is thinking. Do not mention this note.)"
)
STILL_THERE = (
    "(The participant has been silent for long. In one short sentence, ask in a friendly way whether they "
    "are still there. Do not mention this note.)"
)


class IdleEngagement:
    """Counts how often a silence was broken since the participant last spoke. Event loop only."""

    def __init__(self, level: IdleLevel) -> None:
        self._times_s = _TIMES_S[level]
        self._spoken = 0

    def heard(self) -> None:
        """The participant has said something."""
        self._spoken = 0

    def due(self, silence_s: float) -> str | None:
        """What the model is asked to say after so much silence, None for nothing. Answers each time once."""
        if self._spoken >= len(self._times_s):
            return None
        # Each reply of its own begins the silence anew, so the times are told by their differences.
        before_s = self._times_s[self._spoken - 1] if self._spoken else 0.0
        if silence_s < self._times_s[self._spoken] - before_s:
            return None
        self._spoken += 1
        return STILL_THERE if self._spoken == len(self._times_s) else TAKE_UP
