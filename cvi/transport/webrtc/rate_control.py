"""How many bits a second the network carries, and the picture that fits into them.

Two opinions, the lower one counts: the receiver's estimate from the packets' delays (REMB), and the
losses it reports (after the loss-based controller of draft-ietf-rmcat-gcc-02, section 6).
"""

from __future__ import annotations

from dataclasses import dataclass

from cvi.transport.webrtc.video_encoder import EncoderTarget

LEAST_BPS = 150_000
# A link of 300 kbit/s survives the second until the first report; a good one is found out soon.
START_BPS = 600_000
START_GROWTH, START_REPORTS = 1.25, 8
# Sound and feedback share the link with the picture.
REMB_SHARE = 0.9
FEW_LOST, MANY_LOST = 0.02, 0.10
GROWTH = 1.08
# Losses that are not of our making (a poor radio link) do not hold the rate down for ever.
GROWTH_IN_LOSS, VOUCHED = 1.04, 1.15
REPORT_EVERY_S = 0.9
# A frame of fewer bits a pixel is blurred more by the encoder than by being made smaller.
BITS_PER_PIXEL = 0.018
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)
# A new encoder costs a key frame: only a change that matters is worth one.
DOWN, UP, SCALE_UP = 0.85, 1.5, 1.4
UP_EVERY_S = 4.0


@dataclass(slots=True)
class ReceiverReport:
    """What the receiver last reported. `loss` 0..1, times in seconds."""

    remb_bps: int | None = None
    loss: float = 0.0
    jitter_s: float = 0.0
    rtt_s: float = 0.0


class RateControl:
    """Times are of any one monotonic clock. Not thread-safe."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        self.heard = ReceiverReport()
        self._full = (width, height, fps)
        self.most_bps = ceiling_bps(width, height, fps)
        self._by_loss = float(min(START_BPS, self.most_bps))
        self._grown_s = self._shrunk_s = -1e9
        self._starting = START_REPORTS
        self._shape = self._fit(self.target_bps)
        self._shaped_s = -1e9

    @property
    def target_bps(self) -> int:
        """Bits a second to send at now: the lower of both opinions, within the bounds."""
        remb = self.heard.remb_bps
        target = self._by_loss if remb is None else min(self._by_loss, remb * REMB_SHARE)
        return round(min(max(target, LEAST_BPS), self.most_bps))

    def estimated(self, bps: int) -> None:
        """The receiver's estimate of what its side of the network carries."""
        self.heard.remb_bps = bps

    def reported(self, loss: float, jitter_s: float, now_s: float) -> None:
        """A receiver report: the fraction lost since the last one, and the jitter."""
        self.heard.loss, self.heard.jitter_s = loss, jitter_s
        remb = self.heard.remb_bps
        if loss > MANY_LOST:
            self._starting = 0
            if now_s - self._shrunk_s >= 0.3 + self.heard.rtt_s:
                self._by_loss = max(min(self._by_loss, self.target_bps) * (1 - 0.5 * loss), LEAST_BPS)
                self._shrunk_s = now_s
            return
        growth = 1.0
        if loss < FEW_LOST:
            growth = START_GROWTH if self._starting > 0 else GROWTH
        elif remb is not None and remb * REMB_SHARE > self._by_loss * VOUCHED:
            growth = GROWTH_IN_LOSS
        if now_s - self._grown_s >= REPORT_EVERY_S:
            self._starting -= 1
            # Never far above what the receiver vouches for: it could not be given back in time.
            most = self.most_bps if remb is None else min(self.most_bps, remb * 1.5)
            self._by_loss = max(min(self._by_loss * growth, most), LEAST_BPS)
            self._grown_s = now_s

    def shape(self, now_s: float) -> EncoderTarget:
        """What the encoder should be built for now; the same as before where little has changed."""
        target, now = self.target_bps, self._shape
        more = target >= min(now.bitrate * UP, self.most_bps) > now.bitrate
        if target < now.bitrate * DOWN or (more and now_s - self._shaped_s >= UP_EVERY_S):
            self._change(target, now_s)
        return self._shape

    @property
    def current(self) -> EncoderTarget:
        """What the encoder was last built for."""
        return self._shape

    def _change(self, target: int, now_s: float) -> None:
        shape = self._fit(target)
        if shape.width > self._shape.width:
            # Larger only with room to spare, or it swings to and fro.
            shape = self._fit(round(target / SCALE_UP))
            width, height = max(shape.width, self._shape.width), max(shape.height, self._shape.height)
            shape = EncoderTarget(width, height, shape.fps, target)
        self._shape = shape
        self._shaped_s = now_s

    def _fit(self, bps: int) -> EncoderTarget:
        width, height, fps = self._full
        for scale in SCALES:
            size = (_even(width * scale), _even(height * scale))
            if bps >= size[0] * size[1] * fps * BITS_PER_PIXEL:
                break
        return EncoderTarget(*size, fps, bps)


def ceiling_bps(width: int, height: int, fps: int) -> int:
    """The most a picture is given: 2.6 Mbit/s at 720p and 25 fps, 5.8 at 1080p, 9.3 at 1080p and 40 fps."""
    return round(width * height * fps * 0.112)


def _even(pixels: float) -> int:
    return max(round(pixels / 2) * 2, 16)
