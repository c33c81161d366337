"""The tap: records what passes between a conversation and its transport, by a clock of its own.

It hands everything on untouched. Where a transport plays at once what it is given (the file transport
does), the tap records what a person would hear. Mouths are made small on a thread of their own, so that the
conversation never waits for the probe.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.resample import Resampler
from cvi.bench.probe.evidence import MOUTH_STEPS, Evidence, Mouths, stacked
from cvi.media.frames import AVUnit, Frame
from cvi.media.live_picture import LivePicture
from cvi.threads import step_back
from cvi.transport.base import PictureName, ShowsPictures, Transport

# A mouth is kept this small, whatever the picture's size: (rows, columns).
MOUTH_SHAPE = (20, 28)
# The microphone's first blocks, from which the conversation's zero is taken.
_ZERO_BLOCKS = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MouthBox:
    """Where in the picture the mouth is, pixels: rows `top` to `bottom`, columns `left` to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, frame: Frame) -> Frame:
        """The luma of an I420 frame within the box, a copy: what may wait where whole frames must not."""
        return frame[self.top : self.bottom, self.left : self.right].copy()

    def small(self, frame: Frame) -> Mouths:
        """An I420 frame's mouth, (20, 28)."""
        return shrink(frame[self.top : self.bottom, self.left : self.right])


