"""What a loudspeaker was given, by the time it was given: the reference of an echo canceller.

A device's callbacks come in bursts, but it plays at a steady pace, so samples are timed by counting them;
only where the count and the clock part by more than a few hundredths of a second is it set right.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.resample import Resampler

KEPT_S = 3.0
_TOLERANCE_S = 0.06
_DRIFT_SHARE = 0.02


class PlayedSound:
    """`append` on any one thread, `read` on another; a deque hands the pieces over.

    Invariant: what `read` gives for a stretch of time is the same however it is cut.
    """

    def __init__(self, rate_hz: int) -> None:
        """`rate_hz` is the rate of the samples that are appended."""
        self._arrived: deque[tuple[Pcm, float]] = deque(maxlen=2000)
        self._resampler = Resampler(rate_hz, HEARD_HZ)
        self._kept: Pcm = np.zeros(0, np.int16)
        self._end_at: float | None = None

    def append(self, pcm: Pcm, at: float) -> None:
        """The device was given `pcm` (int16 mono), whose first sample belongs to the time `at`, seconds."""
        self._arrived.append((pcm, at))

    def read(self, start_at: float, samples: int) -> Pcm:
        """`samples` at 16 kHz from the time `start_at` on; silence where nothing is known."""
        while self._arrived:
            self._take(*self._arrived.popleft())
        out = np.zeros(samples, np.int16)
        if self._end_at is None:
            return out
        first = len(self._kept) - round((self._end_at - start_at) * HEARD_HZ)
        begin, end = max(first, 0), min(first + samples, len(self._kept))
        if begin < end:
            out[begin - first : end - first] = self._kept[begin:end]
        return out

    def _take(self, pcm: Pcm, at: float) -> None:
        if self._end_at is None or abs(at - self._end_at) > _TOLERANCE_S:
            self._fill(at)
        else:
            self._end_at += (at - self._end_at) * _DRIFT_SHARE
        ready = self._resampler.push(pcm)
        assert self._end_at is not None
        self._end_at += len(ready) / HEARD_HZ
        self._kept = np.concatenate([self._kept, ready])[-round(KEPT_S * HEARD_HZ) :]

    def _fill(self, at: float) -> None:
        """The device paused or jumped: silence in between, or a new beginning."""
        gap = 0 if self._end_at is None else round((at - self._end_at) * HEARD_HZ)
        if 0 < gap < round(KEPT_S * HEARD_HZ):
            self._kept = np.concatenate([self._kept, np.zeros(gap, np.int16)])
        else:
            self._kept = np.zeros(0, np.int16)
        self._end_at = at
