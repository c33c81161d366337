"""The face on its way out: the newest frame, encoded on a thread, at the rate the network carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from cvi.media.frames import Frame
from cvi.threads import NativeThread, step_back
from cvi.transport.webrtc.rate_control import RateControl
from cvi.transport.webrtc.video_encoder import VIDEO_HZ, Codec, EncoderTarget, VideoEncoder

if TYPE_CHECKING:
    from av.packet import Packet

# Receivers ask again and again while a key frame is under way to them.
KEY_EVERY_S, KEY_EVERY_SLOW_S, SLOW_BPS = 0.3, 1.0, 400_000
# A picture is shown with its sound, which receivers hold back for longer than encoding takes; what listens,
# thinks and speaks is waited for.
NICENESS = 5


class PersonaVideoTrack(MediaStreamTrack):
    """`show` and `ask_key` are called on the event loop; the sender calls `recv`.

    One frame waits at most: a newer one takes its place, which is counted in `dropped`.
    """

    kind = "video"

    def __init__(self, codec: Codec, rate: RateControl, now_s: Callable[[], float]) -> None:
        super().__init__()
        self.codec = codec
        self.rate = rate
        self.late_s = 0.0
        """How long after its time the newest frame was handed to the sender."""
        self.given_s = 0.0
        """When that was, on the event loop's clock."""
        self.sent = self.keys = self.dropped = self.rebuilt = 0
        self.encode_s = 0.0
        """Time spent encoding so far."""
        self._now_s = now_s
        self._frame: tuple[Frame, float] | None = None
        self._wake = asyncio.Event()
        self._key_wanted = False
        self._key_sent_s = -1e9
        self._encoder: VideoEncoder | None = None
        self._stage = NativeThread("picture-encoder")

    def show(self, frame: Frame, at_s: float) -> None:
        """The frame to be seen from `at_s` on, I420; nobody writes to it any more."""
        self.dropped += self._frame is not None
        self._frame = (frame, at_s)
        self._wake.set()

    def ask_key(self) -> None:
        """The next frame shall be complete in itself."""
        self._key_wanted = True

    async def recv(self) -> Packet[Any]:
        """The next frame, encoded."""
        while True:
            while self._frame is None:
                if self.readyState != "live":
                    raise MediaStreamError
                self._wake.clear()
                await self._wake.wait()
            (frame, at_s), self._frame = self._frame, None
            now_s = self._now_s()
            shape = self.rate.shape(now_s)
            every_s = KEY_EVERY_S if shape.bitrate > SLOW_BPS else KEY_EVERY_SLOW_S
            key = self._key_wanted and now_s - self._key_sent_s >= every_s
            data, is_key, took_s = await self._stage.run(partial(self._encode, frame, shape, key))
            if self.readyState != "live":
                raise MediaStreamError
            self.encode_s += took_s
            self.late_s = max(self._now_s() - at_s, 0.0)
            self.given_s = asyncio.get_running_loop().time()
            if is_key:
                self._key_wanted, self._key_sent_s = False, now_s
                self.keys += 1
            if data:
                self.sent += 1
                return _packet(data, round(at_s * VIDEO_HZ))

    def _encode(self, frame: Frame, shape: EncoderTarget, key: bool) -> tuple[bytes, bool, float]:
        began = time.perf_counter()
        if self._encoder is None:
            step_back(NICENESS)
        if self._encoder is None or self._encoder.shape != shape:
            self._encoder = VideoEncoder(self.codec, shape)
            self.rebuilt += 1
        data, is_key = self._encoder.encode(frame, key=key)
        return data, is_key, time.perf_counter() - began

    def stop(self) -> None:
        """End the track and its encoder thread; a waiting `recv` raises MediaStreamError."""
        super().stop()
        self._wake.set()
        self._stage.close()


def _packet(data: bytes, timestamp: int) -> Packet[Any]:
    import av

    packet = av.Packet(data)
    packet.pts = timestamp
    packet.time_base = Fraction(1, VIDEO_HZ)
    return packet
