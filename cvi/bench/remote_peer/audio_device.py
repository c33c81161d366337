"""The far end's sound card: one device clock for the loudspeaker and the microphone, and a caller at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.probe.tap import RoomSound
from cvi.bench.remote_peer.audio_receiver import PERIOD_S, AudioReceiver
from cvi.media.readers import AudioReader
from cvi.transport.caller import CallerTrack
from cvi.transport.scenario import Segment
from cvi.transport.webrtc.audio_output import OpusEncoder

if TYPE_CHECKING:
    from av.packet import Packet

SLICE_S = 0.020
SLICE = HEARD_HZ // 50
_RTP_SLICE = 960
# A reply is heard above -50 dB.
_HEARD = 100


class MicrophoneTrack(MediaStreamTrack):
    """What the microphone gives, as packets: `put` on the event loop, the sender calls `recv`.

    What is spoken before there is a sender is lost, as it is in a browser.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._encoder = OpusEncoder(HEARD_HZ)
        self._slices: asyncio.Queue[tuple[int, Pcm] | None] = asyncio.Queue()
        self._spoken = 0
        self._wanted = False

    def put(self, pcm: Pcm) -> None:
        """SLICE samples at HEARD_HZ that have just been spoken."""
        self._spoken += 1
        if self._wanted:
            self._slices.put_nowait((self._spoken, pcm))

    async def recv(self) -> Packet[Any]:
        self._wanted = True
        spoken = await self._slices.get() if self.readyState == "live" else None
        if spoken is None:
            raise MediaStreamError
        number, pcm = spoken
        return self._encoder.encode(pcm, number * _RTP_SLICE)

    def stop(self) -> None:
        super().stop()
        self._slices.put_nowait(None)


class AudioDevice:
    """Every 10 ms a period is played, every 20 ms a slice is spoken, at exact times; event loop only.

    The caller's segments wait for replies as they do with the file transport: `reply_ended` begins the
    caller's time at its first call. `on_over` is called when everything has been said.
    """

    def __init__(
        self,
        ear: AudioReceiver,
        voice: MicrophoneTrack,
        room: RoomSound,
        sound: AudioReader,
        segments: Sequence[Segment],
        on_over: Callable[[], None],
    ) -> None:
        self.spoken: list[tuple[float, Pcm]] = []
        """When each slice had been spoken, and the slice with the room around it."""
        self.held_s: list[float] = []
        """How long the ear held back each period."""
        self.played: list[tuple[float, int, Pcm]] = []
        """When each period began to be heard, its position on the stream's axis, and the period."""
        self._ear, self._voice, self._room = ear, voice, room
        self._sound, self._segments = sound, segments
        self._on_over: Callable[[], None] | None = on_over
        self._caller: CallerTrack | None = None
        self._begun_s = 0.0
        self._spoken_to = 0
        self._now_s = 0.0

    def reply_ended(self) -> None:
        """The caller may go on, a moment later."""
        if self._caller is None:
            self._caller = CallerTrack(self._sound, self._segments)
            self._begun_s = self._now_s
        self._caller.reply_ended(self._now_s - self._begun_s)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        zero_s, ticks = loop.time(), 0
        while True:
            self._now_s = zero_s + ticks * PERIOD_S
            await asyncio.sleep(max(self._now_s - loop.time(), 0.0))
            self._play()
            if ticks % 2 == 0:
                self._speak()
            ticks += 1

    def _play(self) -> None:
        period = self._ear.period(self._now_s)
        if period is None:
            return
        self.held_s.append(self._ear.hold_s)
        self.played.append((self._now_s, self._ear.began, period))
        self._room.played(period)
        if self._caller is not None and int(np.abs(period).max()) > _HEARD:
            self._caller.persona_heard(self._now_s + PERIOD_S - self._begun_s)

    def _speak(self) -> None:
        pcm = np.zeros(SLICE, np.int16)
        caller = self._caller
        if caller is not None:
            pcm = caller.read(self._spoken_to, self._spoken_to + SLICE)
            self._spoken_to += SLICE
            caller.forget(self._spoken_to)
            if self._on_over is not None and caller.over_at is not None and self._spoken_to >= caller.over_at:
                self._on_over()
                self._on_over = None
        spoken = self._room.around(pcm)
        self.spoken.append((self._now_s, spoken))
        self._voice.put(spoken)
