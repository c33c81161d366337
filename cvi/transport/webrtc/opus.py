"""What comes in an Opus stream over RTP, one packet after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvi.audio.block import Pcm

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
