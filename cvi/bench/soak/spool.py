"""An ear and an eye for hours: what passes between conversation and transport goes to disk as it comes.

The probe's tap keeps a session in memory, which over an hour would be the very growth a soak looks for.
This one writes records of a fixed size on a thread of its own, and they are read back span by span.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.passing import ForwardingTransport
from cvi.bench.probe.tap import MOUTH_SHAPE, MouthBox, shrunk
from cvi.media.frames import AVUnit, Frame
from cvi.threads import step_back
from cvi.transport.base import Transport

UNITS, CALLER, FLUSHES = "units.bin", "caller.bin", "flushes.bin"
NO_BOX = MouthBox(0, 2, 0, 2)


class SpoolTap(ForwardingTransport):
    """Writes what passes into `folder`, which exists. Event loop only."""

    def __init__(
        self,
        inner: Transport,
        folder: Path,
        mouth: MouthBox | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._now = now
        self._writer = _Writer(folder, inner.fps, mouth or NO_BOX)

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        async for block in super().microphone():
            self._writer.heard(self._now(), block.pcm)
            yield block

    def present(self, unit: AVUnit) -> None:
        super().present(unit)
        self._writer.played(self._now(), unit.pcm, unit.frame)

    def flush(self) -> None:
        super().flush()
        self._writer.flushed(self._now())

    async def close(self) -> None:
        await super().close()
        self._writer.close()


def read_spool(folder: Path, fps: int, span_s: float) -> Iterator[Evidence]:
    """What was taken down, in spans of `span_s`, the last one half to one and a half times as long; a last
    record cut short by a crash is left out."""
    units = _records(folder / UNITS, _unit_dtype(fps))
    caller = _records(folder / CALLER, _BLOCK)
    flushes = _records(folder / FLUSHES, np.dtype("<f8"))
    if not len(units):
        return
    begin, end = float(units["t"][0]), float(units["t"][-1])
    spans = max(1, round((end - begin) / span_s))
    for number in range(spans):
        first = begin + number * span_s
        last = first + span_s if number + 1 < spans else math.inf
        there = units[(units["t"] >= first) & (units["t"] < last)]
        heard = caller[(caller["t"] >= first) & (caller["t"] < last)]
        if not len(there):
            continue
        yield Evidence(
            session="soak",
            fps=fps,
            caller_times_s=np.array(heard["t"]) - begin,
            caller_pcm=np.array(heard["pcm"]),
            frame_times_s=np.array(there["t"]) - begin,
            persona_pcm=np.array(there["pcm"]),
            mouths=np.array(there["mouth"]),
            flush_times_s=np.array(flushes[(flushes >= first) & (flushes < last)]) - begin,
        )


def began_s(folder: Path, fps: int) -> float | None:
    """When the first frame was shown, by the clock the tap was given; None where none was."""
    units = _records(folder / UNITS, _unit_dtype(fps))
    return float(units["t"][0]) if len(units) else None


def clear_spool(folder: Path) -> None:
    """Remove the records: some 100 kB a second."""
    for name in (UNITS, CALLER, FLUSHES):
        (folder / name).unlink(missing_ok=True)


class _Writer:
    """Takes records on the event loop, writes on a thread of its own.

    On a busy machine that thread may be seconds behind. Whole frames waiting for it would be the growth
    that a soak looks for, so what waits is the mouth alone.
    """

    def __init__(self, folder: Path, fps: int, mouth: MouthBox) -> None:
        self._unit, self._mouth = _unit_dtype(fps), mouth
        self._files = {name: (folder / name).open("wb") for name in (UNITS, CALLER, FLUSHES)}
        self._waiting: queue.SimpleQueue[tuple[str, float, Pcm | None, Frame | None] | None]
        self._waiting = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="cvi-soak-spool", daemon=True)
        self._thread.start()

    def heard(self, at_s: float, pcm: Pcm) -> None:
        self._waiting.put((CALLER, at_s, pcm, None))

    def played(self, at_s: float, pcm: Pcm, frame: Frame) -> None:
        self._waiting.put((UNITS, at_s, pcm, self._mouth.copied(frame)))

    def flushed(self, at_s: float) -> None:
        self._waiting.put((FLUSHES, at_s, None, None))

    def close(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        step_back(5)
        try:
            while (item := self._waiting.get()) is not None:
                name, at_s, pcm, mouth = item
                record: npt.NDArray[Any]
                if name == FLUSHES:
                    record = np.array([at_s], "<f8")
                elif name == CALLER:
                    record = np.array([(at_s, pcm)], _BLOCK)
                else:
                    assert mouth is not None
                    record = np.array([(at_s, pcm, shrunk(mouth))], self._unit)
                self._files[name].write(record.tobytes())
        finally:
            for file in self._files.values():
                file.close()


_BLOCK = np.dtype([("t", "<f8"), ("pcm", "<i2", (HOP_SAMPLES,))])


def _unit_dtype(fps: int) -> np.dtype[np.void]:
    return np.dtype([("t", "<f8"), ("pcm", "<i2", (PLAYED_HZ // fps,)), ("mouth", "<i2", MOUTH_SHAPE)])


def _records(path: Path, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    count = path.stat().st_size // kind.itemsize if path.is_file() else 0
    if not count:
        return np.zeros(0, kind)
    return np.memmap(path, kind, mode="r", shape=(count,))
