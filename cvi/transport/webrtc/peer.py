"""One connection to one participant, from its offer to its end.

What aiortc leaves closed is reached through its own parts, replaced on the instance: feedback of the
receiver (`feedback`), the way packets take (`path`), and the buffer incoming sound goes through. `aiortc`
is pinned to a minor version for it, and asserts fail where a later one has moved them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSctpTransport,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy

from cvi.errors import UsageError
from cvi.transport.webrtc.ice_path import IcePath
from cvi.transport.webrtc.incoming_video import LatestFrame, Source
from cvi.transport.webrtc.outgoing_audio import PersonaAudioTrack
from cvi.transport.webrtc.outgoing_video import PersonaVideoTrack
from cvi.transport.webrtc.rtcp import RtcpFeedback
from cvi.transport.webrtc.sdp import (
    check_offer,
    fingerprint,
    limit_incoming,
    prefer_codecs,
    video_codec,
)

CHANNEL = "cvi"
# H.264 first: encoding it takes less than half of VP8's time.
CODECS = ("H264", "VP8")
MOST_BUFFERED = 1 << 20
MOST_MESSAGE = 60_000
CLOSE_TIMEOUT_S = 5.0
DRAIN_S = 1.0
# What has left must arrive before the connection is closed over it.
ON_ITS_WAY_S = 0.1

log = logging.getLogger("cvi.transport.webrtc")


class PeerEvents(Protocol):
    """What a peer tells; on the event loop."""

    def connected(self, peer: Peer) -> None:
        """The connection is open, media flows."""

    def ended(self, peer: Peer) -> None:
        """The connection failed or was closed by the participant."""

    def message(self, peer: Peer, text: str) -> None:
        """Text came on the data channel."""

    def channel_opened(self, peer: Peer) -> None:
        """The data channel can be sent on."""

    def heard(self, peer: Peer, timestamp: int, payload: bytes) -> None:
        """An Opus packet of the participant's sound, with its RTP timestamp."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server: `urls` as "stun:host:port" or "turn:host:port?transport=udp"."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class Peer:
    """Event loop only. `picture` is None where only sound is sent."""

    def __init__(
        self,
        participant_id: str,
        events: PeerEvents,
        voice: PersonaAudioTrack,
        picture: PersonaVideoTrack | None,
        pictures: dict[Source, LatestFrame],
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self.participant_id = participant_id
        self.voice = voice
        self.picture = picture
        self.is_connected = False
        self.has_sound = False
        """Sound comes in: fifty packets a second, even when muted."""
        self.channel_dropped = 0
        self.feedback = RtcpFeedback()
        self._events = events
        self._pictures = pictures
        self._loop = asyncio.get_running_loop()
        self._channel: RTCDataChannel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sources: list[Source] = ["camera", "screen"]
        self._path: IcePath | None = None
        self._fingerprint = self._answer = ""
        self._closed = False
        servers = [RTCIceServer(list(s.urls), s.username, s.credential) for s in ice_servers]
        self._servers = servers
        # An empty list, not none: with none aiortc asks a public server.
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)

    async def answer(self, offer: str) -> str:
        """The answer to an offer, with every candidate in it. Raises UsageError for a wrong offer."""
        check_offer(offer)
        try:
            wanted = prefer_codecs(offer, CODECS)
            await self._pc.setRemoteDescription(RTCSessionDescription(wanted, "offer"))
        except Exception as error:
            # Anybody may send anything, and aiortc's parser answers it with any exception there is.
            raise UsageError(f"The offer cannot be read: {error or type(error).__name__}.") from error
        if self._pc.sctp is not None:
            guard(self._pc.sctp)
        sound, video = self._add_tracks()
        try:
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except (ValueError, InternalError) as error:
            raise UsageError(f"The offer cannot be answered: {error}.") from error
        self._path = IcePath(sound.transport.transport, self._servers)
        answer: str = self._pc.localDescription.sdp
        if self.picture is not None and video is not None:
            self.feedback.pace(video, self.picture)
            if (codec := video_codec(answer)) in CODECS:
                self.picture.codec = codec  # type: ignore[assignment]
        self._fingerprint, self._answer = fingerprint(offer), limit_incoming(answer)
        return self._answer

    async def restart(self, offer: str) -> str:
        """The answer to an offer of this very connection that looks for another way (an ICE restart).

        Raises UsageError for an offer of any other.
        """
        check_offer(offer)
        if self._path is None or not self.is_connected or fingerprint(offer) != self._fingerprint:
            raise UsageError("The connection is gone.", "Make a new one.")
        return await self._path.answer(offer, self._answer)

    def _add_tracks(self) -> tuple[RTCRtpSender, RTCRtpSender | None]:
        """Sound and, where one is wanted, picture."""
        kinds = [transceiver.kind for transceiver in self._pc.getTransceivers()]
        sound = self._pc.addTrack(self.voice)
        self.feedback.listen(sound, self.voice)
        if self.picture is None or "video" not in kinds:
            return sound, None
        video = self._pc.addTrack(self.picture)
        self.feedback.listen(video, self.picture)
        return sound, video

    def send(self, event: dict[str, Any]) -> bool:
        """One event as JSON text; False where there is no open channel, or too much waits in it."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return False
        text = json.dumps(event, ensure_ascii=False)
        if channel.bufferedAmount > MOST_BUFFERED or len(text) > MOST_MESSAGE:
            self.channel_dropped += 1
            return True
        channel.send(text)
        return True

    async def drain(self) -> None:
        """Return when every event has left, but not later than DRAIN_S."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        sent = asyncio.Event()
        channel.once("bufferedamountlow", sent.set)
        if channel.bufferedAmount:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await sent.wait()
        await asyncio.sleep(ON_ITS_WAY_S)

    async def measure(self) -> None:
        """Read the round trip's time from the connection's statistics."""
        for sender in self._pc.getSenders():
            report = await sender.getStats()
            for stats in report.values():
                rtt_s = getattr(stats, "roundTripTime", None)
                if rtt_s is not None:
                    self.feedback.rtt_s = float(rtt_s)
        if self.picture is not None:
            self.picture.rate.heard.rtt_s = self.feedback.rtt_s

    async def close(self) -> None:
        """Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self.voice.stop()
        if self.picture is not None:
            self.picture.stop()
        if self._path is not None:
            await self._path.close()
        # Where it hangs its sockets are closed with the process; nobody waits for this connection.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pc.close()
        for task in self._tasks:
            task.cancel()

    # -- what the connection tells ----------------------------------------------------------------

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "connected" and not self.is_connected:
            self.is_connected = True
            self.feedback.seen_s = self._loop.time()
            if self.picture is not None:
                self.picture.ask_key()
            self._events.connected(self)
        elif state in ("failed", "closed"):
            self.is_connected = False
            self._events.ended(self)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            receivers = [r for r in self._pc.getReceivers() if r.track is track]
            tap(receivers[0], self._heard)
        elif self._sources:
            kept = self._pictures[self._sources.pop(0)]
            self._tasks.append(asyncio.create_task(kept.follow(track), name=f"{track.kind}-in"))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._events.channel_opened(self)

    def _on_message(self, data: str | bytes) -> None:
        self.feedback.seen_s = self._loop.time()
        if isinstance(data, str):
            try:
                self._events.message(self, data)
            except Exception:  # it would end the connection, wherever it comes from
                log.exception("a message of the participant could not be handled")

    def _heard(self, timestamp: int, payload: bytes) -> None:
        self.feedback.seen_s = self._loop.time()
        self.has_sound = True
        self._events.heard(self, timestamp, payload)


def guard(sctp: RTCSctpTransport) -> None:
    """Let a message that claims to be text and is none be lost alone: aiortc would end the connection."""
    name = "_data_channel_receive"
    receive = getattr(sctp, name, None)
    assert receive is not None, "this version of aiortc receives elsewhere"

    async def guarded(*arguments: Any) -> None:
        try:
            await receive(*arguments)
        except (ValueError, IndexError, KeyError, AssertionError, struct.error) as error:
            log.warning("a message of the participant is not valid: %s", type(error).__name__)

    setattr(sctp, name, guarded)


def tap(receiver: RTCRtpReceiver, heard: Callable[[int, bytes], None]) -> None:
    """Give incoming packets (RTP timestamp, payload) to `heard`: aiortc's own buffer holds back 80 ms."""
    name = "_RTCRtpReceiver__jitter_buffer"
    assert hasattr(receiver, name), "this version of aiortc keeps its jitter buffer elsewhere"
    setattr(receiver, name, _Tap(heard))


class _Tap:
    """In the place of a receiver's jitter buffer; nothing is ever complete in it."""

    def __init__(self, heard: Callable[[int, bytes], None]) -> None:
        self._heard = heard

    def add(self, packet: Any) -> tuple[bool, None]:
        self._heard(packet.timestamp, packet._data)
        return False, None
