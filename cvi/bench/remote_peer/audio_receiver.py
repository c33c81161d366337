"""The far end's audio: packets of sound made an even stream, held back as a browser holds them back.

A loudspeaker asks for 10 ms at a time, at exact times; what it is given depends on the packets that had
arrived by then, and on nothing else. So a process that wakes late hears no worse. A sample is played
`hold` after the earliest moment the network has lately allowed: one packet, or as late as 97 of 100
packets were (the quantile of WebRTC's own NetEq). The hold grows by waiting where a packet is late, and
changes by 10 ms at a time where it is quiet.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.transport.webrtc.incoming_audio import OpusDecoder, unwrapped

RTP_HZ = 48_000
PERIOD_S = 0.010
PERIOD = PLAYED_HZ // 100
PACKET = RTP_HZ // 50
# What Chromium holds back on this machine's own network: 31 ms from a packet's arrival to when its samples
# are played, on average, and so 21 ms to the first of them (`python -m tests.browser.measure_room`).
LEAST_HOLD_S = 0.020
MARGIN_S = 0.010
_IN_TIME = 97
# For how many seconds the fastest packet is remembered, and the late ones.
_FASTEST_S, _LATE_S = 30.0, 5.0
# Below -56 dB nobody hears a moment more or less.
_QUIET = 50


class RtpTimeline:
    """The timestamps of one stream as numbers that do not wrap, and their place in the sender's time.

    `unwrapped` must be told a timestamp at least every half turn of the counter (hours), in any order.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._newest: int | None = None
        self._zeros_s: list[float] = []

    def unwrapped(self, timestamp: int) -> int:
        """The timestamp as a number that does not wrap."""
        at = unwrapped(timestamp, self._newest)
        self._newest = at if self._newest is None else max(self._newest, at)
        return at

    def reported(self, ntp_timestamp: int, timestamp: int) -> None:
        """A sender report (RFC 3550, 6.4.1): `timestamp` belongs to `ntp_timestamp` (32.32 bits)."""
        if self._newest is not None:
            self._zeros_s.append(ntp_timestamp / 2**32 - self.unwrapped(timestamp) / self.rate_hz)

    @property
    def zero_s(self) -> float | None:
        """The sender's time of unwrapped timestamp 0, s; None before the first report."""
        return float(np.median(self._zeros_s)) if self._zeros_s else None


