"""The input device: blocks of 10 ms, each with the time it was spoken."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, AudioBlock, Pcm
from cvi.audio.resample import Resampler
from cvi.clock import Clock
from cvi.transport.portaudio import Device, check_device, open_stream, portaudio

# Two seconds may wait for a busy loop; then the oldest is lost.
MOST_WAITING = 200
# The device's own clock may be off by this much before times are set right.
TOLERANCE_S = 0.05


class Microphone:
    """Mono. `open` and `blocks` belong to the event loop; PortAudio's thread only hands blocks over.

    `overflows` counts blocks lost, by the device or because nobody took them in time.
    """

    def __init__(self, device: Device, clock: Clock) -> None:
        self.overflows = 0
        self._device = device
        self._clock = clock
        self._stream: Any = None
        self._arrived: deque[tuple[Pcm, float]] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Raises MissingError, UsageError."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        check_device(self._device, "input")
        sd = portaudio()
        # PortAudio calls back before the rate is known here; what comes so early is thrown away.
        self._resampler: Resampler | None = None
        self._stream, rate_hz = open_stream(
            sd.InputStream, self._device, "microphone", HEARD_HZ, latency="low", callback=self._hand_over
        )
        self._resampler = Resampler(rate_hz, HEARD_HZ)

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """From now on, until `close`. Times never go back; a lost stretch is a jump forward."""
        self._arrived.clear()
        rest: Pcm = np.zeros(0, np.int16)
        next_s: float | None = None
        while not self._closed:
            while not self._arrived:
                self._wake.clear()
                await self._wake.wait()
                if self._closed:
                    return
            pcm, spoken_at = self._arrived.popleft()
            start_s = spoken_at - time.monotonic() + self._clock.now() - len(rest) / HEARD_HZ
            rest = np.concatenate([rest, pcm])
            if next_s is None or start_s > next_s + TOLERANCE_S:
                next_s = max(start_s, 0.0)
            elif start_s < next_s - TOLERANCE_S:
                rest = rest[HOP_SAMPLES:]  # the device runs faster than the clock
            while len(rest) >= HOP_SAMPLES:
                block, rest = rest[:HOP_SAMPLES], rest[HOP_SAMPLES:]
                yield AudioBlock(block, next_s)
                next_s += HOP_S

    def close(self) -> None:
        """Stop the device; `blocks` ends."""
        self._closed = True
        self._wake.set()
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    def _hand_over(self, data: npt.NDArray[np.int16], count: int, times: Any, status: Any) -> None:
        """PortAudio's callback."""
        if self._resampler is None or self._loop.is_closed():
            return
        delay_s = times.currentTime - times.inputBufferAdcTime
        if not 0 < delay_s < 1:
            delay_s = HOP_S
        pcm = self._resampler.push(data[:, 0].copy())
        spoken_at = time.monotonic() - delay_s
        self._loop.call_soon_threadsafe(self._take, pcm, spoken_at, bool(status.input_overflow))

    def _take(self, pcm: Pcm, spoken_at: float, overflow: bool) -> None:
        self.overflows += overflow
        if len(self._arrived) >= MOST_WAITING:
            self._arrived.popleft()
            self.overflows += 1
        self._arrived.append((pcm, spoken_at))
        self._wake.set()
