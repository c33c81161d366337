"""A soak's evidence on disk, and the series over time that are read from it.

A session in memory would over an hour be the very growth a soak looks for. So records of a fixed size are
written on a thread, and read back span by span.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HOP_SAMPLES, PLAYED_HZ, Pcm
from cvi.bench.probe.evidence import Evidence, Times
from cvi.bench.probe.mouth_motion import MouthAppearance
from cvi.bench.probe.session_measurement import MeasuredSession, measure, playout_of
from cvi.bench.probe.tap import MOUTH_SHAPE, BackgroundThread, MouthBox, shrink
from cvi.bench.probe.waveform import TimeSpan, speech_spans
from cvi.bench.run import Playout
from cvi.bench.statistics import theil_sen
from cvi.media.frames import AVUnit, Frame

UNITS, CALLER, FLUSHES = "units.bin", "caller.bin", "flushes.bin"
# Rests within one thing said: a breath between two sentences is no end of a turn.
CALLER_RESTS_S = 0.8
LONGEST_ANSWER_S = 12.0
_MINUTE_S = 60.0
_BLOCK = np.dtype([("t", "<f8"), ("pcm", "<i2", (HOP_SAMPLES,))])
_FLUSH = np.dtype("<f8")


class SpoolSink:
    """Writes a tap's records into `folder`, which exists: some 100 kB a second."""

    def __init__(self, folder: Path, fps: int, mouth: MouthBox) -> None:
        self.cpu_s = 0.0
        self._unit, self._mouth = _unit_dtype(fps), mouth
        self._files = {name: (folder / name).open("wb") for name in (UNITS, CALLER, FLUSHES)}
        self._writing: BackgroundThread[tuple[str, float, Pcm | None, Frame | None]]
        self._writing = BackgroundThread("cvi-soak-spool", self._write)

    def heard(self, at_s: float, pcm: Pcm) -> None:
        """Write a block of the caller's."""
        self._writing.put((CALLER, at_s, pcm, None))

    def played(self, at_s: float, unit: AVUnit) -> None:
        """Write a unit's sound and mouth."""
        self._writing.put((UNITS, at_s, unit.pcm, self._mouth.crop(unit.frame)))

    def flushed(self, at_s: float) -> None:
        """Write the time."""
        self._writing.put((FLUSHES, at_s, None, None))

    def close(self) -> None:
        """Write what is left."""
        self._writing.close()
        self.cpu_s = self._writing.cpu_s
        for file in self._files.values():
            file.close()

    def _write(self, item: tuple[str, float, Pcm | None, Frame | None]) -> None:
        name, at_s, pcm, mouth = item
        record: npt.NDArray[Any]
        if name == FLUSHES:
            record = np.array([at_s], _FLUSH)
        elif mouth is None:
            record = np.array([(at_s, pcm)], _BLOCK)
        else:
            record = np.array([(at_s, pcm, shrink(mouth))], self._unit)
        self._files[name].write(record.tobytes())


def read_spool(folder: Path, fps: int, span_s: float) -> Iterator[Evidence]:
    """What was written, in spans of `span_s`, the last one half to one and a half times as long; a last
    record cut short by a crash is left out."""
    units = _records(folder / UNITS, _unit_dtype(fps))
    caller = _records(folder / CALLER, _BLOCK)
    flushes = _records(folder / FLUSHES, _FLUSH)
    if not len(units):
        return
    begin, end = float(units["t"][0]), float(units["t"][-1])
    spans = max(1, round((end - begin) / span_s))
    for number in range(spans):
        first = begin + number * span_s
        last = first + span_s if number + 1 < spans else math.inf
        shown = units[(units["t"] >= first) & (units["t"] < last)]
        heard = caller[(caller["t"] >= first) & (caller["t"] < last)]
        if not len(shown):
            continue
        yield Evidence(
            session="soak",
            fps=fps,
            caller_times_s=np.array(heard["t"]) - begin,
            caller_pcm=np.array(heard["pcm"]),
            frame_times_s=np.array(shown["t"]) - begin,
            persona_pcm=np.array(shown["pcm"]),
            mouths=np.array(shown["mouth"]),
            flush_times_s=np.array(flushes[(flushes >= first) & (flushes < last)]) - begin,
        )


