"""Small films made by the tests: frames whose colour encodes their number, and a tone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 128, 96


def grey_of(number: int) -> int:
    """The brightness of frame `number`, far enough apart to survive an encoder."""
    return 30 + (number * 37) % 190


def make_film(
    path: Path,
    times: list[float],
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    sound_s: float | None = None,
    rate: int = 25,
    pictures: list[np.ndarray] | None = None,
) -> Path:
    """A film whose frame n is shown from times[n] on; `sound_s` of a tone with it."""
    ticks = 1000
    with av.open(str(path), "w", format="mp4" if path.suffix == ".mp4" else None) as file:
        video = file.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "12", "bf": "0"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, ticks)
        video.codec_context.thread_count = 1
        audio = None
        if sound_s is not None:
            audio = file.add_stream("aac", rate=16000, layout="mono")
        for number, time_s in enumerate(times):
            picture = (
                np.full((size[1], size[0], 3), grey_of(number), np.uint8)
                if pictures is None
                else pictures[number]
            )
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time_s * ticks), Fraction(1, ticks)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio is not None:
            tone = (8000 * np.sin(np.arange(round(sound_s * 16000)) / 16000 * 2 * np.pi * 440)).astype(
                np.int16
            )
            for start in range(0, len(tone), 1024):
                piece = av.AudioFrame.from_ndarray(
                    tone[None, start : start + 1024], format="s16", layout="mono"
                )
                piece.sample_rate, piece.pts = 16000, start
                file.mux(audio.encode(piece))
            file.mux(audio.encode(None))
    return path


def turned(path: Path) -> Path:
    """Note in the file's head that players turn the picture by 90 degrees clockwise, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    assert at > 0
    version = data[at + 4]
    matrix = at + 4 + (4 + 36 if version == 0 else 4 + 48)
    values = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(bytes(data))
    return path
