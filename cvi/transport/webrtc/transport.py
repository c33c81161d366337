"""A live conversation with a participant behind a browser.

The conversation's clock paces everything: a unit is due at its own time and its sound leaves in slices
of 20 ms, each when it is due. While nobody is connected units are not due: what the persona has to say
waits, and goes on where it stopped when the participant is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cvi.audio.block import AudioBlock
from cvi.clock import Clock
from cvi.media.frames import AVUnit
from cvi.media.inset import room_for
from cvi.transport.live_recording import LiveRecording
from cvi.transport.webrtc.incoming_audio import IncomingAudio
from cvi.transport.webrtc.incoming_video import LatestFrame, Source
from cvi.transport.webrtc.outgoing_audio import PersonaAudioTrack
from cvi.transport.webrtc.outgoing_video import PersonaVideoTrack
from cvi.transport.webrtc.peer import IceServer, Peer, PeerEvents
from cvi.transport.webrtc.presence import ParticipantConnection, WebRtcEvents
from cvi.transport.webrtc.rate_control import RateControl

# A loop this late goes on from where it is; less it catches up.
CATCH_UP_S = 0.08
# A receiver's own buffer, beside what jitter adds to it: about one packet and a device's period.
RECEIVER_S = 0.04
MOST_DELAY_S = 0.3


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """What one moment of a connection looks like from here; rates in bit/s, times in seconds."""

    participant_id: str
    bitrate: int
    width: int
    height: int
    loss: float
    jitter_s: float
    rtt_s: float
    frames_sent: int
    frames_dropped: int
    key_frames: int
    encode_ms: float
    packets_lost: int


class WebRtcTransport:
    """One participant at a time. All methods are called on the event loop.

    `width` and `height` are the face's; `audio_only` sends no picture. With `recording` (and `output`)
    what was seen and heard is recorded as in FileTransport.

    >>> transport = WebRtcTransport(clock=clock, events=mine)
    >>> await transport.open()
    >>> answer = await transport.join(offer, participant_id="p1")
    """

    name = "webrtc"

    def __init__(
        self,
        *,
        clock: Clock,
        events: WebRtcEvents,
        fps: int = 25,
        width: int = 1280,
        height: int = 720,
        audio_only: bool = False,
        ice_servers: Sequence[IceServer] = (),
        recording: Path | None = None,
        output: Path | None = None,
        stereo: bool = False,
    ) -> None:
        self.fps = fps
        self._clock = clock
        self._size = (width, height)
        self._audio_only = audio_only
        self._ice_servers = tuple(ice_servers)
        self._log = LiveRecording(recording, output, width=width, height=height, fps=fps, stereo=stereo)
        self._loop = asyncio.get_running_loop()
        self._audio_in = IncomingAudio(self._loop.time)
        room = room_for(width, height)
        self.pictures: dict[Source, LatestFrame] = {"camera": LatestFrame(room), "screen": LatestFrame(room)}
        """What the participant shows, newest frame only: for perception and the recording's inset."""
        self._participant = ParticipantConnection(
            events, self._connection, self._audio_in.arrived, self._audio_in.restart
        )
        self._watch: asyncio.Task[None] | None = None
        self._shift_s = 0.0
        """How much later than its own time a unit is due: the sum of all pauses."""
        self._away_s: float | None = None
        """How much of that nobody was there for; None before the first unit. A film leaves it out."""
        self._presented_s = 0.0
        self._heard_s = 0.0
        self._closed = False

    # -- the participant comes and goes -----------------------------------------------------------

    async def join(self, offer: str, participant_id: str) -> str:
        """The answer to a participant's offer. One in whose place it comes is disconnected.

        Raises UsageError for an offer that cannot be answered; then nothing has changed.
        """
        return await self._participant.join(offer, participant_id)

    async def restart(self, offer: str, participant_id: str) -> str:
        """The answer to an offer of the connection that is there, which looks for another way (ICE restart).

        Raises UsageError when it is not there any more; then nothing has changed.
        """
        return await self._participant.restart(offer, participant_id)

    def _connection(self, participant_id: str, events: PeerEvents) -> Peer:
        width, height = self._size
        picture = None
        if not self._audio_only:
            picture = PersonaVideoTrack("H264", RateControl(width, height, self.fps), self._clock.now)
        voice = PersonaAudioTrack(self._clock.now)
        return Peer(participant_id, events, voice, picture, self.pictures, self._ice_servers)

    def leave(self, participant_id: str | None = None) -> None:
        """The participant has gone of their own will; another's id changes nothing."""
        self._participant.leave(participant_id)

    @property
    def _peer(self) -> Peer | None:
        return self._participant.peer

    @property
    def participant_id(self) -> str | None:
        """Whoever is connected or connecting."""
        return self._peer.participant_id if self._peer is not None else None

    @property
    def flowing(self) -> bool:
        """Somebody is connected, and their connection is alive."""
        return self._participant.flowing.is_set()

    @property
    def late_packets(self) -> int:
        """Packets of the participant's sound that came too late to be heard."""
        return self._audio_in.late

    @property
    def connection(self) -> ConnectionStats | None:
        """Figures of the connection as it is now."""
        peer = self._peer
        if peer is None:
            return None
        picture = peer.picture
        shape = picture.rate.current if picture is not None else None
        return ConnectionStats(
            participant_id=peer.participant_id,
            bitrate=shape.bitrate if shape is not None else 0,
            width=shape.width if shape is not None else 0,
            height=shape.height if shape is not None else 0,
            loss=picture.rate.heard.loss if picture is not None else 0.0,
            jitter_s=peer.feedback.sound_jitter_s,
            rtt_s=peer.feedback.rtt_s,
            frames_sent=picture.sent if picture is not None else 0,
            frames_dropped=picture.dropped if picture is not None else 0,
            key_frames=picture.keys if picture is not None else 0,
            encode_ms=1000 * picture.encode_s / max(picture.sent, 1) if picture is not None else 0.0,
            packets_lost=self._audio_in.lost,
        )

    def send(self, event: dict[str, Any]) -> None:
        """An event for the participant's channel; kept, to a bound, until there is an open one."""
        self._participant.send(event)

    def send_now(self, event: dict[str, Any]) -> None:
        """An event that means nothing later: lost while no channel is open."""
        if self._peer is not None:
            self._peer.send(event)

    async def drain(self) -> None:
        """Return when the channel has carried everything, or soon."""
        if self._peer is not None:
            await self._peer.drain()

    # -- the Transport ----------------------------------------------------------------------------

    @property
    def caller_over(self) -> bool:
        """A person is never over."""
        return False

    @property
    def dropped_frames(self) -> int:
        """Frames the recorder had no time for."""
        return self._log.dropped_frames

    async def open(self) -> None:
        """Raises CviError when a recording cannot be made. Participants may join from now on."""
        picture = None if self._audio_only else self.pictures["camera"]
        await asyncio.to_thread(self._log.open, picture)
        self._watch = asyncio.create_task(self._participant.watch_over(), name="webrtc-watch")

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """Without an end until `close`: silence while nobody is connected."""
        async for pcm, at_s in self._audio_in.blocks():
            start_s = at_s - self._loop.time() + self._clock.now()
            if self._participant.flowing.is_set():
                self._log.heard(AudioBlock(pcm, start_s - (self._away_s or 0.0)))
            yield AudioBlock(pcm, start_s)

    async def due(self, index: int) -> float:
        """Waits while nobody is there; after that, units are due later by as long as that took.

        A machine that is overloaded makes them later, too: that is heard as a pause, and recorded as one.
        """
        while True:
            away = self._away_s is None or not self._participant.flowing.is_set()
            await self._participant.flowing.wait()
            late_s = self._clock.now() - index / self.fps - self._shift_s
            if late_s > CATCH_UP_S:
                self._shift_s += late_s
            if away:
                self._away_s = (self._away_s or 0.0) + (late_s if late_s > CATCH_UP_S else 0.0)
            await self._clock.sleep_until(index / self.fps + self._shift_s)
            if self._participant.flowing.is_set():
                return index / self.fps + self._shift_s + self._delay_s

    def present(self, unit: AVUnit) -> None:
        """Queue the sound for its time and the frame for the encoder."""
        peer = self._peer
        if self._closed:
            return
        self._presented_s = unit.start_s + 1 / self.fps
        if peer is not None:
            at_s = unit.start_s + self._shift_s
            peer.voice.play(unit.pcm, at_s)
            if peer.picture is not None:
                peer.picture.show(unit.frame, at_s)
        lag = self._film_lag
        filmed = replace(unit, index=unit.index + lag, start_s=unit.start_s + lag / self.fps)
        self._log.presented(filmed, self.heard_s() + lag / self.fps)

    @property
    def _film_lag(self) -> int:
        """By how many frames the film is longer than what was presented: the pauses that were heard."""
        return round((self._shift_s - (self._away_s or 0.0)) * self.fps)

    @property
    def _delay_s(self) -> float:
        """From here to the participant's ear: half the round trip, and their buffer as jitter has it."""
        peer = self._peer
        if peer is None:
            return RECEIVER_S
        return min(peer.feedback.rtt_s / 2 + RECEIVER_S + 2 * peer.feedback.sound_jitter_s, MOST_DELAY_S)

    def heard_s(self) -> float:
        """What has been sent, less the time it takes to the ear. Only grows."""
        now_s = self._clock.now() - self._shift_s - self._delay_s
        self._heard_s = max(self._heard_s, min(now_s, self._presented_s))
        return self._heard_s

    def flush(self) -> None:
        """What has not been sent is not sent; the picture begins anew with a key frame."""
        peer = self._peer
        if peer is not None:
            sent_s = peer.voice.sent_s - self._shift_s
            self._presented_s = min(self._presented_s, max(sent_s, self._heard_s))
            peer.voice.flush()
            if peer.picture is not None:
                peer.picture.ask_key()
        self._log.cut(self._presented_s + self._film_lag / self.fps)

    def reply_ended(self) -> None:
        """A person knows by themselves when it is their turn."""

    def notify(self, event: str, text: str = "") -> None:
        """Clients are told by events made from the journal."""

    async def close(self) -> None:
        """Raises CviError when a recording or its output cannot be written."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._audio_in.close()
        await self._participant.close()
        await asyncio.to_thread(self._log.close)
