"""The far end's video: packets made whole pictures as they come, decoded afterwards, cut down to the mouth.

aiortc's own buffer gives a picture away when the first packet of the next one has come, a whole frame
period late; a browser goes by the mark on a picture's last packet, and so does this.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cvi.bench.probe.evidence import Mouths
from cvi.bench.probe.tap import MOUTH_SHAPE, MouthBox
from cvi.bench.remote_peer.audio_receiver import RtpTimeline

RTP_HZ = 90_000
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
        self.timeline = RtpTimeline(RTP_HZ)
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
