"""The far eye: packets of picture made whole, decoded as they come, and cut down to the mouth.

aiortc's own buffer gives a picture away when the first packet of the next one has come, a whole frame
period late; a browser goes by the mark on a picture's last packet, and so does this.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cvi.bench.far.stamps import Axis
from cvi.bench.probe.evidence import Mouths
from cvi.bench.probe.tap import MOUTH_SHAPE, MouthBox
from cvi.stage import step_back

RTP_HZ = 90_000
# A hole that has not been mended by then will not be.
PATIENCE_S = 0.5
_DECODERS = {"H264": "h264", "VP8": "vp8"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One packet's share of a picture; `last` is the mark on its last packet."""

    timestamp: int
    last: bool
    data: bytes


class Pictures:
    """Whole pictures of packets in whatever order. `number` is RTP's sequence number, 16 bits that wrap."""

    def __init__(self) -> None:
        self.lost = 0
        """Holes given up."""
        self._next: int | None = None
        self._newest = 0
        self._hole_s: float | None = None
        """Since when something is missing before what waits."""
        self._waiting: dict[int, Piece] = {}

    def add(self, at_s: float, number: int, piece: Piece) -> tuple[list[tuple[int, bytes]], bool]:
        """A packet that came at `at_s`: the pictures that are whole now, (timestamp, data) in order; and
        whether some are lost, so that a key frame must be asked for."""
        if self._next is None:
            self._next = self._newest = number
        at = self._newest + (number - self._newest + (1 << 15)) % (1 << 16) - (1 << 15)
        self._newest = max(self._newest, at)
        if at >= self._next:
            self._waiting[at] = piece
        made = self._whole()
        if not self._waiting or min(self._waiting) == self._next:
            self._hole_s = None
        elif self._hole_s is None:
            self._hole_s = at_s
        lost = self._hole_s is not None and at_s - self._hole_s > PATIENCE_S
        if lost:
            self._give_up()
        return made, lost

    def _whole(self) -> list[tuple[int, bytes]]:
        assert self._next is not None
        made: list[tuple[int, bytes]] = []
        at = self._next
        while (piece := self._waiting.get(at)) is not None:
            at += 1
            if piece.last:
                data = b"".join(self._waiting.pop(number).data for number in range(self._next, at))
                made.append((piece.timestamp, data))
                self._next = at
        return made

    def _give_up(self) -> None:
        """Go on behind the newest picture's end."""
        self.lost += 1
        self._hole_s = None
        ends = [at for at, piece in self._waiting.items() if piece.last]
        self._next = max(ends, default=self._newest) + 1
        self._waiting = {at: piece for at, piece in self._waiting.items() if at >= self._next}


class Eye:
    """Decodes and cuts on a thread of its own. `size` (width, height) is the picture's that `box` is about.

    `show` and `close` belong to the event loop; `seen` and `mouths` are whole after `close`.
    """

    def __init__(self, box: MouthBox, size: tuple[int, int]) -> None:
        self.axis = Axis(RTP_HZ)
        self.seen: list[tuple[float, int]] = []
        """When each picture was decoded, and its unwrapped timestamp."""
        self.widths: set[int] = set()
        self.broken = 0
        """Pictures that could not be decoded."""
        self.cpu_s = 0.0
        self._box, self._size = box, size
        self._mouths: list[Mouths] = []
        self._decoder: Any = None
        self._key_wanted = False
        self._pictures: queue.SimpleQueue[tuple[Literal["H264", "VP8"], int, bytes] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run, name="cvi-far-eye", daemon=True)
        self._thread.start()

    def show(self, codec: Literal["H264", "VP8"], timestamp: int, data: bytes) -> None:
        """A whole picture with its RTP timestamp."""
        self._pictures.put((codec, self.axis.unwrapped(timestamp), data))

    def takes_key_wish(self) -> bool:
        """Whether a key frame is wanted since the last call."""
        wanted, self._key_wanted = self._key_wanted, False
        return wanted

    @property
    def mouths(self) -> Mouths:
        return np.stack(self._mouths) if self._mouths else np.zeros((0, *MOUTH_SHAPE), np.int16)

    def close(self) -> None:
        """Blocks until everything shown has been seen."""
        self._pictures.put(None)
        self._thread.join()

    def _run(self) -> None:
        # A picture is seen with its sound, which the ear holds back for longer than decoding takes.
        step_back(5)
        while (shown := self._pictures.get()) is not None:
            self._see(*shown)
        self.cpu_s = time.thread_time()

    def _see(self, codec: str, at: int, data: bytes) -> None:
        import av

        if self._decoder is None:
            self._decoder = av.CodecContext.create(_DECODERS[codec], "r")
            self._decoder.thread_count = 1
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            self.broken += 1
            self._key_wanted = True
            return
        for frame in frames:
            self.seen.append((time.monotonic(), at))
            self.widths.add(frame.width)
            self._mouths.append(self._fitted(frame.width).cut(_luma(frame)))

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
