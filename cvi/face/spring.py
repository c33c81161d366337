"""A value that follows a target without a jump and without overshoot."""

from __future__ import annotations

from math import exp, log

_SETTLED = 2e-4


class Spring:
    """A critically damped spring, stepped exactly, so any step length is stable.

    `half_life_s` is about the time in which half the way to the target is gone. Once the rest of the
    way is too small to see, the value is the target, exactly, so that what should be still is still.
    """

    def __init__(self, value: float, half_life_s: float) -> None:
        self.value = value
        self._velocity = 0.0
        self._rate = 2.0 * log(2.0) / half_life_s

    def follow(self, target: float, dt_s: float) -> float:
        """Advance by `dt_s` towards `target`; the new value."""
        away = self.value - target
        if abs(away) < _SETTLED and abs(self._velocity) < _SETTLED * self._rate:
            self.value, self._velocity = target, 0.0
            return self.value
        pull = self._velocity + away * self._rate
        decay = exp(-self._rate * dt_s)
        self.value = target + decay * (away + pull * dt_s)
        self._velocity = decay * (self._velocity - pull * self._rate * dt_s)
        return self.value
