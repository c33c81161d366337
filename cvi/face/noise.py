"""Chance and smooth wandering from integer hashes: the same on every machine, for the same seed."""

from __future__ import annotations

from math import floor

_MASK = 0xFFFFFFFFFFFFFFFF


def mixed(seed: int, key: int) -> int:
    """A 64-bit hash of two integers (the finalizer of SplitMix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + key * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def unit(seed: int, key: int) -> float:
    """A number in [0, 1) that looks random and is a function of its arguments."""
    return (mixed(seed, key) >> 11) * 2.0**-53


class Dice:
    """A row of random numbers from a seed; each call takes the next."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._taken = 0

    def roll(self) -> float:
        """The next number in [0, 1)."""
        self._taken += 1
        return unit(self._seed, self._taken)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.roll()

    def happens(self, probability: float) -> bool:
        return self.roll() < probability

    def side(self) -> float:
        """-1 or 1."""
        return -1.0 if self.roll() < 0.5 else 1.0


def drift(seed: int, t_s: float, hz: float) -> float:
    """Smooth wandering in [-1, 1] that changes its mind `hz` times a second.

    Value noise with a quintic fade: velocity and acceleration are continuous.
    """
    at = t_s * hz
    knot = floor(at)
    x = at - knot
    fade = x * x * x * (x * (x * 6.0 - 15.0) + 10.0)
    left, right = unit(seed, knot), unit(seed, knot + 1)
    return 2.0 * (left + fade * (right - left)) - 1.0
