"""Change of sample rate, exact in length, whole or in a stream.

A band-limited polyphase interpolator: output sample n is the input, low-pass filtered, at the input
time n * from_hz / to_hz. Because that time is a fraction of integers, nothing drifts however long the
stream is, and a stream cut anywhere gives the same samples as the whole.

Method: J. O. Smith, "Digital Audio Resampling" (windowed sinc, Kaiser window).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.errors import UsageError

_ZERO_CROSSINGS = 24
"""Half width of the filter in periods of the lower rate: flat to 0.84 of its Nyquist, -80 dB from 1.05."""
_KAISER_BETA = 8.0
_CUTOFF = 0.945
_ROWS = 4096
"""Outputs computed at once; bounds memory for long recordings."""


class Resampler:
    """Streaming change of rate for mono int16. Not thread-safe: one stream, one caller.

    What must always hold: after `flush`, the samples returned by all calls number exactly
    `resampled_length(pushed, from_hz, to_hz)`, and are those of `resample` on the whole.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Raises UsageError for a rate that is not positive."""
        if from_hz <= 0 or to_hz <= 0:
            raise UsageError(f"Cannot resample from {from_hz} Hz to {to_hz} Hz: rates are positive.")
        shared = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // shared, from_hz // shared
        if self._up != self._down:
            self._filters, self._half = _filter_bank(self._up, self._down)
            self.reset()

    def reset(self) -> None:
        """Forget the stream: the next sample pushed is the first."""
        self._pushed = 0
        self._made = 0
        self._kept = np.zeros(self._half if self._up != self._down else 0, dtype=np.float32)
        """Input not yet done with; begins at input sample `self._kept_from`."""
        self._kept_from = -len(self._kept)

    def push(self, pcm: Pcm) -> Pcm:
        """Take any number of samples, return those outputs whose input is complete (may be none)."""
        if self._up == self._down:
            return pcm.copy()
        self._pushed += len(pcm)
        self._kept = np.concatenate([self._kept, pcm.astype(np.float32)])
        return self._make(self._pushed - self._half)

    def flush(self) -> Pcm:
        """Return what is left, and start anew."""
        if self._up == self._down:
            return np.zeros(0, dtype=np.int16)
        self._kept = np.concatenate([self._kept, np.zeros(self._half, dtype=np.float32)])
        rest = self._make(self._pushed)
        self.reset()
        return rest

    def _make(self, before: int) -> Pcm:
        """Outputs whose input time lies before input sample `before`."""
        upto = max(self._made, -(-before * self._up // self._down))
        numbers = np.arange(self._made, upto, dtype=np.int64) * self._down
        made = np.empty(len(numbers), dtype=np.int16)
        if len(numbers):
            windows = np.lib.stride_tricks.sliding_window_view(self._kept, 2 * self._half)
            for start in range(0, len(numbers), _ROWS):
                at = numbers[start : start + _ROWS]
                first = at // self._up - self._half + 1 - self._kept_from
                sums = np.einsum("ij,ij->i", windows[first], self._filters[at % self._up])
                made[start : start + _ROWS] = np.rint(np.clip(sums, -32768, 32767)).astype(np.int16)
        self._made = upto
        done = upto * self._down // self._up - self._half + 1 - self._kept_from
        if done > 0:
            self._kept = self._kept[done:]
            self._kept_from += done
        return made


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """(n,) int16 at `from_hz` -> (resampled_length(n),) int16 at `to_hz`. Raises UsageError."""
    resampler = Resampler(from_hz, to_hz)
    if from_hz == to_hz:
        return pcm.copy()
    # In slices of a second, so that an hour of sound is never an hour of float windows.
    parts = [resampler.push(pcm[at : at + from_hz]) for at in range(0, len(pcm), from_hz)]
    return np.concatenate([*parts, resampler.flush()])


def resampled_length(samples: int, from_hz: int, to_hz: int) -> int:
    """How many outputs fall within `samples` inputs: ceil(samples * to_hz / from_hz)."""
    return -(-samples * to_hz // from_hz)


@lru_cache(maxsize=8)
def _filter_bank(up: int, down: int) -> tuple[npt.NDArray[np.float32], int]:
    """One filter for each of the `up` fractions of an input period: (up, 2 * half), and half."""
    scale = min(1.0, up / down) * _CUTOFF
    half = int(np.ceil(_ZERO_CROSSINGS / min(1.0, up / down)))
    distance = np.arange(2 * half)[None, :] - (half - 1) - np.arange(up)[:, None] / up
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(_KAISER_BETA)
    bank = scale * np.sinc(scale * distance) * window
    # Every fraction must pass a constant unchanged, or quantised noise at the frame rate is heard.
    bank /= bank.sum(axis=1, keepdims=True)
    bank.setflags(write=False)
    return bank.astype(np.float32), half
