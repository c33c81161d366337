"""The tap: an ear and an eye on the seam between a conversation and its transport.

It hands everything on untouched and takes down what passed, by a clock of its own. Where a transport
plays at once what it is given (the file transport does), the tap hears what a person would. Mouths are
made small on a thread of its own, so that the conversation never waits for the probe.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.resample import Resampler
from cvi.bench.probe.evidence import MOUTH_STEPS, Evidence, Mouths
from cvi.bench.probe.passing import ForwardingTransport
from cvi.media.frames import AVUnit, Frame
from cvi.threads import step_back
from cvi.transport.base import Transport

# A mouth is kept this small, whatever the picture's size: (rows, columns).
MOUTH_SHAPE = (20, 28)


@dataclass(frozen=True, slots=True)
class MouthBox:
    """Where in the picture the mouth is, pixels: rows `top` to `bottom`, columns `left` to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    def copied(self, frame: Frame) -> Frame:
        """The luma of an I420 frame within the box, a copy: what may wait where whole frames must not."""
        return frame[self.top : self.bottom, self.left : self.right].copy()

    def cut(self, frame: Frame) -> Mouths:
        """An I420 frame's mouth, (20, 28)."""
        return shrunk(frame[self.top : self.bottom, self.left : self.right])


def shrunk(luma: Frame) -> Mouths:
    """A mouth's luma, of any size, as it is kept: (20, 28)."""
    import cv2

    rows, columns = MOUTH_SHAPE
    small = cv2.resize(luma.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    mouth: Mouths = np.rint(small * MOUTH_STEPS).astype(np.int16)
    return mouth


class RoomSound:
    """What a room adds to the caller's voice: its noise, and the persona's own sound coming back."""

    def __init__(
        self, bed: Pcm | None = None, echo_db: float | None = None, echo_delay_ms: float = 0.0
    ) -> None:
        self._bed = bed
        self._bed_at = 0
        self._echo = 0.0 if echo_db is None else 10 ** (echo_db / 20)
        self._back = Resampler(PLAYED_HZ, HEARD_HZ)
        delay = round(echo_delay_ms * HEARD_HZ / 1000)
        self._coming: Pcm = np.zeros(delay, np.int16)

    def played(self, pcm: Pcm) -> None:
        """The persona's sound leaves the loudspeaker."""
        if self._echo:
            self._coming = np.concatenate([self._coming, self._back.push(pcm)])

    def around(self, voice: Pcm) -> Pcm:
        """The caller's voice with the room around it."""
        count = len(voice)
        sound = voice.astype(np.float32)
        if self._bed is not None:
            sound += np.take(self._bed, np.arange(self._bed_at, self._bed_at + count), mode="wrap")
            self._bed_at = (self._bed_at + count) % len(self._bed)
        if self._echo:
            back, self._coming = self._coming[:count], self._coming[count:]
            sound[: len(back)] += self._echo * back
        mixed: Pcm = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        return mixed


class Tap(ForwardingTransport):
    """Sees and hears what passes. Event loop only; `evidence` after `close`.

    `now` is the probe's own clock, seconds. `cpu_s` is what the tap itself cost.
    """

    def __init__(
        self,
        inner: Transport,
        session: str,
        *,
        mouth: MouthBox | None,
        room: RoomSound | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self.session = session
        self._room = room
        self._now = now
        self._heard: list[tuple[float, Pcm]] = []
        self._played: list[tuple[float, Pcm]] = []
        self._flushes: list[float] = []
        self._zeros: list[float] = []
        self._loop_cpu_s = 0.0
        self._eye = _Eye(mouth) if mouth is not None else None

    # -- what a conversation calls ----------------------------------------------------------------

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        async for block in super().microphone():
            began = time.thread_time()
            given = block
            if self._room is not None:
                given = AudioBlock(self._room.around(block.pcm), block.start_s)
            at_s = self._now()
            self._heard.append((at_s, given.pcm))
            if len(self._zeros) < 500:
                self._zeros.append(at_s - block.end_s)
            self._loop_cpu_s += time.thread_time() - began
            yield given

    def present(self, unit: AVUnit) -> None:
        super().present(unit)
        began = time.thread_time()
        self._played.append((self._now(), unit.pcm))
        if self._room is not None:
            self._room.played(unit.pcm)
        if self._eye is not None:
            self._eye.show(unit.frame)
        self._loop_cpu_s += time.thread_time() - began

    def flush(self) -> None:
        super().flush()
        self._flushes.append(self._now())

    async def close(self) -> None:
        await super().close()
        if self._eye is not None:
            self._eye.close()

    # -- what the bench calls ---------------------------------------------------------------------

    @property
    def cpu_s(self) -> float:
        return self._loop_cpu_s + (self._eye.cpu_s if self._eye is not None else 0.0)

    def evidence(self, zero_s: float | None = None) -> Evidence:
        """Everything taken down. Call it after `close`.

        Times begin where the conversation's do, so that its journal can be laid beside them: at `zero_s` on
        the probe's clock, or as near as the first microphone blocks tell. The differences between times are
        the probe's clock's alone.
        """
        if zero_s is None:
            zero_s = min(self._zeros, default=0.0)
        return Evidence(
            session=self.session,
            fps=self.fps,
            caller_times_s=np.array([at_s for at_s, _ in self._heard]) - zero_s,
            caller_pcm=_stacked([pcm for _, pcm in self._heard], HOP_SAMPLES),
            frame_times_s=np.array([at_s for at_s, _ in self._played]) - zero_s,
            persona_pcm=_stacked([pcm for _, pcm in self._played], PLAYED_HZ // self.fps),
            mouths=self._eye.mouths() if self._eye is not None else None,
            flush_times_s=np.array(self._flushes) - zero_s,
        )


def _stacked(blocks: list[Pcm], samples: int) -> Pcm:
    return np.stack(blocks) if blocks else np.zeros((0, samples), np.int16)


class _Eye:
    """Keeps the mouths of frames, in order, on a thread that lets others go first.

    On a busy machine that thread may be seconds behind: only the mouths wait for it, some 40 kB each, for
    a whole frame at 720p is 1.4 MB.
    """

    def __init__(self, box: MouthBox) -> None:
        self._box = box
        self._waiting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._mouths: list[Mouths] = []
        self.cpu_s = 0.0
        self._thread = threading.Thread(target=self._run, name="cvi-probe-eye", daemon=True)
        self._thread.start()

    def show(self, frame: Frame) -> None:
        self._waiting.put(self._box.copied(frame))

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def mouths(self) -> Mouths:
        return np.stack(self._mouths) if self._mouths else np.zeros((0, *MOUTH_SHAPE), np.int16)

    def _run(self) -> None:
        step_back(5)
        while (luma := self._waiting.get()) is not None:
            self._mouths.append(shrunk(luma))
        self.cpu_s = time.thread_time()
