"""RTP's times: 32 bits that begin anywhere and wrap, made into one axis."""

from __future__ import annotations

import numpy as np

from cvi.transport.webrtc.opus import unwrapped


class RtpTimeline:
    """The timestamps of one stream as numbers that do not wrap, and their place in the sender's time.

    `unwrapped` must be told a timestamp at least every half turn of the counter (hours), in any order.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._newest: int | None = None
        self._zeros_s: list[float] = []

    def unwrapped(self, timestamp: int) -> int:
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