def shrink(luma: Frame) -> Mouths:
    """A mouth's luma, of any size, as it is kept: (20, 28)."""
    import cv2

    rows, columns = MOUTH_SHAPE
    small = cv2.resize(luma.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    mouth: Mouths = np.rint(small * MOUTH_STEPS).astype(np.int16)
    return mouth


class RoomSound:
    """What a room adds to the caller's voice: its noise, and the persona's own sound coming back."""

    def __init__(
        self, noise: Pcm | None = None, echo_db: float | None = None, echo_delay_ms: float = 0.0
    ) -> None:
        """`noise` at HEARD_HZ goes round; `echo_db` is the persona's level in the microphone, `echo_delay_ms`
        later."""
        self._noise = noise
        self._noise_at = 0
        self._echo = 0.0 if echo_db is None else 10 ** (echo_db / 20)
        self._back = Resampler(PLAYED_HZ, HEARD_HZ)
        self._coming: Pcm = np.zeros(round(echo_delay_ms * HEARD_HZ / 1000), np.int16)

    def played(self, pcm: Pcm) -> None:
        """The persona's sound leaves the loudspeaker."""
        if self._echo:
            self._coming = np.concatenate([self._coming, self._back.push(pcm)])

    def add_to(self, voice: Pcm) -> Pcm:
        """The caller's voice with the room's sound."""
        count = len(voice)
        sound = voice.astype(np.float32)
        if self._noise is not None:
            sound += np.take(self._noise, np.arange(self._noise_at, self._noise_at + count), mode="wrap")
            self._noise_at = (self._noise_at + count) % len(self._noise)
        if self._echo:
            back, self._coming = self._coming[:count], self._coming[count:]
            sound[: len(back)] += self._echo * back
        mixed: Pcm = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        return mixed


class BackgroundThread(Generic[T]):
    """Calls `work` with each item, in order, on a thread that lets others go first.

    On a busy machine it may be seconds behind, so items are small: a mouth is some 40 kB, a whole frame at
    720p 1.4 MB. `cpu_s` is what the thread took, after `close`.
    """

    def __init__(self, name: str, work: Callable[[T], None]) -> None:
        self.cpu_s = 0.0
        self._work = work
        self._waiting: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue an item; never blocks."""
        self._waiting.put((item,))

    def close(self) -> None:
        """Return when all items are done. Safe to call twice."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        step_back(5)
        while (item := self._waiting.get()) is not None:
            self._work(item[0])
            del item
        self.cpu_s = time.thread_time()


class EvidenceSink(Protocol):
    """Where a tap's records go. Called on the event loop; nothing may block."""

    def heard(self, at_s: float, pcm: Pcm) -> None:
        """A block of the caller's sound was handed over."""

    def played(self, at_s: float, unit: AVUnit) -> None:
        """A unit was handed over."""

    def flushed(self, at_s: float) -> None:
        """What was handed over and not played is thrown away."""

    def close(self) -> None:
        """Nothing more will come; returns when everything is recorded. Safe to call twice."""


class MemorySink:
    """Keeps a session in memory: some 130 kB a second."""

    def __init__(self, mouth: MouthBox | None) -> None:
        """Without a `mouth` no picture is recorded."""
        self.cpu_s = 0.0
        self._mouth = mouth
        self._heard: list[tuple[float, Pcm]] = []
        self._played: list[tuple[float, Pcm]] = []
        self._flushes: list[float] = []
        self._mouths: list[Mouths] = []
        self._shrinking: BackgroundThread[Frame] | None = None
        if mouth is not None:
            self._shrinking = BackgroundThread(
                "cvi-probe-mouths", lambda luma: self._mouths.append(shrink(luma))
            )

    def heard(self, at_s: float, pcm: Pcm) -> None:
        """Keep a block of the caller's."""
        self._heard.append((at_s, pcm))

    def played(self, at_s: float, unit: AVUnit) -> None:
        """Keep a unit's sound, and its mouth."""
        self._played.append((at_s, unit.pcm))
        if self._mouth is not None and self._shrinking is not None:
            self._shrinking.put(self._mouth.crop(unit.frame))

    def flushed(self, at_s: float) -> None:
        """Keep the time."""
        self._flushes.append(at_s)

    def close(self) -> None:
        """Wait for the last mouth."""
        if self._shrinking is not None:
            self._shrinking.close()
            self.cpu_s = self._shrinking.cpu_s

    def evidence(self, session: str, fps: int, zero_s: float) -> Evidence:
        """Everything recorded, on an axis that begins at `zero_s`; after `close`."""
        mouths = None
        if self._mouth is not None:
            mouths = np.stack(self._mouths) if self._mouths else np.zeros((0, *MOUTH_SHAPE), np.int16)
        return Evidence(
            session=session,
            fps=fps,
            caller_times_s=np.array([at_s for at_s, _ in self._heard]) - zero_s,
            caller_pcm=stacked([pcm for _, pcm in self._heard], HOP_SAMPLES),
            frame_times_s=np.array([at_s for at_s, _ in self._played]) - zero_s,
            persona_pcm=stacked([pcm for _, pcm in self._played], PLAYED_HZ // fps),
            mouths=mouths,
            flush_times_s=np.array(self._flushes) - zero_s,
        )


class Tap:
    """A `Transport` around another one that records what passes into a sink. Event loop only.

    `now` is the probe's own clock, seconds.
    """

    def __init__(
        self,
        inner: Transport,
        sink: EvidenceSink,
        *,
        room: RoomSound | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`room` is added to the caller's voice on its way to the conversation."""
        self.name, self.fps = inner.name, inner.fps
        self.open, self.due, self.heard_s = inner.open, inner.due, inner.heard_s
        self.reply_ended, self.notify = inner.reply_ended, inner.notify
        self.cpu_s = 0.0
        """What recording cost on the event loop."""
        self._inner = inner
        self._sink = sink
        self._room = room
        self._now = now
        self._zeros: list[float] = []

    @property
    def caller_over(self) -> bool:
        """As the transport inside says."""
        return self._inner.caller_over

    @property
    def pictures(self) -> Mapping[PictureName, LivePicture]:
        """As the transport inside shows."""
        return self._inner.pictures if isinstance(self._inner, ShowsPictures) else {}

    @property
    def zero_s(self) -> float:
        """When the conversation began, as near as the first microphone blocks tell."""
        return min(self._zeros, default=0.0)

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """The transport's blocks, with the room's sound."""
        async for block in self._inner.microphone():
            began = time.thread_time()
            given = block
            if self._room is not None:
                given = AudioBlock(self._room.add_to(block.pcm), block.start_s)
            at_s = self._now()
            self._sink.heard(at_s, given.pcm)
            if len(self._zeros) < _ZERO_BLOCKS:
                self._zeros.append(at_s - block.end_s)
            self.cpu_s += time.thread_time() - began
            yield given

    def present(self, unit: AVUnit) -> None:
        """Hand on a unit and record it."""
        self._inner.present(unit)
        began = time.thread_time()
        self._sink.played(self._now(), unit)
        if self._room is not None:
            self._room.played(unit.pcm)
        self.cpu_s += time.thread_time() - began

    def flush(self) -> None:
        """Flush, and record when."""
        self._inner.flush()
        self._sink.flushed(self._now())

    async def close(self) -> None:
        """Close the transport and the sink."""
        await self._inner.close()
        self._sink.close()
