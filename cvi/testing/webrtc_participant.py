"""A participant without a browser: offers, speaks a recording, notes what it hears and sees.

For the bench and for tests of a server; it goes the whole way a browser goes, through aiortc.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy

from cvi.audio.block import Pcm
from cvi.transport.webrtc.outgoing_audio import SLICE, SLICE_S, OpusEncoder
from cvi.transport.webrtc.peer import CHANNEL

if TYPE_CHECKING:
    from av.packet import Packet

CAMERA_FPS = 15


class WebRtcParticipant:
    """One connection; make another one to reconnect. Event loop only.

    `heard` holds (arrival, int16 mono at 48 kHz) and `seen` (arrival, media time in seconds, width,
    height) in order of arrival; times are the loop's. `events` holds what came over the channel.
    """

    def __init__(
        self,
        *,
        video: bool = True,
        camera: bool = False,
        screen: bool = False,
        microphone: MediaStreamTrack | None = None,
    ) -> None:
        """`microphone` takes the place of `mouth`, whose sound is then not sent."""
        self.heard: list[tuple[float, Pcm]] = []
        self.seen: list[tuple[float, float, int, int]] = []
        self.events: list[dict[str, Any]] = []
        # An empty list, not none: with none aiortc asks a public server.
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.mouth = SpokenTrack()
        self.arrived = asyncio.Event()
        """Set whenever something was heard, seen or told."""
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self.pc.addTrack(microphone or self.mouth)
        if video:
            self.pc.addTransceiver(CameraTrack() if camera else "video", "sendrecv" if camera else "recvonly")
            if screen:
                self.pc.addTransceiver(CameraTrack(640, 360), "sendonly")
        self.channel = self.pc.createDataChannel(CHANNEL)
        self.channel.on("message", self._told)
        self.pc.on("track", self._on_track)

    async def join(self, signal: Callable[[str], Awaitable[str]]) -> None:
        """Send an offer through `signal` and take its answer; returns before anything has arrived."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await signal(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def say(self, pcm: Pcm) -> None:
        """Speak int16 mono at PLAYED_HZ, after what is being spoken."""
        self.mouth.say(pcm)

    def send(self, event: dict[str, Any]) -> None:
        """Send an event, as soon as the channel is open."""
        if self.channel.readyState == "connecting":
            self.channel.once("open", lambda: self.send(event))
        else:
            self.channel.send(json.dumps(event))

    async def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
        """What `condition` gives as soon as that is true; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not (found := condition()):
                self.arrived.clear()
                await self.arrived.wait()
            return found

    def event(self, kind: str) -> dict[str, Any] | None:
        """The first event of a type, if it has come."""
        return next((event for event in self.events if event.get("event_type") == kind), None)

    async def leave(self) -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        await self.pc.close()

    def _told(self, text: str | bytes) -> None:
        self.events.append(json.loads(text))
        self.arrived.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        follow = self._listen if track.kind == "audio" else self._watch
        self._tasks.append(asyncio.create_task(follow(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            channels = len(frame.layout.channels)
            pcm = frame.to_ndarray().reshape(-1, channels)[:, 0].copy()
            self.heard.append((self._loop.time(), pcm))
            self.arrived.set()

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            self.seen.append((self._loop.time(), frame.time, frame.width, frame.height))
            self.arrived.set()


class SpokenTrack(MediaStreamTrack):
    """A microphone that speaks what it is given and silence between, at the pace of the loop's clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound: Pcm = np.zeros(0, np.int16)
        self._encoder = OpusEncoder()
        self._sent = 0
        self._zero_s: float | None = None

    def say(self, pcm: Pcm) -> None:
        """Speak int16 mono at PLAYED_HZ, after what is being spoken."""
        self._sound = np.concatenate([self._sound, pcm])

    @property
    def next_s(self) -> float:
        """When, on the loop's clock, the next slice begins: it leaves when it has been spoken."""
        loop = asyncio.get_running_loop()
        return loop.time() if self._zero_s is None else self._zero_s + (self._sent - 1) * SLICE_S

    async def recv(self) -> Packet[Any]:
        """The next 20 ms as an Opus packet, when they have been spoken."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self._zero_s is None:
            self._zero_s = loop.time()
        await asyncio.sleep(max(self._zero_s + self._sent * SLICE_S - loop.time(), 0.0))
        pcm, self._sound = self._sound[:SLICE], self._sound[SLICE:]
        self._sent += 1
        return self._encoder.encode(np.pad(pcm, (0, SLICE - len(pcm))), self._sent * 960)


class CameraTrack(MediaStreamTrack):
    """A grey picture whose brightness changes, CAMERA_FPS times a second."""

    kind = "video"

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self._size = (width, height)
        self._count = 0

    async def recv(self) -> Any:
        """The next frame, a frame period after the last."""
        import av

        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(1 / CAMERA_FPS)
        width, height = self._size
        plane = np.full((height * 3 // 2, width), 128, np.uint8)
        plane[:height] = 40 + self._count % 160
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts = self._count
        frame.time_base = Fraction(1, CAMERA_FPS)
        self._count += 1
        return frame
