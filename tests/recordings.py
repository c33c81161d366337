"""Small recordings made by the tests, and what is found in the ones made by the program."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import av
import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.clock import Clock
from cvi.media.frames import AVUnit

WIDTH, HEIGHT = 320, 180


class FastClock(Clock):
    """Real threads, but a conversation `times` as fast."""

    def __init__(self, times: float = 6.0) -> None:
        super().__init__()
        self._times = times

    def now(self) -> float:
        return super().now() * self._times

    async def sleep_until(self, when_s: float) -> None:
        if (delay := when_s - self.now()) > 0:
            await asyncio.sleep(delay / self._times)


class SetClock(Clock):
    """A clock that stands where it is set."""

    set_s = 0.0

    def now(self) -> float:
        return self.set_s


def write_wav(path: Path, samples: np.ndarray, hz: int = HEARD_HZ) -> Path:
    """int16, shape (n,) or (n, channels)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def tone(seconds: float, level: int = 8000, hz: int = HEARD_HZ) -> np.ndarray:
    return (level * np.sin(np.arange(round(seconds * hz)) / hz * 2 * np.pi * 440)).astype(np.int16)


def hush(seconds: float, hz: int = HEARD_HZ) -> np.ndarray:
    return np.zeros(round(seconds * hz), np.int16)


def clicks(seconds: float, positions: list[int], hz: int = HEARD_HZ) -> np.ndarray:
    out = hush(seconds, hz)
    out[positions] = 20000
    return out


def grey(luma: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = luma
    return frame


def unit(
    index: int, fps: int = 25, pcm: np.ndarray | None = None, luma: int = 16, generation: int = 0
) -> AVUnit:
    pcm = np.zeros(PLAYED_HZ // fps, np.int16) if pcm is None else pcm
    return AVUnit(index, index / fps, grey(luma), pcm, generation)


def sound_of(path: Path) -> np.ndarray:
    """(channels, n) at 48 kHz; sample 0 is the film's time zero, as a player hears it."""
    with av.open(str(path)) as source:
        assert source.streams.audio[0].rate == 48_000
        frames = [(round(f.pts * f.time_base * 48_000), f.to_ndarray()) for f in source.decode(audio=0)]
    out = np.zeros((frames[0][1].shape[0], frames[-1][0] + frames[-1][1].shape[1]), np.float32)
    for at, samples in frames:
        out[:, max(at, 0) : at + samples.shape[1]] = samples[:, max(-at, 0) :]
    return out


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    """(time in seconds, I420) of each frame."""
    with av.open(str(path)) as source:
        return [(float(f.pts * f.time_base), f.to_ndarray(format="yuv420p")) for f in source.decode(video=0)]


def peak_near(sound: np.ndarray, position: int, within: int = 600) -> int:
    start = max(position - within, 0)
    return start + int(np.argmax(np.abs(sound[start : position + within])))
