"""The far end of a measured call: `python -m cvi.bench.remote_peer.endpoint`, a participant like a browser.

It offers, speaks Opus from an audio device's clock, has its camera on, holds back what it hears as a browser
does, and shows a picture when its sound is heard, or when it is decoded where that is later. Pictures are
only decoded when the call is over: on this one machine their decoding would take from the system under
measurement what a participant's own machine has.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtcpSrPacket

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.bench.probe.evidence import Evidence, Times, save_evidence, stacked
from cvi.bench.probe.tap import MouthBox, RoomSound
from cvi.bench.remote_peer.call import (
    TO_FAR_END,
    CallerOver,
    EndCall,
    RemotePeerCost,
    RemotePeerSpec,
    ReplyEnded,
    SdpAnswer,
    SdpOffer,
    ToFarEnd,
)
from cvi.bench.remote_peer.receivers import (
    PERIOD,
    PERIOD_S,
    AudioReceiver,
    Codec,
    PictureAssembler,
    PicturePacket,
    RtpTimeline,
    VideoReceiver,
)
from cvi.child_process import ParentPipe, claim_stdout
from cvi.errors import CviError
from cvi.media.decode import read_audio
from cvi.media.readers import AudioReader
from cvi.testing.webrtc_participant import WebRtcParticipant
from cvi.transport.caller import CallerTrack
from cvi.transport.scenario import Segment
from cvi.transport.webrtc.outgoing_audio import OpusEncoder

if TYPE_CHECKING:
    from av.packet import Packet

T = TypeVar("T")
SLICE_S = 0.020
SLICE = HEARD_HZ // 50
_RTP_SLICE = 960
# A reply is audible above -50 dB.
_AUDIBLE = 100
_NO_MOUTH = MouthBox(0, 2, 0, 2)
# aiortc keeps a receiver's buffer under this name: `cvi/transport/webrtc/peer.py` says more.
_BUFFER = "_RTCRtpReceiver__jitter_buffer"


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
        """The next packet. Raises MediaStreamError when the track is stopped."""
        self._wanted = True
        spoken = await self._slices.get() if self.readyState == "live" else None
        if spoken is None:
            raise MediaStreamError
        number, pcm = spoken
        return self._encoder.encode(pcm, number * _RTP_SLICE)

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._slices.put_nowait(None)


class AudioDevice:
    """A sound card with one clock: every 10 ms a period is played, every 20 ms a slice is spoken, at exact
    times. Event loop only.

    The caller's segments wait for replies as they do with the file transport: `reply_ended` begins the
    caller's time at its first call. `on_over` is called when everything has been said.
    """

    def __init__(
        self,
        receiver: AudioReceiver,
        track: MicrophoneTrack,
        room: RoomSound,
        sound: AudioReader,
        segments: Sequence[Segment],
        on_over: Callable[[], None],
    ) -> None:
        self.spoken: list[tuple[float, Pcm]] = []
        """When each slice had been spoken, and the slice with the room's sound."""
        self.held_s: list[float] = []
        """How long the receiver held back each period."""
        self.played: list[tuple[float, int, Pcm]] = []
        """When each period began to be heard, its position on the stream's axis, and the period."""
        self._receiver, self._track, self._room = receiver, track, room
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
        period = self._receiver.period(self._now_s)
        if period is None:
            return
        self.held_s.append(self._receiver.hold_s)
        self.played.append((self._now_s, self._receiver.began, period))
        self._room.played(period)
        if self._caller is not None and int(np.abs(period).max()) > _AUDIBLE:
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
        spoken = self._room.add_to(pcm)
        self.spoken.append((self._now_s, spoken))
        self._track.put(spoken)


