"""The persona's sound on its way out: 20 ms of Opus at a time, each at its own moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.level import faded_from

if TYPE_CHECKING:
    from av.packet import Packet

SLICE = PLAYED_HZ // 50
SLICE_S = 0.020
# RTP counts Opus at 48 kHz, whatever was encoded (RFC 7587).
RTP_HZ = 48_000
BITRATE = 40_000
MOST_WAITING_S = 0.2


class PersonaAudioTrack(MediaStreamTrack):
    """`play` and `flush` are called on the event loop; the sender calls `recv`.

    Sound is sent when it is due by `now_s` (seconds, any monotonic clock), so that what was handed over
    and not sent can still be taken back. At most MOST_WAITING_S waits; then the oldest is lost.
    """

    kind = "audio"

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self.late_s = 0.0
        """How long after its time the newest slice was sent."""
        self.dropped = 0
        self._now_s = now_s
        self._sound: Pcm = np.zeros(0, np.int16)
        self._start = 0
        """The position of the first waiting sample, at PLAYED_HZ on the clock."""
        self._wake = asyncio.Event()
        self._encoder = OpusEncoder()

    def play(self, pcm: Pcm, at_s: float) -> None:
        """Sound to be heard from `at_s` on; what lies between it and the sound before is silence."""
        at = round(at_s * PLAYED_HZ)
        if not len(self._sound):
            self._start = at
        gap = at - self._start - len(self._sound)
        if 0 < gap <= PLAYED_HZ:
            self._sound = np.pad(self._sound, (0, gap))
        elif gap > 0:
            self._sound, self._start = pcm[:0], at
        self._sound = np.concatenate([self._sound, pcm])
        excess = len(self._sound) - round(MOST_WAITING_S * PLAYED_HZ)
        if excess > 0:
            self.dropped += excess
            self._sound = self._sound[excess:]
            self._start += excess
        self._wake.set()

    def flush(self) -> None:
        """What waits is silent after 5 ms."""
        self._sound = faded_from(self._sound, 0)

    @property
    def sent_s(self) -> float:
        """The clock's time up to which sound has been sent."""
        return self._start / PLAYED_HZ

    async def recv(self) -> Packet[Any]:
        """The next slice, encoded, when it is due."""
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            if len(self._sound) < SLICE:
                self._wake.clear()
                await self._wake.wait()
                continue
            early_s = self._start / PLAYED_HZ - self._now_s()
            if early_s <= 0.001:
                break
            await asyncio.sleep(early_s)
        pcm, self._sound = self._sound[:SLICE], self._sound[SLICE:]
        start, self._start = self._start, self._start + SLICE
        self.late_s = max(self._now_s() - start / PLAYED_HZ, 0.0)
        return self._encoder.encode(pcm, start * RTP_HZ // PLAYED_HZ)

    def stop(self) -> None:
        """End the track; a waiting `recv` raises MediaStreamError."""
        super().stop()
        self._wake.set()


class OpusEncoder:
    """20 ms of int16 mono -> one packet; about 0.2 ms, so it may run on the event loop.

    `rate_hz` is one of Opus's own: 8000, 12000, 16000, 24000, 48000.
    """

    def __init__(self, rate_hz: int = PLAYED_HZ) -> None:
        import av

        self._rate_hz = rate_hz
        context: Any = av.CodecContext.create("libopus", "w")
        context.sample_rate = rate_hz
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = BITRATE
        context.time_base = Fraction(1, rate_hz)
        # Forward error correction carries each packet's gist in the next one.
        context.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": "5",
            "compression_level": "5",
        }
        self._context = context
        self._pts = 0

    def encode(self, pcm: Pcm, timestamp: int) -> Packet[Any]:
        """`timestamp` is the packet's, at RTP_HZ."""
        import av

        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.pts = self._pts
        frame.time_base = Fraction(1, self._rate_hz)
        self._pts += len(pcm)
        (made,) = self._context.encode(frame)
        packet = av.Packet(bytes(made))
        packet.pts = timestamp
        packet.time_base = Fraction(1, RTP_HZ)
        return packet
