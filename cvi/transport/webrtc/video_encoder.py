"""Pictures to H.264 or VP8 in real time: no look-ahead, no reordering, one thread, small key frames.

libav cannot change the rate of a running encoder, so a new rate or size is a new encoder, which begins
with a key frame. The rate buffer of a quarter second keeps that frame small.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

from cvi.errors import EngineError
from cvi.media.frames import Frame, av_frame, planes

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

Codec = Literal["H264", "VP8"]
VIDEO_HZ = 90_000
# Better than this is not seen in a talking head at rest, and costs three times the bits.
CRF = 24
VP8_QMIN = 8
BUFFER_S = 0.25
# Key frames only when asked for: a lost one is asked for by the receiver.
GOP = 100_000


@dataclass(frozen=True, slots=True)
class EncoderTarget:
    """What an encoder is built for: pixels (even numbers), frames and bits per second."""

    width: int
    height: int
    fps: int
    bitrate: int


class VideoEncoder:
    """Blocking; one thread at a time. `encode` returns one frame's bytes, H.264 in Annex B form."""

    def __init__(self, codec: Codec, shape: EncoderTarget) -> None:
        """Raises EngineError when the codec is not in this build of libav."""
        self.codec = codec
        self.shape = shape
        self._fresh = True
        self._context = _context(codec, shape)
        self._number = 0

    def encode(self, frame: Frame, *, key: bool = False) -> tuple[bytes, bool]:
        """I420 of any size, shape (height * 3 // 2, width) -> data, and whether it is a key frame.

        The frame is not copied where its size is the encoder's. Raises EngineError.
        """
        import av
        from av.video.frame import PictureType

        image = av_frame(_fitted(frame, self.shape))
        image.pts = self._number
        self._number += 1
        if key or self._fresh:
            image.pict_type = PictureType.I
        self._fresh = False
        try:
            packets = self._context.encode(image)
        except av.FFmpegError as error:
            raise EngineError(f"The {self.codec} encoder failed: {error}.") from error
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


def _context(codec: Codec, shape: EncoderTarget) -> VideoCodecContext:
    import av
    from av.video.codeccontext import VideoCodecContext

    try:
        context = av.CodecContext.create("libx264" if codec == "H264" else "libvpx", "w")
    except av.codec.codec.UnknownCodecError as error:
        raise EngineError(f"This libav cannot encode {codec}.", "Reinstall the package av.") from error
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = shape.width, shape.height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, shape.fps)
    context.framerate = Fraction(shape.fps, 1)
    context.gop_size = GOP
    context.thread_count = 1
    context.color_range = 1  # limited
    context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
    rate = str(shape.bitrate)
    if codec == "H264":
        context.profile = "Baseline"
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(CRF),
            "maxrate": rate,
            "bufsize": str(round(shape.bitrate * BUFFER_S)),
        }
    else:
        context.bit_rate = shape.bitrate
        context.qmin, context.qmax = VP8_QMIN, 58
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "minrate": rate,
            "maxrate": rate,
            "bufsize": str(round(shape.bitrate * 2 * BUFFER_S)),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "static-thresh": "1",
        }
    return context


def _fitted(frame: Frame, shape: EncoderTarget) -> Frame:
    """The frame itself, or a smaller copy."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    if (width, height) == (shape.width, shape.height):
        return np.ascontiguousarray(frame)
    import cv2

    out = np.empty((shape.height * 3 // 2, shape.width), np.uint8)
    sources = planes(np.ascontiguousarray(frame), width, height)
    for to, what in zip(planes(out, shape.width, shape.height), sources, strict=True):
        cv2.resize(what, (to.shape[1], to.shape[0]), dst=to, interpolation=cv2.INTER_AREA)
    return out
