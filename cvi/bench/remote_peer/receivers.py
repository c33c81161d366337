"""The far end's audio and video: packets made even sound, and whole pictures of the mouth.

Sound is held back as a browser holds it back. A loudspeaker asks for 10 ms at a time, at exact times; what
it is given depends on the packets that had arrived by then, and on nothing else. So a process that wakes
late hears no worse. A sample is played `hold` after the earliest moment the network has lately allowed: one
packet, or as late as 97 of 100 packets were (the quantile of WebRTC's own NetEq). The hold grows by waiting
where a packet is late, and changes by 10 ms at a time where it is quiet.

aiortc's own buffer gives a picture away when the first packet of the next one has come, a whole frame
period late; a browser goes by the mark on a picture's last packet, and so does this.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.bench.probe.evidence import Mouths
from cvi.bench.probe.tap import MOUTH_SHAPE, MouthBox
from cvi.transport.webrtc.incoming_audio import OpusDecoder, unwrapped

SOUND_RTP_HZ = 48_000
PERIOD_S = 0.010
PERIOD = PLAYED_HZ // 100
PACKET = SOUND_RTP_HZ // 50
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
        self.timeline = RtpTimeline(SOUND_RTP_HZ)
        self.lost = self.late = self.dry = 0
        self._inbox: deque[tuple[float, int, bytes]] = deque()
        self._waiting: dict[int, bytes] = {}
        self._due: int | None = None
        """The unwrapped timestamp of the next packet in order."""
        self._first = 0
        self._waited = 0
        """Periods without sound since the last one with."""
        self._decoder = OpusDecoder()
        self._resampler = Resampler(SOUND_RTP_HZ, PLAYED_HZ)
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
        waited = min(self._waited * PERIOD, hole * PLAYED_HZ // SOUND_RTP_HZ)
        self._append(np.zeros(hole - waited * SOUND_RTP_HZ // PLAYED_HZ, np.int16))
        self._due += waited * SOUND_RTP_HZ // PLAYED_HZ
        self.position += waited
        self._waited = 0

    def _played(self) -> Pcm:
        assert self.position is not None
        block, self._sound = self._sound[:PERIOD], self._sound[PERIOD:]
        self.began, self.position, self._waited = self.position, self.position + PERIOD, 0
        return block

    def _take(self, at_s: float, at: int, payload: bytes) -> None:
        if self._due is None:
            self._due, self._first = at, at * PLAYED_HZ // SOUND_RTP_HZ
        if at < self._due:
            self.late += 1
            return
        self._delays.add(at_s, at_s - at / SOUND_RTP_HZ)
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


PICTURE_RTP_HZ = 90_000
# A hole that has not been mended by then will not be.
PATIENCE_S = 0.5
# Browsers ask again after so long.
KEY_AGAIN_S = 0.2
Codec = Literal["H264", "VP8"]
_DECODERS = {"H264": "h264", "VP8": "vp8"}
# A slice of an IDR picture (ITU-T H.264, 7.4.1), in Annex B form.
_IDR = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]")


def is_key(codec: Codec, data: bytes) -> bool:
    """Whether a picture is complete in itself (VP8: RFC 6386, 9.1)."""
    return _IDR.search(data) is not None if codec == "H264" else bool(data) and not data[0] & 1


@dataclass(frozen=True, slots=True)
class PicturePacket:
    """One packet's share of a picture; `last` is the mark on its last packet."""

    timestamp: int
    last: bool
    data: bytes


