"""The output device: it plays, and it is the playout clock.

Sound goes in with its time on the conversation's clock; `heard_s` says up to which of those times it
has come out, the device's own delay taken off.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.errors import EngineError, MissingError
from cvi.transport.portaudio import Device, check_device, open_stream, portaudio

# What the device keeps ready by itself; less and a busy processor is heard.
DEVICE_LATENCY_S = 0.05
# Softer than this nobody's microphone picks it up.
AUDIBLE = 100
SILENT_DEVICE_S = 3.0
CUT_FADE_S = 0.005
SETTLE_WINDOW_S = 0.1
SETTLE_TIMEOUT_S = 5.0


@dataclass(slots=True)
class _Piece:
    start_s: float
    pcm: Pcm
    taken: int = 0


class Loudspeaker:
    """Mono. `write`, `flush`, `waiting_s` and `heard_s` are called from the event loop; PortAudio's
    thread takes the samples under a lock that nobody holds for longer than a copy.

    `underflows` counts the times the device ran dry, by its own account.
    """

    def __init__(self, device: Device = None) -> None:
        self.underflows = 0
        self.latency_s = DEVICE_LATENCY_S
        self._device = device
        self._stream: Any = None
        self._rate_hz = PLAYED_HZ
        self._pieces: deque[_Piece] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._heard_end_s = 0.0
        self._heard_end_at = 0.0
        self._heard_s = 0.0
        self._audible_until = 0.0
        self._called_at = 0.0
        self._taken = 0

    def open(self) -> None:
        """Blocks. Raises MissingError, UsageError."""
        check_device(self._device, "output")
        sd = portaudio()
        self._stream, self._rate_hz = open_stream(
            sd.OutputStream,
            self._device,
            "loudspeaker",
            PLAYED_HZ,
            latency=DEVICE_LATENCY_S,
            callback=self._take,
        )
        self._resampler = Resampler(PLAYED_HZ, self._rate_hz)
        self._settle()
        self.latency_s = float(self._stream.latency)

    def _settle(self) -> None:
        """Wait until the device takes sound at its pace: a sound server may fill its own buffers first
        and then want nothing for a second, which would be a hole in the first words."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        time.sleep(SETTLE_WINDOW_S)
        while True:
            before = self._taken
            time.sleep(SETTLE_WINDOW_S)
            if (self._taken - before) / self._rate_hz >= 0.6 * SETTLE_WINDOW_S:
                return
            if time.monotonic() > deadline:
                self.close()
                raise MissingError(
                    "The loudspeaker takes no sound.", "Choose another one, see `cvi devices`."
                )

    @property
    def waiting_s(self) -> float:
        """What was written and has not gone to the device yet."""
        with self._lock:
            return self._waiting / self._rate_hz

    def check(self) -> None:
        """Raise EngineError when the device no longer takes sound (it was unplugged)."""
        if time.monotonic() - self._called_at > SILENT_DEVICE_S:
            raise EngineError("The loudspeaker has stopped.", "Check that it is connected, then start again.")

    def write(self, start_s: float, pcm: Pcm) -> None:
        """Play `pcm` (PLAYED_HZ) after everything that waits; it belongs at `start_s`."""
        ready = self._resampler.push(pcm)
        with self._lock:
            self._pieces.append(_Piece(start_s, ready))
            self._waiting += len(ready)

    def heard_s(self) -> float:
        """The time of the last sample that has been heard; it only grows."""
        with self._lock:
            to_come_s = max(self._heard_end_at - time.monotonic(), 0.0)
            self._heard_s = max(self._heard_s, self._heard_end_s - to_come_s)
            return self._heard_s

    def audible_until(self) -> float:
        """When (time.monotonic) the last sound loud enough to be picked up leaves the device."""
        with self._lock:
            return self._audible_until

    def flush(self) -> None:
        """Drop what waits, but for a fade of 5 ms."""
        self._resampler.reset()
        with self._lock:
            kept = self._pieces[0] if self._pieces else None
            self._pieces.clear()
            self._waiting = 0
            if kept is not None:
                fade = min(round(CUT_FADE_S * self._rate_hz), len(kept.pcm) - kept.taken)
                kept.pcm = kept.pcm[: kept.taken + fade].copy()
                kept.pcm[kept.taken :] = kept.pcm[kept.taken :] * np.linspace(1, 0, fade)
                self._pieces.append(kept)
                self._waiting = fade

    def close(self) -> None:
        """Stop the device. Safe to call twice."""
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    def _take(self, out: npt.NDArray[np.int16], count: int, times: Any, status: Any) -> None:
        """PortAudio's callback: fill `out`, shape (count, 1)."""
        now = time.monotonic()
        delay_s = times.outputBufferDacTime - times.currentTime
        if not 0 < delay_s < 1:
            delay_s = self.latency_s
        self._called_at = now
        self._taken += count
        filled = 0
        with self._lock:
            self.underflows += bool(status.output_underflow)
            while self._pieces and filled < count:
                piece = self._pieces[0]
                part = piece.pcm[piece.taken : piece.taken + count - filled]
                out[filled : filled + len(part), 0] = part
                filled += len(part)
                piece.taken += len(part)
                self._heard_end_s = piece.start_s + piece.taken / self._rate_hz
                if piece.taken >= len(piece.pcm):
                    self._pieces.popleft()
            self._waiting -= filled
            if filled:
                self._heard_end_at = now + delay_s + filled / self._rate_hz
                if int(np.abs(out[:filled].astype(np.int32)).max()) > AUDIBLE:
                    self._audible_until = self._heard_end_at
        out[filled:] = 0
