"""The far end of a call: a connection of its own, a caller at its microphone, an ear and an eye.

It goes the way a browser goes: it offers, speaks Opus from a sound card's clock, has its camera on, holds
back what it hears as a browser does, and shows a picture when its sound is heard, or as soon as it is
decoded where that is later. Pictures are only decoded when the call is over: on this one machine their
decoding would take from the system under measurement what a participant's own machine has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtp import RtcpSrPacket

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.probe.evidence import Evidence, Times
from cvi.bench.probe.tap import MouthBox, RoomSound
from cvi.bench.remote_peer.audio_device import SLICE, AudioDevice, MicrophoneTrack
from cvi.bench.remote_peer.audio_receiver import PERIOD, AudioReceiver
from cvi.bench.remote_peer.rtp_timestamps import RtpTimeline
from cvi.bench.remote_peer.spec import RemotePeerSpec
from cvi.bench.remote_peer.video_receiver import Codec, PictureAssembler, PicturePacket, VideoReceiver
from cvi.media.decode import read_audio
from cvi.media.readers import AudioReader
from cvi.testing.participant import CameraTrack
from cvi.transport.webrtc.peer import CHANNEL

T = TypeVar("T")
_NO_MOUTH = MouthBox(0, 2, 0, 2)
# aiortc keeps a receiver's buffer under this name: `cvi/transport/webrtc/peer.py` says more.
_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class RemotePeer:
    """Event loop only. `join`, then `reply_ended` as often as it happens, `leave`, then `evidence`.

    Times are `time.monotonic`'s, which on one machine all processes share. Raises UsageError for a sound
    that cannot be read.
    """

    def __init__(self, spec: RemotePeerSpec, on_over: Callable[[], None]) -> None:
        self.ear = AudioReceiver()
        self.eye = VideoReceiver(spec.mouth or _NO_MOUTH, spec.size)
        self.pictures = PictureAssembler()
        self._spec = spec
        self._sound = AudioReader(spec.audio)
        bed = read_audio(spec.bed) if spec.bed is not None else None
        voice = MicrophoneTrack()
        self.card = AudioDevice(
            self.ear,
            voice,
            RoomSound(bed, spec.echo_db, spec.echo_delay_ms),
            self._sound,
            spec.segments,
            on_over,
        )
        self._playing: asyncio.Task[None] | None = None
        # An empty list, not none: with none aiortc asks a public server.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._pc.addTrack(voice)
        self._pc.addTransceiver(CameraTrack(), "sendrecv")
        self._pc.createDataChannel(CHANNEL)
        self._pc.on("track", self._on_track)

    async def join(self, signal: Callable[[str], Awaitable[str]]) -> None:
        """Send an offer through `signal` and take its answer; from now on the sound card runs."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await signal(self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._playing = asyncio.create_task(self.card.run(), name="sound-card")

    def reply_ended(self) -> None:
        """The persona's reply is over, or nothing was to be said: the caller may go on."""
        self.card.reply_ended()

    async def while_playing(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; raises what the sound card raised, should it fail before that."""
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
        """Hang up, and look at all the pictures that came."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        await self._pc.close()
        await asyncio.to_thread(self.eye.close)
        self._sound.close()

    @property
    def held_ms(self) -> float:
        """How long the ear held sound back, the median over all periods."""
        held_s = self.card.held_s
        return round(1000 * float(np.median(held_s)), 1) if held_s else 0.0

    def evidence(self, zero_s: float) -> Evidence:
        """Everything taken down, after `leave`; `zero_s` is when the conversation began."""
        spoken, played = self.card.spoken, self.card.played
        heard_s = np.array([at_s for at_s, _, _ in played])
        decoded_s = np.array([at_s for at_s, _ in self.eye.seen])
        media = np.array([at for _, at in self.eye.seen], np.float64)
        shown_s = np.maximum(decoded_s, self._with_sound(media, heard_s))
        return Evidence(
            session=self._spec.session,
            fps=self._spec.fps,
            caller_times_s=np.array([at_s for at_s, _ in spoken]) - zero_s,
            caller_pcm=_stacked([pcm for _, pcm in spoken], SLICE),
            frame_times_s=np.maximum.accumulate(shown_s) - zero_s,
            persona_pcm=_stacked([pcm for _, _, pcm in played], PERIOD),
            mouths=self.eye.mouths if self._spec.mouth is not None else None,
            flush_times_s=np.zeros(0),
            sound_times_s=heard_s - zero_s,
        )

    def _with_sound(self, media: Times, heard_s: Times) -> Times:
        """When the sound of each picture's timestamp was heard, by the sender's reports; long ago where
        nobody knows."""
        sound_zero_s, picture_zero_s = self.ear.axis.zero_s, self.eye.axis.zero_s
        if sound_zero_s is None or picture_zero_s is None or not len(heard_s):
            return np.full(len(media), -np.inf)
        at_s = media / self.eye.axis.rate_hz + picture_zero_s - sound_zero_s
        began = np.array([position for _, position, _ in self.card.played]) / PLAYED_HZ
        return np.asarray(np.interp(at_s, began, heard_s, left=-np.inf, right=-np.inf))

    # -- what the connection gives ----------------------------------------------------------------

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(one for one in self._pc.getReceivers() if one.track is track)
        assert hasattr(receiver, _BUFFER), "this version of aiortc keeps its jitter buffer elsewhere"
        if track.kind == "audio":
            setattr(receiver, _BUFFER, _SoundPackets(self.ear))
            _hear_reports(receiver, self.ear.axis)
        else:
            setattr(receiver, _BUFFER, _PicturePackets(self.pictures, self.eye, self._codec))
            _hear_reports(receiver, self.eye.axis)

    def _codec(self) -> Codec:
        """The persona's picture's, as it was answered."""
        from cvi.transport.webrtc.sdp import video_codec

        codec = video_codec(self._pc.remoteDescription.sdp)
        assert codec in ("H264", "VP8"), f"the picture comes as {codec}"
        return codec  # type: ignore[return-value]


class _SoundPackets:
    """In the place of a receiver's jitter buffer: packets go to the ear, aiortc decodes none."""

    def __init__(self, ear: AudioReceiver) -> None:
        self._ear = ear

    def add(self, packet: Any) -> tuple[bool, None]:
        self._ear.arrived(time.monotonic(), packet.timestamp, packet._data)
        return False, None


class _PicturePackets:
    """The same for pictures; the first value asks the sender for a key frame."""

    def __init__(self, pictures: PictureAssembler, eye: VideoReceiver, codec: Callable[[], Codec]) -> None:
        self._pictures, self._eye, self._codec = pictures, eye, codec

    def add(self, packet: Any) -> tuple[bool, None]:
        now_s = time.monotonic()
        piece = PicturePacket(packet.timestamp, bool(packet.marker), packet._data)
        whole, lost = self._pictures.add(now_s, packet.sequence_number, piece)
        for timestamp, data in whole:
            self._eye.show(now_s, self._codec(), timestamp, data)
        if lost:
            self._eye.lost(now_s)
        return self._eye.takes_key_wish(now_s), None


def _hear_reports(receiver: Any, axis: RtpTimeline) -> None:
    """Sender reports tell what timestamps of sound and picture belong together."""
    handle = receiver._handle_rtcp_packet

    async def handle_and_note(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            axis.reported(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_and_note


def _stacked(blocks: list[Pcm], samples: int) -> Pcm:
    return np.stack(blocks) if blocks else np.zeros((0, samples), np.int16)
