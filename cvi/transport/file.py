"""A recorded caller in, a recorded conversation out, at the pace of real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, PLAYED_HZ, AudioBlock
from cvi.audio.level import faded_from
from cvi.clock import Clock
from cvi.errors import CviError
from cvi.media.encode import check_output, remux
from cvi.media.frames import AVUnit
from cvi.media.inset import room_for
from cvi.media.live_picture import FilmPicture, LivePicture
from cvi.media.readers import AudioReader, VideoReader
from cvi.media.recorder import Recorder, slice_end
from cvi.media.video import has_picture
from cvi.transport.base import PictureName
from cvi.transport.caller import CallerTrack
from cvi.transport.scenario import Scenario, split_by_silence

MOST_SCREEN_PX = 1920
"""A shared screen is looked at in this size at most."""


class FileTransport:
    """Plays `caller` into the conversation and records what is seen and heard.

    The caller's clock runs on, so that pauses, overlaps and interruptions happen as recorded; with
    `wait`, each segment starts 0.6 s after `reply_ended`, the first one too. Segments come from the
    scenario, or are what pauses of 1.2 s part.

    `recording` is written while the conversation runs and survives a crash; `close` makes `output`
    from it. With neither, nothing is recorded. `clock` is restarted by the conversation when it begins.
    """

    name = "file"

    def __init__(
        self,
        caller: Path | Scenario,
        output: Path | None,
        *,
        clock: Clock,
        fps: int = 25,
        width: int = 1280,
        height: int = 720,
        stereo: bool = False,
        wait: bool = False,
        recording: Path | None,
    ) -> None:
        assert output is None or recording is not None, "an output is made from a recording"
        self.fps = fps
        self.output = output
        self._scenario = caller if isinstance(caller, Scenario) else Scenario(caller)
        self._clock = clock
        self._size = (width, height)
        self._stereo = stereo
        self._wait = wait
        self._recording = recording
        self._sound: AudioReader | None = None
        self._film: VideoReader | None = None
        self._shown: dict[PictureName, FilmPicture] = {}
        self._recorder: Recorder | None = None
        self._track: CallerTrack
        self._left = asyncio.Event()
        self._heard_to = 0
        self._recorded_to = 0
        self._unit: AVUnit | None = None
        self._presented_s = 0.0
        self._closed = False

    async def open(self) -> None:
        """Raises UsageError for files that cannot be used, CviError when the recording cannot be made."""
        if self.output is not None:
            check_output(self.output)
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        path = self._scenario.audio
        self._sound = AudioReader(path)
        segments = (self._scenario.segments or split_by_silence(path)) if self._wait else None
        self._track = CallerTrack(self._sound, segments)
        film_path = self._scenario.picture or (path if has_picture(path) else None)
        if film_path is not None:
            self._shown["camera"] = FilmPicture(film_path, self._microphone_s, self._file_s)
        if (screen := self._scenario.screen) is not None:
            begins_s = self._scenario.screen_start_s
            self._shown["screen"] = FilmPicture(
                screen, self._microphone_s, lambda: self._file_s() - begins_s, MOST_SCREEN_PX, 1
            )
        if self._recording is None:
            return
        self._film = VideoReader(film_path, room_for(*self._size)) if film_path else None
        width, height = self._size
        self._recorder = Recorder(
            self._recording, width=width, height=height, fps=self.fps, stereo=self._stereo, film=self._film
        )

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """Block i is given at (i + 1) * 10 ms. Silence follows the caller's last word, until `leave`."""
        index = 0
        while not self._left.is_set():
            await self._clock.sleep_until((index + 1) * HOP_S)
            if self._left.is_set():
                return
            self._heard_to = (index + 1) * HOP_SAMPLES
            pcm = self._track.read(index * HOP_SAMPLES, self._heard_to)
            self._forget()
            yield AudioBlock(pcm, index * HOP_S)
            index += 1

    @property
    def pictures(self) -> Mapping[PictureName, LivePicture]:
        """The caller's picture, where the recording has one, and the screen that the scenario shares."""
        return self._shown

    def _microphone_s(self) -> float:
        return self._heard_to / HEARD_HZ

    def _file_s(self) -> float:
        return self._track.file_s(self._heard_to)

    @property
    def caller_over(self) -> bool:
        """The caller has said everything there is to say; only silence follows."""
        return self._track.over_at is not None and self._heard_to >= self._track.over_at

    @property
    def failure(self) -> CviError | None:
        """Why the recording ended early, if it did."""
        return self._recorder.failure if self._recorder else None

    @property
    def dropped_frames(self) -> int:
        """Frames the recorder had no time for."""
        return self._recorder.dropped_frames if self._recorder else 0

    def leave(self) -> None:
        """The participant goes: `microphone` ends with the block under way."""
        self._left.set()

    def reply_ended(self) -> None:
        """A reply (or the greeting, or the lack of one) is over; a waiting caller goes on."""
        self._track.reply_ended(self._clock.now())

    async def due(self, index: int) -> float:
        """Return at `index / fps` seconds of the conversation, which is when the unit is seen and heard."""
        await self._clock.sleep_until(index / self.fps)
        return index / self.fps

    def present(self, unit: AVUnit) -> None:
        """Units must come in order. Never blocks."""
        if self._closed:
            return
        self._record_last()
        self._unit = unit
        self._presented_s = unit.start_s + 1 / self.fps
        if unit.generation and unit.pcm.any():
            self._track.persona_heard(self._presented_s)

    def heard_s(self) -> float:
        """What has been presented is heard at its own time."""
        return min(self._clock.now(), self._presented_s)

    def flush(self) -> None:
        """What is left of the current slice fades out within 5 ms."""
        if self._unit is None:
            return
        now_s = self._clock.now()
        if now_s < self._presented_s:
            at = round((now_s - self._unit.start_s) * PLAYED_HZ)
            self._unit = replace(self._unit, pcm=faded_from(self._unit.pcm, at))
            self._presented_s = max(now_s, self._unit.start_s)

    def notify(self, event: str, text: str = "") -> None:
        """There is no display."""

    async def close(self) -> None:
        """Finish the recording and make the output of it. Raises CviError when either cannot be written."""
        if self._closed:
            return
        self._closed = True
        self.leave()
        if self._recorder is not None:
            self._record_last()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        try:
            if self._recorder is not None:
                self._recorder.close()
                if self.output is not None and self._recording is not None and not self._recorder.empty:
                    remux(self._recording, self.output)
        finally:
            for source in (self._sound, self._film, *self._shown.values()):
                if source is not None:
                    source.close()

    def _record_last(self) -> None:
        """Hand over the slice that is over: only now is it known what of it was heard."""
        unit, self._unit = self._unit, None
        if unit is None:
            return
        if self._recorder is not None:
            stop = slice_end(unit.index, self.fps)
            caller = self._track.read(self._recorded_to, stop)
            self._recorder.put(unit, caller, self._track.file_s(stop))
            self._recorded_to = stop
        self._forget()

    def _forget(self) -> None:
        self._track.forget(min(self._heard_to, self._recorded_to) if self._recorder else self._heard_to)