class PictureAssembler:
    """Whole pictures of packets in whatever order. `number` is RTP's sequence number, 16 bits that wrap."""

    def __init__(self) -> None:
        self.lost = 0
        """Holes given up."""
        self._next: int | None = None
        self._newest = 0
        self._missing: int | None = None
        self._missing_since_s = 0.0
        """The first packet that is not there, though a newer one is, and since when."""
        self._waiting: dict[int, PicturePacket] = {}

    def add(self, at_s: float, number: int, piece: PicturePacket) -> tuple[list[tuple[int, bytes]], bool]:
        """A packet that came at `at_s`: the pictures that are whole now, (timestamp, data) in order; and
        whether some are lost, so that a key frame must be asked for."""
        if self._next is None:
            self._next = self._newest = number
        at = self._newest + (number - self._newest + (1 << 15)) % (1 << 16) - (1 << 15)
        self._newest = max(self._newest, at)
        if at >= self._next:
            self._waiting[at] = piece
        made, missing = self._whole()
        if missing > self._newest:
            self._missing = None
        elif missing != self._missing:
            self._missing, self._missing_since_s = missing, at_s
        lost = self._missing is not None and at_s - self._missing_since_s > PATIENCE_S
        if lost:
            self._give_up()
        return made, lost

    def _whole(self) -> tuple[list[tuple[int, bytes]], int]:
        """The pictures that are whole, and the first packet that is not there."""
        assert self._next is not None
        made: list[tuple[int, bytes]] = []
        at = self._next
        while (piece := self._waiting.get(at)) is not None:
            at += 1
            if piece.last:
                data = b"".join(self._waiting.pop(number).data for number in range(self._next, at))
                made.append((piece.timestamp, data))
                self._next = at
        return made, at

    def _give_up(self) -> None:
        """Go on behind the newest picture's end."""
        self.lost += 1
        ends = [at for at, piece in self._waiting.items() if piece.last]
        self._next = max(ends, default=self._newest) + 1
        self._waiting = {at: piece for at, piece in self._waiting.items() if at >= self._next}


class VideoReceiver:
    """Keeps whole pictures as they come, and sees them in `close`: the far end's processor is the near end's
    too, and a participant's is not. A picture counts as seen when it came and as long after as its decoding
    takes. After a hole nothing is seen before the next key frame, as in a browser.

    `size` (width, height) is the picture's that `box` is about. One thread at a time; `seen` and `mouths` are
    whole after `close`.
    """

    def __init__(self, box: MouthBox, size: tuple[int, int]) -> None:
        self.timeline = RtpTimeline(PICTURE_RTP_HZ)
        self.seen: list[tuple[float, int]] = []
        """When each picture was decoded, and its unwrapped timestamp."""
        self.widths: set[int] = set()
        self.broken = 0
        """Pictures that could not be decoded."""
        self.skipped = 0
        """Pictures between a hole and the next key frame."""
        self._box, self._size = box, size
        self._mouths: list[Mouths] = []
        self._decoder: Any = None
        self._needs_key = True
        self._wish_at_s: float | None = None
        self._pictures: list[tuple[float, Codec, int, bytes]] = []

    def show(self, at_s: float, codec: Codec, timestamp: int, data: bytes) -> None:
        """A whole picture, come at `at_s`, with its RTP timestamp."""
        self._needs_key = self._needs_key and not is_key(codec, data)
        if self._needs_key:
            self.skipped += 1
        else:
            self._pictures.append((at_s, codec, self.timeline.unwrapped(timestamp), data))

    def lost(self, at_s: float) -> None:
        """Something did not come, without which what follows cannot be understood."""
        self._needs_key, self._wish_at_s = True, at_s

    def takes_key_wish(self, at_s: float) -> bool:
        """Whether a key frame is to be asked for now: at once after a loss, and again until one has come."""
        if not self._needs_key:
            return False
        if self._wish_at_s is None:  # a stream begins with one: it is on its way
            self._wish_at_s = at_s + KEY_AGAIN_S
        if at_s < self._wish_at_s:
            return False
        self._wish_at_s = at_s + KEY_AGAIN_S
        return True

    @property
    def mouths(self) -> Mouths:
        """One mouth for each picture in `seen`, (n, 20, 28)."""
        return np.stack(self._mouths) if self._mouths else np.zeros((0, *MOUTH_SHAPE), np.int16)

    def close(self) -> None:
        """See everything shown. Blocks; some 4 ms a picture at 1280x720."""
        pictures, self._pictures = self._pictures, []
        for picture in pictures:
            self._see(*picture)

    def _see(self, came_s: float, codec: Codec, at: int, data: bytes) -> None:
        import av

        if self._decoder is None:
            self._decoder = av.CodecContext.create(_DECODERS[codec], "r")
            self._decoder.thread_count = 1
        began_s = time.monotonic()
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            self.broken += 1
            return
        for frame in frames:
            self.seen.append((came_s + time.monotonic() - began_s, at))
            self.widths.add(frame.width)
            self._mouths.append(self._fitted(frame.width).small(_luma(frame)))

    def _fitted(self, width: int) -> MouthBox:
        """The box in a picture that was made smaller for a slow network."""
        if width == self._size[0]:
            return self._box
        share, box = width / self._size[0], self._box
        top, left = int(box.top * share), int(box.left * share)
        return MouthBox(
            top, max(round(box.bottom * share), top + 1), left, max(round(box.right * share), left + 1)
        )


def _luma(frame: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
