"""A live conversation on this machine: microphone, camera, loudspeaker, window.

The loudspeaker is the playout clock: units are due when the device has room, so that sound and
picture keep step however its clock runs. Over hours that clock and the conversation's part; in
moments of silence a unit of it is left out or added.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np

from cvi.audio.block import HOP_S, HOP_SAMPLES, PLAYED_HZ, AudioBlock
from cvi.audio.echo import EchoCanceller
from cvi.clock import Clock
from cvi.errors import MissingError
from cvi.media.frames import AVUnit
from cvi.media.inset import PictureSource, room_for
from cvi.media.live_picture import FilmPicture, LivePicture
from cvi.media.readers import AudioReader
from cvi.transport.base import PictureName
from cvi.transport.camera import open_camera
from cvi.transport.echo_control import SWEEP_S, EchoControl, EchoReport, judge_echo, sweep
from cvi.transport.live_recording import LiveRecording
from cvi.transport.sound_card import Device, Loudspeaker, Microphone
from cvi.transport.window import Control, Window

# What waits for the device at most; three units at 25 fps.
AHEAD_S = 0.120
# In silence nobody hears the device run dry, and a reply's first sound does not queue behind it. Speech
# then builds its reserve up over some units, as fast as their frames can be drawn.
AHEAD_SILENT_S = 0.060
AHEAD_STEP_S = 0.010
# Rooms and device buffers ring on after the last loud sample.
GATE_TAIL_S = 0.250
# Before and after the echo test's sweeps the microphone is heard for this long.
TEST_LEAD_S, TEST_TAIL_S = 0.3, 0.4
HALF_DUPLEX = "Loudspeaker: I cannot hear you while I speak (Space interrupts; --headphones to talk over me)"


class LocalTransport:
    """`camera` is a device number or a film, `microphone` a device (number or part of its name) or a
    recording, `speaker` a device; None is the machine's default microphone and loudspeaker, and no
    camera. Without `headphones` the persona's own sound is taken out of the microphone's; where a test at
    the start (`echo_test`) finds that too much of it stays, the microphone is silenced while it is heard.
    `noise_suppression` lowers steady noise.

    `on_control` is called on the event loop with "interrupt" and "quit"; on "quit" `microphone` ends
    too. With `recording` (and `output`) what was seen and heard is recorded as in FileTransport.
    """

    name = "local"

    def __init__(
        self,
        *,
        clock: Clock,
        fps: int = 25,
        width: int = 1280,
        height: int = 720,
        camera: int | Path | None = None,
        microphone: Device | Path = None,
        speaker: Device = None,
        window: bool = True,
        headphones: bool = False,
        echo_test: bool = True,
        noise_suppression: bool = False,
        title: str = "cvi",
        on_control: Callable[[Control], None] | None = None,
        recording: Path | None = None,
        output: Path | None = None,
        stereo: bool = False,
    ) -> None:
        self.fps = fps
        self.on_control = on_control
        self.muted = False
        self.gated_blocks = 0
        self._clock = clock
        self._ahead_s = AHEAD_SILENT_S
        self._size = (width, height)
        self._headphones = headphones
        self._echo_test = echo_test
        self._noise_suppression = noise_suppression
        self._echo: EchoControl | None = None
        self._suppressor: EchoCanceller | None = None
        self.echo_report: EchoReport | None = None
        """What the echo test found, where there was one."""
        self._camera_source = camera
        self._camera: PictureSource | None = None
        self._shown: LivePicture | None = None
        self._speaker = Loudspeaker(speaker)
        self._microphone = microphone if isinstance(microphone, Path) else Microphone(microphone, clock)
        self._sound: AudioReader | None = None
        self._with_window = window
        self._window: Window | None = None
        self._title = title
        self._coming: deque[asyncio.TimerHandle] = deque()
        self._log = LiveRecording(recording, output, width=width, height=height, fps=fps, stereo=stereo)
        self._left = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Raises MissingError for what is not there, UsageError for a wrong name or file."""
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.close)
            await self._open()
            undo.pop_all()

    async def _open(self) -> None:
        await asyncio.to_thread(self._speaker.open)
        if isinstance(self._microphone, Path):
            self._sound = await asyncio.to_thread(AudioReader, self._microphone)
        else:
            await self._microphone.open()
        if self._camera_source is not None:
            self._camera = await asyncio.to_thread(open_camera, self._camera_source, room_for(*self._size))
            if isinstance(self._camera_source, Path):
                self._shown = FilmPicture(self._camera_source, self._clock.now)
            elif isinstance(self._camera, LivePicture):
                self._shown = self._camera
        if self._with_window:
            self._window = Window(
                self._size,
                self._control_from_window,
                title=self._title,
                self_view=self._camera,
                now_s=self._clock.now,
            )
            await asyncio.to_thread(self._window.open)
        await asyncio.to_thread(self._log.open, self._camera)
        await self._open_echo_control()
        if self.half_duplex:
            self.notify("notice", HALF_DUPLEX)

    @property
    def pictures(self) -> Mapping[PictureName, LivePicture]:
        """The camera's picture, or the film's in its place; nothing without either."""
        return {} if self._shown is None else {"camera": self._shown}

    @property
    def half_duplex(self) -> bool:
        """Whether the microphone is silenced while the loudspeaker is heard; known once it is open."""
        # A recording in the microphone's place cannot hear the loudspeaker.
        return not self._headphones and self._sound is None and self._echo is None

    async def _open_echo_control(self) -> None:
        """Make what cleans the microphone's sound, and try it out."""
        if self._sound is not None:
            return
        if self._headphones:
            if self._noise_suppression:
                self._suppressor = EchoCanceller(echo=False, noise_suppression=True)
            return
        played = self._speaker.played
        assert played is not None
        try:
            control = EchoControl(played, EchoCanceller(noise_suppression=self._noise_suppression))
        except MissingError as error:
            self.notify("notice", str(error))
            return
        if self._echo_test:
            self.echo_report = await self._hear_sweep(control)
            self.notify("notice", str(self.echo_report))
            if not self.echo_report.safe:
                return
        self._echo = control

    async def _hear_sweep(self, control: EchoControl) -> EchoReport:
        assert isinstance(self._microphone, Microphone)
        near, far, cleaned = [], [], []
        sweeps, begun = sweep(), False
        until_s = self._clock.now() + TEST_LEAD_S + SWEEP_S + TEST_TAIL_S
        async for block in self._microphone.blocks():
            spoken_at = self._spoken_at(block)
            near.append(block.pcm)
            far.append(control.reference(spoken_at, len(block.pcm)))
            cleaned.append(control.clean(block.pcm, spoken_at))
            if not begun and block.start_s >= until_s - SWEEP_S - TEST_TAIL_S:
                begun = True
                # Before the conversation's time: what was heard of it starts at zero.
                self._speaker.write(-2 * SWEEP_S, sweeps)
            if block.end_s >= until_s:
                break
        return judge_echo(*(np.concatenate(part) for part in (near, far, cleaned)))

    def _spoken_at(self, block: AudioBlock) -> float:
        return time.monotonic() - (self._clock.now() - block.start_s)

    @property
    def caller_over(self) -> bool:
        """A recording in the microphone's place has come to its end; a person is never over."""
        return self._sound is not None and self._sound.over

    @property
    def counts(self) -> dict[str, int]:
        """What went wrong so far: device underflows, lost microphone blocks, frames not recorded."""
        lost = 0 if isinstance(self._microphone, Path) else self._microphone.overflows
        return {
            "underflows": self._speaker.underflows,
            "overflows": lost,
            "gated_blocks": self.gated_blocks,
            "dropped_frames": self._log.dropped_frames,
        }

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """Ends with `leave`, the quit key, or `close`."""
        blocks = self._recorded_blocks() if isinstance(self._microphone, Path) else self._microphone.blocks()
        async for block in blocks:
            if self._left.is_set():
                return
            heard = self._gated(block)
            self._log.heard(heard)
            yield heard

    async def _recorded_blocks(self) -> AsyncIterator[AudioBlock]:
        assert self._sound is not None
        index = 0
        while True:
            await self._clock.sleep_until((index + 1) * HOP_S)
            pcm = self._sound.read(HOP_SAMPLES)
            yield AudioBlock(np.pad(pcm, (0, HOP_SAMPLES - len(pcm))), index * HOP_S)
            index += 1

    def _gated(self, block: AudioBlock) -> AudioBlock:
        """The block, or silence while it would hold the persona's own voice."""
        gate = False
        if self.half_duplex:
            gate = self._spoken_at(block) < self._speaker.audible_until() + GATE_TAIL_S
            self.gated_blocks += gate
        elif self._echo is not None:
            block = AudioBlock(self._echo.clean(block.pcm, self._spoken_at(block)), block.start_s)
        elif self._suppressor is not None:
            block = AudioBlock(self._suppressor.clean(block.pcm), block.start_s)
        return AudioBlock(np.zeros_like(block.pcm), block.start_s) if gate or self.muted else block

    @property
    def dropped_frames(self) -> int:
        """Frames the recorder had no time for."""
        return self._log.dropped_frames

    def leave(self) -> None:
        """The participant goes: `microphone` ends."""
        self._left.set()

    def reply_ended(self) -> None:
        """A person knows by themselves when it is their turn."""

    async def due(self, index: int) -> float:
        """Return when the device has room for one more unit. Raises EngineError when it is gone."""
        await asyncio.sleep(0)
        while (excess_s := self._speaker.waiting_s - (self._ahead_s - 1 / self.fps)) > 0:
            self._speaker.check()
            await asyncio.sleep(max(excess_s, 0.002))
        return self._clock.now() + self._speaker.waiting_s + self._speaker.latency_s

    def present(self, unit: AVUnit) -> None:
        """Play the sound, and show the frame when the device plays it."""
        if self._closed:
            return
        delay_s = self._speaker.waiting_s + self._speaker.latency_s
        self._keep_step(unit, self._clock.now() + delay_s - self._speaker.latency_s - unit.start_s)
        if self._window is not None:
            while self._coming and self._coming[0].when() < self._loop.time():
                self._coming.popleft()
            self._coming.append(self._loop.call_later(delay_s, self._window.show, unit.frame))
        self._log.presented(unit, self.heard_s())

    def _keep_step(self, unit: AVUnit, behind_s: float) -> None:
        """Play the unit's sound; in silence, let the device catch up with the clock or wait for it."""
        silent = not unit.pcm.any()
        self._ahead_s = AHEAD_SILENT_S if silent else min(AHEAD_S, self._ahead_s + AHEAD_STEP_S)
        if silent and behind_s > 1.5 / self.fps:
            return
        if silent and behind_s < -1.5 / self.fps:
            self._speaker.write(unit.start_s, np.zeros(PLAYED_HZ // self.fps, np.int16))
        self._speaker.write(unit.start_s, unit.pcm)

    def heard_s(self) -> float:
        """The loudspeaker's position on the conversation's clock."""
        return self._speaker.heard_s()

    def flush(self) -> None:
        """Drop what waits for the device, and the frames that belong to it."""
        self._speaker.flush()
        while self._coming:
            self._coming.popleft().cancel()
        self._log.cut(self.heard_s())

    def notify(self, event: str, text: str = "") -> None:
        """`state`, `user_partial`, `user`, `persona`, `notice`: shown in the window."""
        if self._window is not None:
            self._window.say(event, text)

    async def close(self) -> None:
        """Raises CviError when a recording or its output cannot be written."""
        if self._closed:
            return
        self._closed = True
        self.leave()
        while self._coming:
            self._coming.popleft().cancel()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        try:
            self._log.close()
        finally:
            self._speaker.close()
            if isinstance(self._microphone, Microphone):
                self._loop.call_soon_threadsafe(self._microphone.close)
            film = self._shown if isinstance(self._shown, FilmPicture) else None
            for part in (self._window, self._camera, self._sound, film):
                if part is not None:
                    part.close()

    def _control_from_window(self, control: Control) -> None:
        self._loop.call_soon_threadsafe(self._control, control)

    def _control(self, control: Control) -> None:
        if control == "mute":
            self.muted = not self.muted
            self.notify("muted", "yes" if self.muted else "")
            return
        if control == "quit":
            self.leave()
        if self.on_control is not None:
            self.on_control(control)
