"""How values move: springs, easing curves, smooth noise, and random numbers from a seed.

Random numbers come from integer hashes, so that the same seed gives the same motion on every machine.
"""

from __future__ import annotations

from math import exp, floor, log

_SETTLED = 2e-4
_MASK = 0xFFFFFFFFFFFFFFFF


class Spring:
    """A value that follows a target without a jump and without overshoot.

    A critically damped spring, stepped exactly, so any step length is stable. `half_life_s` is about the time
    in which half the distance to the target is covered. Once the rest is too small to see, the value is the
    target, exactly, so that a face at rest is still.
    """

    def __init__(self, value: float, half_life_s: float) -> None:
        self.value = value
        self._velocity = 0.0
        self._rate = 2.0 * log(2.0) / half_life_s

    def follow(self, target: float, dt_s: float) -> float:
        """Advance by `dt_s` towards `target`; returns the new value."""
        away = self.value - target
        if abs(away) < _SETTLED and abs(self._velocity) < _SETTLED * self._rate:
            self.value, self._velocity = target, 0.0
            return self.value
        pull = self._velocity + away * self._rate
        decay = exp(-self._rate * dt_s)
        self.value = target + decay * (away + pull * dt_s)
        self._velocity = decay * (self._velocity - pull * self._rate * dt_s)
        return self.value


def ease(x: float) -> float:
    """Smoothstep: 0 for x <= 0, 1 for x >= 1, exactly, with no corner between."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return x * x * (3.0 - 2.0 * x)


def fall(since_s: float, within_s: float) -> float:
    """1 at 0 s and before, exactly 0 from `within_s` on."""
    return 1.0 - ease(since_s / within_s)


def minimum_jerk(x: float) -> float:
    """Position of a minimum-jerk movement (Flash & Hogan 1985) at the share `x` of its time, both 0..1."""
    x = min(1.0, max(0.0, x))
    return x * x * x * (x * (x * 6.0 - 15.0) + 10.0)


def hashed(seed: int, key: int) -> int:
    """A 64-bit hash of two integers (the finalizer of SplitMix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + key * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _uniform(seed: int, key: int) -> float:
    """A number in [0, 1) that looks random and is a function of its arguments."""
    return (hashed(seed, key) >> 11) * 2.0**-53


class SeededRandom:
    """A sequence of random numbers from a seed; each call takes the next."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._taken = 0

    def random(self) -> float:
        """The next number in [0, 1)."""
        self._taken += 1
        return _uniform(self._seed, self._taken)

    def between(self, low: float, high: float) -> float:
        """The next number in [low, high)."""
        return low + (high - low) * self.random()

    def chance(self, probability: float) -> bool:
        """True with `probability`, 0..1."""
        return self.random() < probability

    def sign(self) -> float:
        """-1 or 1, equally likely."""
        return -1.0 if self.random() < 0.5 else 1.0


def drift(seed: int, t_s: float, hz: float) -> float:
    """Smooth noise in [-1, 1] at time `t_s` that takes a new random value `hz` times a second.

    Value noise with a quintic fade: velocity and acceleration are continuous.
    """
    at = t_s * hz
    knot = floor(at)
    x = at - knot
    fade = x * x * x * (x * (x * 6.0 - 15.0) + 10.0)
    left, right = _uniform(seed, knot), _uniform(seed, knot + 1)
    return 2.0 * (left + fade * (right - left)) - 1.0