class AudioReceiver:
    """`arrived` in the order of arrival, `period` in the order of playing; one thread. Times are seconds of
    one monotonic clock.

    `lost` packets were made up of silence, `late` ones came after their time; `dry` periods had no sound to
    play. `timeline` is the stream's.
    """

    def __init__(self) -> None:
        self.timeline = RtpTimeline(RTP_HZ)
        self.lost = self.late = self.dry = 0
        self._inbox: deque[tuple[float, int, bytes]] = deque()
        self._waiting: dict[int, bytes] = {}
        self._due: int | None = None
        """The unwrapped timestamp of the next packet in order."""
        self._first = 0
        self._waited = 0
        """Periods without sound since the last one with."""
        self._decoder = OpusDecoder()
        self._resampler = Resampler(RTP_HZ, PLAYED_HZ)
        self._sound: Pcm = np.zeros(0, np.int16)
        """What can be played; its first sample is at `position`."""
        self.position: int | None = None
        """The next sample to play, counted at PLAYED_HZ on the stream's axis; None before the first."""
        self.began = 0
        """The first sample of the period given last, likewise."""
        self.hold_s = 0.0
        """How much later than ever possible that period is played."""
        self._delays = _Delays()

    def arrived(self, at_s: float, timestamp: int, payload: bytes) -> None:
        """An Opus packet with its RTP timestamp."""
        if payload:
            self._inbox.append((at_s, self.timeline.unwrapped(timestamp), payload))

    def period(self, at_s: float) -> Pcm | None:
        """What is played in the 10 ms from `at_s` on, (PERIOD,) at PLAYED_HZ; None where there is nothing."""
        while self._inbox and self._inbox[0][0] <= at_s:
            self._take(*self._inbox.popleft())
        if self._due is None:
            return None
        if self.position is None:
            return self._begin(at_s)
        hold_s, wanted_s = self._delays.hold_s(at_s, self.position), self._delays.wanted_s
        self.hold_s = hold_s
        if not self._filled():
            self.dry += 1
            self._waited += 1
            return None
        if np.abs(self._sound[:PERIOD]).max() < _QUIET:
            if hold_s < wanted_s - PERIOD_S:
                self.began = self.position
                return np.zeros(PERIOD, np.int16)
            # Where nothing is late a browser keeps near the least; with jitter, what was waited once is kept.
            spare_s = PERIOD_S if wanted_s <= LEAST_HOLD_S else 2 * PERIOD_S
            if hold_s > wanted_s + spare_s and len(self._sound) >= 2 * PERIOD:
                self._played()
        return self._played()

    def _begin(self, at_s: float) -> Pcm | None:
        if self._delays.hold_s(at_s, self._first) < self._delays.wanted_s:
            return None
        self.position = self._first
        return self._played() if self._filled() else None

    def _filled(self) -> bool:
        """Whether a period can be played. A packet that is missing while later ones are there is made up."""
        while len(self._sound) < PERIOD and self._waiting:
            self._make_up()
            self._join()
        return len(self._sound) >= PERIOD

    def _make_up(self) -> None:
        """Silence for a packet, or up to the next one that is there; less what was already waited for it."""
        assert self._due is not None and self.position is not None
        self.lost += 1
        hole = min(PACKET, min(self._waiting) - self._due)
        waited = min(self._waited * PERIOD, hole * PLAYED_HZ // RTP_HZ)
        self._append(np.zeros(hole - waited * RTP_HZ // PLAYED_HZ, np.int16))
        self._due += waited * RTP_HZ // PLAYED_HZ
        self.position += waited
        self._waited = 0

    def _played(self) -> Pcm:
        assert self.position is not None
        block, self._sound = self._sound[:PERIOD], self._sound[PERIOD:]
        self.began, self.position, self._waited = self.position, self.position + PERIOD, 0
        return block

    def _take(self, at_s: float, at: int, payload: bytes) -> None:
        if self._due is None:
            self._due, self._first = at, at * PLAYED_HZ // RTP_HZ
        if at < self._due:
            self.late += 1
            return
        self._delays.add(at_s, at_s - at / RTP_HZ)
        self._waiting[at] = payload
        self._join()

    def _join(self) -> None:
        while self._due in self._waiting:
            self._append(self._decoded(self._waiting.pop(self._due)))

    def _append(self, pcm: Pcm) -> None:
        assert self._due is not None
        self._due += len(pcm)
        self._sound = np.concatenate([self._sound, self._resampler.push(pcm)])

    def _decoded(self, payload: bytes) -> Pcm:
        pcm = self._decoder.decode(payload)
        if pcm is None:
            self.lost += 1
            return np.zeros(PACKET, np.int16)
        return pcm


class _Delays:
    """How long packets were on their way, but for a constant, and how long to hold them for it."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, float]] = deque()
        """(arrival, delay) of the last `_FASTEST_S`."""
        self._fastest_s = 0.0
        self.wanted_s = LEAST_HOLD_S

    def add(self, at_s: float, delay_s: float) -> None:
        self._arrivals.append((at_s, delay_s))
        while self._arrivals[0][0] < at_s - _FASTEST_S:
            self._arrivals.popleft()
        self._fastest_s = min(delay for _, delay in self._arrivals)
        recent = [delay for arrived_s, delay in self._arrivals if arrived_s >= at_s - _LATE_S]
        late_s = float(np.percentile(recent, _IN_TIME)) - self._fastest_s
        self.wanted_s = max(LEAST_HOLD_S, late_s + MARGIN_S)

    def hold_s(self, at_s: float, position: int) -> float:
        """How much later than ever possible a sample is played at `at_s`."""
        return at_s - position / PLAYED_HZ - self._fastest_s
