"""The sound card: the microphone gives blocks with their times, the loudspeaker is the playout clock.

Through PortAudio. Sound goes into the loudspeaker with its time on the conversation's clock; `heard_s` says
up to which of those times it has come out, the device's own delay taken off.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.played_sound import PlayedSound
from cvi.audio.resample import Resampler
from cvi.clock import Clock
from cvi.errors import EngineError, MissingError, UsageError

Device = int | str | None


def portaudio() -> Any:
    """The `sounddevice` module. Raises MissingError without the system library."""
    try:
        import sounddevice
    except OSError as error:
        raise MissingError(
            "The system library PortAudio is not here, so there is no microphone or loudspeaker.",
            "Install it with: sudo apt-get install libportaudio2",
        ) from error
    return sounddevice


def check_device(device: Device, kind: str) -> None:
    """Raise unless PortAudio has such a device; `kind` is "input" or "output"."""
    sd = portaudio()
    name = "microphone" if kind == "input" else "loudspeaker"
    try:
        sd.query_devices(device, kind)
    except (sd.PortAudioError, ValueError) as error:
        if device is None:
            remedy = f"Connect one and see `cvi devices`, or give a recording: --{name} FILE."
            if kind == "output":
                remedy = "Connect one and see `cvi devices`; `cvi talk CALLER.wav -o OUT.mp4` works without."
            raise MissingError(f"There is no {name} on this machine.", remedy) from error
        raise UsageError(
            f"There is no {name} '{device}'.", "See `cvi devices` for the ones there are."
        ) from error


def open_stream(make: Any, device: Device, name: str, wanted_hz: int, **options: Any) -> tuple[Any, int]:
    """A started stream and its rate: the wanted one, or the device's own where it refuses that.

    `make` is `sounddevice.InputStream` or `OutputStream`; `name` is for the error. Raises MissingError.
    """
    sd = portaudio()
    kind = "input" if make is sd.InputStream else "output"
    own_hz = round(sd.query_devices(device, kind)["default_samplerate"])
    failure: Exception | None = None
    for rate_hz in dict.fromkeys((wanted_hz, own_hz)):
        try:
            stream = make(
                device=device,
                samplerate=rate_hz,
                channels=1,
                dtype="int16",
                blocksize=rate_hz // 100,
                **options,
            )
            stream.start()
        except sd.PortAudioError as error:
            failure = error
        else:
            return stream, rate_hz
    raise MissingError(
        f"The {name} cannot be opened ({failure}).",
        "Close other programs that use it or choose another: `cvi devices`.",
    ) from failure


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

    `underflows` counts the times the device ran dry, by its own account. `played` is what it was given, by
    `time.monotonic`, once it is open.
    """

    def __init__(self, device: Device = None) -> None:
        self.underflows = 0
        self.latency_s = DEVICE_LATENCY_S
        self._device = device
        self._stream: Any = None
        self._rate_hz = PLAYED_HZ
        self.played: PlayedSound | None = None
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
        self.played = PlayedSound(self._rate_hz)
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
        if self.played is not None:
            self.played.append(out[:, 0].copy(), now)
