"""Encoders: real frames in, decodable frames out."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from cvi.transport.webrtc.video_encoder import BUFFER_S, Codec, EncoderTarget, VideoEncoder

WIDTH, HEIGHT = 320, 180
DECODERS = {"H264": "h264", "VP8": "libvpx"}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A textured I420 picture that moves."""
    rows, columns = np.mgrid[0:height, 0:width]
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = (110 + 60 * np.sin(columns / 9 + number / 3) * np.cos(rows / 7)).astype(np.uint8)
    return frame


class Decoded:
    def __init__(self, codec: Codec) -> None:
        self._context: Any = av.CodecContext.create(DECODERS[codec], "r")

    def luma(self, data: bytes) -> np.ndarray | None:
        frames = self._context.decode(av.Packet(data))
        if not frames:
            return None
        frame = frames[0]
        return frame.to_ndarray(format="yuv420p")[: frame.height].astype(int)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_every_frame_in_is_one_out_at_once(codec: Codec) -> None:
    encoder, decoder = VideoEncoder(codec, EncoderTarget(WIDTH, HEIGHT, 25, 800_000)), Decoded(codec)
    keys = []
    for number in range(12):
        frame = picture(number)
        data, key = encoder.encode(frame, key=number == 8)
        keys.append(key)
        shown = decoder.luma(data)
        assert shown is not None, "no frame may wait for a later one"
        assert np.abs(shown - frame[:HEIGHT]).mean() < 6
    assert [number for number, key in enumerate(keys) if key] == [0, 8]


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_key_frames_and_rate_keep_to_the_bits_there_are(codec: Codec) -> None:
    rate = 300_000
    encoder = VideoEncoder(codec, EncoderTarget(WIDTH, HEIGHT, 25, rate))
    sizes = [len(encoder.encode(picture(number))[0]) for number in range(75)]
    assert sum(sizes[25:]) * 8 / 2 < rate * 1.35
    assert sizes[0] * 8 < rate * BUFFER_S * 2


def test_a_larger_frame_is_made_to_fit() -> None:
    encoder, decoder = VideoEncoder("H264", EncoderTarget(160, 90, 25, 200_000)), Decoded("H264")
    frame = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    frame[:HEIGHT, : WIDTH // 2] = 200
    frame[:HEIGHT, WIDTH // 2 :] = 40
    shown = decoder.luma(encoder.encode(frame)[0])
    assert shown is not None and shown.shape == (90, 160)
    assert abs(int(shown[45, 20]) - 200) < 8 and abs(int(shown[45, 140]) - 40) < 8
