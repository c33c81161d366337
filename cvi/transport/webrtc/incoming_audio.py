"""The participant's sound on its way in: put in order, holes filled, in blocks of 10 ms.

A packet that is next in order is decoded when it arrives, so a good network costs no delay. A missing
one is waited for as long as packets have lately been late, then made up. When nothing comes at all
(nobody is connected), silence keeps the ears' time going.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, Pcm
from cvi.audio.resample import Resampler

RTP_HZ = 48_000


def unwrapped(timestamp: int, newest: int | None) -> int:
    """A timestamp of 32 bits, which wraps, on the axis of `newest`, at most half a turn away from it."""
    if newest is None:
        return timestamp
    return newest + (timestamp - newest + (1 << 31)) % (1 << 32) - (1 << 31)


class OpusDecoder:
    """One stream's state. Not thread-safe."""

    def __init__(self) -> None:
        self._codec: Any = None

    def decode(self, payload: bytes) -> Pcm | None:
        """A packet -> its sound, 48 kHz mono; None of what cannot be decoded."""
        import av

        if self._codec is None:
            self._codec = av.CodecContext.create("libopus", "r")
            self._codec.format, self._codec.layout = "s16", "mono"
            self._codec.sample_rate = RTP_HZ
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            return None
        if not frames:
            return None
        pcm: Pcm = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)
        return pcm


PACKET = RTP_HZ // 50
PATIENCE_LEAST_S, PATIENCE_MOST_S = 0.04, 0.25
# For how many seconds the shortest delay is remembered, and the longest.
SHORTEST_S, LONGEST_S = 30, 5
MOST_WAITING = 64
# The sender's clock may be off by this much before times are set right.
TOLERANCE_S = 0.03
# A packet's time may be set right by this much, unnoticed.
SLEW_S = 0.001
# Woken this much too late we were busy, and what came meanwhile is read within that long.
BUSY_S, READ_S = 0.03, 0.02
JUMP = 2 * RTP_HZ
MOST_LATE = 15