def began_s(folder: Path, fps: int) -> float | None:
    """When the first frame was shown, by the clock the tap was given; None where none was."""
    units = _records(folder / UNITS, _unit_dtype(fps))
    return float(units["t"][0]) if len(units) else None


def clear_spool(folder: Path) -> None:
    """Remove the records."""
    for name in (UNITS, CALLER, FLUSHES):
        (folder / name).unlink(missing_ok=True)


class SoakReading:
    """What was late, apart, or slow in answering; grows span by span. Series are (seconds since the first
    frame, value). Without an `appearance` the mouth at rest is learned from each span."""

    def __init__(self, appearance: MouthAppearance | None = None) -> None:
        self.late_per_min: list[tuple[float, float]] = []
        self.hand_over_ms: list[tuple[float, float]] = []
        self.answer_ms: list[tuple[float, float]] = []
        self._appearance = appearance
        self._spans: list[MeasuredSession] = []

    def add(self, evidence: Evidence) -> None:
        """The next span."""
        span = measure(evidence, (), np.zeros(0, np.int16), "cvi", self._appearance)
        self._spans.append(span)
        self._add_lateness(evidence.frame_times_s, np.array(span.lateness_s), 1 / evidence.fps)
        turns = speech_spans(evidence.caller(), join_s=CALLER_RESTS_S)
        self.answer_ms += answers_ms(turns, speech_spans(evidence.persona()))

    def playout(self) -> Playout:
        """How frames and sound came, over the whole soak."""
        drift = theil_sen([(at / _MINUTE_S, value) for at, value in self._av_offset_ms()])
        return playout_of(self._spans, (drift.value, drift.low, drift.high) if drift else None)

    def series(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """The series that are not empty, by their names in the record."""
        found = {
            "late_per_min": self.late_per_min,
            "hand_over_ms": self.hand_over_ms,
            "av_offset_ms": self._av_offset_ms(),
            "answer_ms": self.answer_ms,
        }
        return {name: tuple(points) for name, points in found.items() if points}

    def _av_offset_ms(self) -> list[tuple[float, float]]:
        return [(point.at_s, point.offset_ms) for span in self._spans for point in span.sync]

    def _add_lateness(self, times_s: Times, late_s: Times, period_s: float) -> None:
        minutes = np.floor(times_s / _MINUTE_S)
        for minute in np.unique(minutes):
            inside = late_s[minutes == minute]
            share = len(inside) * period_s / _MINUTE_S
            if share < 0.5:
                continue  # the last minute, hardly begun
            at_s = float((minute + 0.5) * _MINUTE_S)
            self.late_per_min.append((at_s, float((inside > period_s).sum()) / share))
            self.hand_over_ms.append((at_s, round(float(np.percentile(inside, 95)) * 1000, 2)))


def answers_ms(turns: Sequence[TimeSpan], replies: Iterable[TimeSpan]) -> list[tuple[float, float]]:
    """(seconds, ms): each turn that was answered before the next one, from its end to the first sound after
    it. What the persona was saying already is no answer."""
    found: list[tuple[float, float]] = []
    begins = np.array([span.start_s for span in replies])
    for number, turn in enumerate(turns):
        latest_s = turn.end_s + LONGEST_ANSWER_S
        until_s = min(turns[number + 1].start_s, latest_s) if number + 1 < len(turns) else latest_s
        after = begins[(begins >= turn.end_s) & (begins < until_s)]
        if len(after):
            found.append((round(turn.end_s, 3), round(float(after[0] - turn.end_s) * 1000, 1)))
    return found


def _unit_dtype(fps: int) -> np.dtype[np.void]:
    return np.dtype([("t", "<f8"), ("pcm", "<i2", (PLAYED_HZ // fps,)), ("mouth", "<i2", MOUTH_SHAPE)])


def _records(path: Path, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    count = path.stat().st_size // kind.itemsize if path.is_file() else 0
    if not count:
        return np.zeros(0, kind)
    return np.memmap(path, kind, mode="r", shape=(count,))
