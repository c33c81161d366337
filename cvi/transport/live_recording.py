"""What a live conversation looked and sounded like, put on record once it is known what was heard."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.level import faded_from
from cvi.media.encode import check_output, remux
from cvi.media.frames import AVUnit
from cvi.media.inset import PictureSource
from cvi.media.recorder import Recorder, slice_end

# The microphone's blocks come this much later than what was played at the time, at most.
SETTLED_S = 0.30


class LiveRecording:
    """Without `recording` it does nothing. Event loop only, but for `open` and `close`, which block."""

    def __init__(
        self, recording: Path | None, output: Path | None, *, width: int, height: int, fps: int, stereo: bool
    ) -> None:
        assert output is None or recording is not None, "an output is made from a recording"
        self._recording, self._output = recording, output
        self._size, self._fps, self._stereo = (width, height), fps, stereo
        self._recorder: Recorder | None = None
        self._units: deque[AVUnit] = deque()
        self._caller: Pcm = np.zeros(0, np.int16)
        self._caller_from = 0

    def open(self, picture: PictureSource | None) -> None:
        """Raises UsageError, CviError."""
        if self._output is not None:
            check_output(self._output)
        if self._recording is not None:
            width, height = self._size
            self._recorder = Recorder(
                self._recording, width=width, height=height, fps=self._fps, stereo=self._stereo, film=picture
            )

    @property
    def dropped_frames(self) -> int:
        """Frames the recorder had no time for."""
        return self._recorder.dropped_frames if self._recorder else 0

    def heard(self, block: AudioBlock) -> None:
        """A block of the participant's sound, placed by its time."""
        if self._recorder is None:
            return
        at = round(block.start_s * HEARD_HZ) - self._caller_from
        if at < 0:
            return
        missing = max(at + len(block.pcm) - len(self._caller), 0)
        self._caller = np.pad(self._caller, (0, missing))
        self._caller[at : at + len(block.pcm)] = block.pcm

    def presented(self, unit: AVUnit, heard_s: float) -> None:
        """Keep a unit until it is known how much of it was heard, then record it. `heard_s` as in
        `Transport`."""
        if self._recorder is None:
            return
        self._units.append(unit)
        while self._units and self._units[0].start_s + 1 / self._fps + SETTLED_S < heard_s:
            self._put(self._units.popleft())

    def cut(self, heard_s: float) -> None:
        """What was presented for later than `heard_s` is not heard."""
        self._units = deque(
            replace(unit, pcm=faded_from(unit.pcm, round((heard_s - unit.start_s) * PLAYED_HZ)))
            if heard_s < unit.start_s + 1 / self._fps
            else unit
            for unit in self._units
        )

    def close(self) -> None:
        """Record what is left, and make the output of the recording. Blocks. Raises CviError."""
        if self._recorder is None:
            return
        while self._units:
            self._put(self._units.popleft())
        self._recorder.close()
        if self._output is not None and self._recording is not None and not self._recorder.empty:
            remux(self._recording, self._output)

    def _put(self, unit: AVUnit) -> None:
        assert self._recorder is not None
        count = slice_end(unit.index, self._fps) - self._caller_from
        caller = self._caller[:count]
        self._recorder.put(unit, np.pad(caller, (0, count - len(caller))), unit.start_s)
        self._caller = self._caller[count:].copy()
        self._caller_from += count