class IncomingAudio:
    """`arrived` and `blocks` belong to the event loop. Times are those of `now_s`."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.lost = self.late = self.broken = 0
        """Packets made up, those that came after that, and those that could not be decoded."""
        self._now_s = now_s
        self._wake = asyncio.Event()
        self._closed = False
        self.restart()

    def restart(self) -> None:
        """Another connection: its packets have nothing to do with those before."""
        self._decoder = OpusDecoder()
        self._resampler = Resampler(RTP_HZ, HEARD_HZ)
        self._waiting: dict[int, bytes] = {}
        self._next: int | None = None
        self._newest: int | None = None
        self._step = PACKET
        self._late_in_a_row = 0
        self._delays = _Delays()
        self._last: Pcm = np.zeros(0, np.int16)

    def arrived(self, timestamp: int, payload: bytes) -> None:
        """A packet with its RTP timestamp (32 bits), in whatever order."""
        if not payload:
            return
        now_s = self._now_s()
        at = unwrapped(timestamp, self._newest)
        self._newest = at if self._newest is None else max(self._newest, at)
        if self._next is not None and abs(at - self._next) > JUMP:
            self.restart()
            self._newest = at
        if self._next is not None and at < self._next:
            self.late += 1
            self._late_in_a_row += 1
            if self._late_in_a_row > MOST_LATE:
                self.restart()  # the sender's time stood still: it will not catch up
            return
        self._late_in_a_row = 0
        self._delays.add(now_s, now_s - at / RTP_HZ)
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.pop(min(self._waiting))
        self._waiting[at] = payload
        self._wake.set()

    @property
    def patience_s(self) -> float:
        """How long a missing packet is waited for."""
        return min(max(self._delays.spread_s + 0.01, PATIENCE_LEAST_S), PATIENCE_MOST_S)

    def close(self) -> None:
        """`blocks` ends."""
        self._closed = True
        self._wake.set()

    async def blocks(self) -> AsyncIterator[tuple[Pcm, float]]:
        """HOP_SAMPLES samples at HEARD_HZ and the time of the first, without a hole, until `close`."""
        rest: Pcm = np.zeros(0, np.int16)
        at_s = self._now_s()
        while not self._closed:
            at_s = self._set_right(at_s)
            piece, wait_s = self._piece(at_s)
            if piece is None:
                await self._wait(wait_s)
                continue
            start_s = at_s - len(rest) / HEARD_HZ
            at_s += len(piece) / HEARD_HZ
            rest = np.concatenate([rest, piece])
            for _ in range(len(rest) // HOP_SAMPLES):
                block, rest = rest[:HOP_SAMPLES], rest[HOP_SAMPLES:]
                yield block, start_s
                start_s += HOP_SAMPLES / HEARD_HZ

    async def _wait(self, wait_s: float) -> None:
        """For a packet, or for `wait_s`.

        A loop that was busy for longer learns that first, and of what came meanwhile packet by packet.
        """
        until_s = self._now_s() + wait_s
        self._wake.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            if self._now_s() - until_s > BUSY_S:
                await asyncio.sleep(READ_S)

    def _set_right(self, at_s: float) -> float:
        """Follow the sender's clock where it and ours have parted; times never go back."""
        tolerance_s = TOLERANCE_S
        if self._next is None and self._waiting:
            self._next = min(self._waiting)
            tolerance_s = 0.0
        if self._next is None or self._next not in self._waiting:
            return at_s
        spoken_s = self._next / RTP_HZ + self._delays.fastest_s - PACKET / RTP_HZ
        if spoken_s > at_s + tolerance_s:
            return spoken_s
        if spoken_s < at_s - PATIENCE_MOST_S - TOLERANCE_S:
            del self._waiting[self._next]  # it runs faster than we do
            self._next += self._step
            return at_s
        return at_s + min(max(spoken_s - at_s, -SLEW_S), SLEW_S)

    def _piece(self, at_s: float) -> tuple[Pcm | None, float]:
        """The next piece of sound at HEARD_HZ, or None and how long to wait for it."""
        if self._next is not None and self._next in self._waiting:
            return self._decoded(self._waiting.pop(self._next)), 0.0
        # With none after it, it may be all of them that are late, or this program that was busy.
        patience_s = self.patience_s if self._waiting else PATIENCE_MOST_S
        wait_s = at_s + self._step / RTP_HZ + patience_s - self._now_s()
        if wait_s > 0:
            return None, wait_s
        return self._made_up(), 0.0

    def _decoded(self, payload: bytes) -> Pcm:
        assert self._next is not None
        pcm = self._decoder.decode(payload)
        if pcm is None:
            self.broken += 1
            return self._made_up()
        self._step = len(pcm)
        self._next += len(pcm)
        made = self._resampler.push(pcm)
        # Its outputs are 1.5 ms behind. The first ones are made up for it, so that a packet stays two whole
        # blocks: else half a block of each would wait for the next packet.
        early = len(pcm) * HEARD_HZ // RTP_HZ - len(made)
        self._last = np.pad(made, (max(early, 0), 0))
        return self._last

    def _made_up(self) -> Pcm:
        """In place of a lost packet: the one before, fading; silence after that."""
        count = self._step * HEARD_HZ // RTP_HZ
        if self._next is not None:
            self._next += self._step
            self.lost += bool(self._waiting)
        made = self._last[-count:]
        self._last = self._last[:0]
        fade = np.linspace(0.7, 0.0, len(made))
        return np.pad((made * fade).astype(np.int16), (0, count - len(made)))


class _Delays:
    """How long packets were on their way, but for a constant: nobody's clocks are the same."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float, float]] = deque(maxlen=SHORTEST_S)
        """(second, shortest, longest) of those seconds in which something came."""
        self.fastest_s = 0.0
        self.spread_s = 0.0
        """Between the shortest and the longest."""

    def add(self, now_s: float, delay_s: float) -> None:
        second, shortest, longest = int(now_s), delay_s, delay_s
        if self._seconds and self._seconds[-1][0] == second:
            _, before, after = self._seconds.pop()
            shortest, longest = min(before, delay_s), max(after, delay_s)
        self._seconds.append((second, shortest, longest))
        self.fastest_s = min(each[1] for each in self._seconds)
        recent = [each[2] for each in self._seconds if each[0] > second - LONGEST_S]
        self.spread_s = max(recent) - self.fastest_s