class RemotePeer(WebRtcParticipant):
    """A participant that listens and looks as a browser does: `join`, then `reply_ended` as often as it
    happens, `leave`, `evidence`.

    Event loop only. Times are `time.monotonic`'s, which on one machine all processes share. Raises UsageError
    for a sound that cannot be read.
    """

    def __init__(self, spec: RemotePeerSpec, on_over: Callable[[], None]) -> None:
        self.audio = AudioReceiver()
        self.video = VideoReceiver(spec.mouth or _NO_MOUTH, spec.size)
        self.pictures = PictureAssembler()
        self._spec = spec
        self._sound = AudioReader(spec.audio)
        noise = read_audio(spec.noise) if spec.noise is not None else None
        track = MicrophoneTrack()
        self.device = AudioDevice(
            self.audio,
            track,
            RoomSound(noise, spec.echo_db, spec.echo_delay_ms),
            self._sound,
            spec.segments,
            on_over,
        )
        self._playing: asyncio.Task[None] | None = None
        super().__init__(camera=True, microphone=track)

    async def join(self, signal: Callable[[str], Awaitable[str]]) -> None:
        """Send an offer through `signal` and take its answer; from now on the audio device runs."""
        await super().join(signal)
        self._playing = asyncio.create_task(self.device.run(), name="audio-device")

    def reply_ended(self) -> None:
        """The persona's reply is over, or nothing was to be said: the caller may go on."""
        self.device.reply_ended()

    def cost(self, cpu_s: float, wall_s: float) -> RemotePeerCost:
        """What the call took and what did not arrive, after `leave`."""
        held_s = self.device.held_s
        return RemotePeerCost(
            cpu_s=cpu_s,
            wall_s=wall_s,
            lost=self.audio.lost,
            late=self.audio.late,
            dry=self.audio.dry,
            pictures_lost=self.pictures.lost + self.video.skipped + self.video.broken,
            held_ms=round(1000 * float(np.median(held_s)), 1) if held_s else 0.0,
            widths=tuple(sorted(self.video.widths)),
        )

    async def while_playing(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; raises what the audio device raised, should it fail before that."""
        assert self._playing is not None, "after `join`"
        working = asyncio.create_task(work)
        try:
            await asyncio.wait([working, self._playing], return_when=asyncio.FIRST_COMPLETED)
            if self._playing.done():
                await self._playing
            return await working
        finally:
            working.cancel()

    async def leave(self) -> None:
        """Hang up, and decode all the pictures that came."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        await super().leave()
        await asyncio.to_thread(self.video.close)
        self._sound.close()

    def evidence(self, zero_s: float) -> Evidence:
        """Everything recorded, after `leave`; `zero_s` is when the conversation began."""
        spoken, played = self.device.spoken, self.device.played
        heard_s = np.array([at_s for at_s, _, _ in played])
        decoded_s = np.array([at_s for at_s, _ in self.video.seen])
        media = np.array([at for _, at in self.video.seen], np.float64)
        shown_s = np.maximum(decoded_s, self._with_sound(media, heard_s))
        return Evidence(
            session=self._spec.session,
            fps=self._spec.fps,
            caller_times_s=np.array([at_s for at_s, _ in spoken]) - zero_s,
            caller_pcm=stacked([pcm for _, pcm in spoken], SLICE),
            frame_times_s=np.maximum.accumulate(shown_s) - zero_s,
            persona_pcm=stacked([pcm for _, _, pcm in played], PERIOD),
            mouths=self.video.mouths if self._spec.mouth is not None else None,
            flush_times_s=np.zeros(0),
            sound_times_s=heard_s - zero_s,
        )

    def _with_sound(self, media: Times, heard_s: Times) -> Times:
        """When the sound of each picture's timestamp was heard, by the sender's reports; long ago where
        nobody knows."""
        sound_zero_s, picture_zero_s = self.audio.timeline.zero_s, self.video.timeline.zero_s
        if sound_zero_s is None or picture_zero_s is None or not len(heard_s):
            return np.full(len(media), -np.inf)
        at_s = media / self.video.timeline.rate_hz + picture_zero_s - sound_zero_s
        began = np.array([position for _, position, _ in self.device.played]) / PLAYED_HZ
        return np.asarray(np.interp(at_s, began, heard_s, left=-np.inf, right=-np.inf))

    # -- what the connection gives ----------------------------------------------------------------

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(one for one in self.pc.getReceivers() if one.track is track)
        assert hasattr(receiver, _BUFFER), "this version of aiortc keeps its jitter buffer elsewhere"
        is_audio = track.kind == "audio"
        setattr(receiver, _BUFFER, _PacketSink(self._on_sound if is_audio else self._on_picture))
        _note_reports(receiver, self.audio.timeline if is_audio else self.video.timeline)

    def _on_sound(self, packet: Any) -> bool:
        self.audio.arrived(time.monotonic(), packet.timestamp, packet._data)
        return False

    def _on_picture(self, packet: Any) -> bool:
        now_s = time.monotonic()
        piece = PicturePacket(packet.timestamp, bool(packet.marker), packet._data)
        complete, lost = self.pictures.add(now_s, packet.sequence_number, piece)
        for timestamp, data in complete:
            self.video.show(now_s, self._codec(), timestamp, data)
        if lost:
            self.video.lost(now_s)
        return self.video.takes_key_wish(now_s)

    def _codec(self) -> Codec:
        """The persona's picture's, as it was answered."""
        from cvi.transport.webrtc.sdp import video_codec

        codec = video_codec(self.pc.remoteDescription.sdp)
        assert codec in ("H264", "VP8"), f"the picture comes as {codec}"
        return codec  # type: ignore[return-value]


class _PacketSink:
    """In the place of a receiver's jitter buffer: `take` gets the packets and aiortc decodes none. What it
    returns asks the sender for a key frame."""

    def __init__(self, take: Callable[[Any], bool]) -> None:
        self._take = take

    def add(self, packet: Any) -> tuple[bool, None]:
        return self._take(packet), None


def _note_reports(receiver: Any, timeline: RtpTimeline) -> None:
    """Sender reports tell what timestamps of sound and picture belong together."""
    handle = receiver._handle_rtcp_packet

    async def handle_and_note(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            timeline.reported(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_and_note


async def attend(pipe: ParentPipe[ToFarEnd]) -> None:
    """One call, from the spec to the evidence. Raises CviError."""
    spec = await _next(pipe)
    assert isinstance(spec, RemotePeerSpec), "the spec comes first"
    far_end = RemotePeer(spec, lambda: pipe.send(CallerOver()))

    async def signal(offer: str) -> str:
        pipe.send(SdpOffer(sdp=offer))
        answer = await _next(pipe)
        assert isinstance(answer, SdpAnswer), "an answer follows the offer"
        return answer.sdp

    began_cpu_s, began_s = time.process_time(), time.monotonic()
    try:
        await far_end.join(signal)
        while not isinstance(message := await far_end.while_playing(_next(pipe)), EndCall):
            if isinstance(message, ReplyEnded):
                far_end.reply_ended()
        cpu_s, wall_s = time.process_time() - began_cpu_s, time.monotonic() - began_s
    finally:
        await far_end.leave()
    await asyncio.to_thread(save_evidence, far_end.evidence(message.zero_s), spec.evidence)
    pipe.send(far_end.cost(cpu_s, wall_s))


async def _next(pipe: ParentPipe[ToFarEnd]) -> ToFarEnd:
    message = await pipe.receive()
    if message is None:
        raise CviError("The near end has gone.")
    return message


async def _run() -> int:
    pipe = ParentPipe(claim_stdout(), TO_FAR_END)
    await pipe.open()
    try:
        await attend(pipe)
    except CviError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await pipe.close()
    return 0


def main() -> None:
    """Attend one call; exit status 1 with a line on standard error for an error of ours."""
    # The audio device must not wait five milliseconds for another thread.
    sys.setswitchinterval(0.001)
    status = asyncio.run(_run())
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
