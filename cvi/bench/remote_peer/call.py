"""The near end of a measured call: the transport that rooms have, the far end's process, and what the two
ends say to each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cvi.audio.block import AudioBlock
from cvi.bench.probe.evidence import Evidence, load_evidence
from cvi.bench.probe.tap import MouthBox
from cvi.child_process import ChildProcess, module_command
from cvi.clock import Clock
from cvi.errors import CviError, MissingError
from cvi.testing.network_emulation import NetworkConditions, Relay
from cvi.transport.scenario import Segment

if TYPE_CHECKING:
    from cvi.transport.webrtc.presence import Presence

CONNECTS_WITHIN_S = 30.0
# The far end decodes a minute's pictures in some eight seconds when the call is over.
WRITES_WITHIN_S, WRITES_SHARE = 60.0, 0.5
_PARTICIPANT = "far-end"


class RemotePeerSpec(BaseModel):
    """One call, the first message to the far end. `size` (width, height) is the face's, which `mouth` is
    about; without a mouth no picture is recorded. `noise` is the room's, `echo_db` and `echo_delay_ms` as in
    `RoomSound`. What was recorded is written to `evidence`."""

    model_config = ConfigDict(frozen=True)

    type: Literal["spec"] = "spec"
    session: str
    fps: int
    size: tuple[int, int]
    audio: Path
    segments: tuple[Segment, ...]
    evidence: Path
    mouth: MouthBox | None = None
    noise: Path | None = None
    echo_db: float | None = None
    echo_delay_ms: float = 0.0


class SdpAnswer(BaseModel):
    """To the far end: the answer to its offer."""

    type: Literal["answer"] = "answer"
    sdp: str


class ReplyEnded(BaseModel):
    """To the far end: its caller may go on."""

    type: Literal["reply_ended"] = "reply_ended"


class EndCall(BaseModel):
    """To the far end: hang up. `zero_s` is when the conversation began, on `time.monotonic`."""

    type: Literal["end"] = "end"
    zero_s: float


class SdpOffer(BaseModel):
    """From the far end: the description of its connection."""

    type: Literal["offer"] = "offer"
    sdp: str


class CallerOver(BaseModel):
    """From the far end: its caller has said everything."""

    type: Literal["caller_over"] = "caller_over"


class RemotePeerCost(BaseModel):
    """From the far end, the last message: what it took in the call, s of processor and of time, and what
    reached it. Packets of sound that were lost or came too late, periods without sound, pictures lost or of
    no use without those, how long sound was held back, and the widths pictures had."""

    type: Literal["cost"] = "cost"
    cpu_s: float
    wall_s: float
    lost: int
    late: int
    dry: int
    pictures_lost: int
    held_ms: float
    widths: tuple[int, ...]


ToFarEnd = RemotePeerSpec | SdpAnswer | ReplyEnded | EndCall
FromFarEnd = SdpOffer | CallerOver | RemotePeerCost
TO_FAR_END: TypeAdapter[ToFarEnd] = TypeAdapter(Annotated[ToFarEnd, Field(discriminator="type")])
FROM_FAR_END: TypeAdapter[FromFarEnd] = TypeAdapter(Annotated[FromFarEnd, Field(discriminator="type")])


class RemotePeerCall:
    """A `Transport`: WebRTC over this machine's own network to a participant in another process.

    Event loop only. After `close`, `evidence` is what that participant heard and saw, `cost` what it took.
    """

    name = "webrtc"

    def __init__(
        self,
        spec: RemotePeerSpec,
        *,
        clock: Clock,
        recording: Path | None = None,
        network: NetworkConditions | None = None,
    ) -> None:
        """`network` is what lies between the two ends. Raises MissingError where WebRTC is not installed."""
        try:
            from cvi.transport.webrtc.transport import WebRtcTransport
        except ImportError as error:
            raise MissingError(
                "WebRTC cannot be measured: aiortc is not installed.", "pip install 'cvi-local[server]'"
            ) from error
        width, height = spec.size
        inner = WebRtcTransport(
            clock=clock,
            events=self,
            fps=spec.fps,
            width=width,
            height=height,
            recording=recording,
            stereo=True,
        )
        self.fps = spec.fps
        self.due, self.present, self.heard_s = inner.due, inner.present, inner.heard_s
        self.flush, self.notify = inner.flush, inner.notify
        self.caller_over = False
        """The caller has said everything."""
        self.cost: RemotePeerCost | None = None
        self._inner = inner
        self._spec = spec
        self._clock = clock
        self._relay = Relay(network) if network is not None else None
        self._log = spec.evidence.with_suffix(".log")
        self._far_end = ChildProcess(
            module_command("cvi.bench.remote_peer.endpoint"), self._log, FROM_FAR_END, self._on_message
        )
        self._ended: asyncio.Task[int] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._closed = False

    # -- the connection ---------------------------------------------------------------------------

    def presence(self, what: Presence, participant_id: str) -> None:
        """The participant joined, left, or is out of reach for a moment."""
        if what == "joined":
            self._joined.set()

    def message(self, participant_id: str, text: str) -> None:
        """The far end sends nothing over the data channel."""

    async def open(self) -> None:
        """Return when both ends are connected. Raises CviError when they do not come to be."""
        await self._inner.open()
        async with AsyncExitStack() as undo:  # a cancelled call too must leave no process behind
            undo.push_async_callback(self._hang_up)
            undo.push_async_callback(self._stop)
            await self._connect()
            undo.pop_all()

    async def _connect(self) -> None:
        if self._relay is not None:
            await self._relay.open()
        await self._far_end.start()
        self._ended = asyncio.create_task(self._far_end.wait(), name="far-end")
        self._far_end.send(self._spec)
        joining = asyncio.create_task(self._joined.wait())
        await asyncio.wait(
            [joining, self._ended], timeout=CONNECTS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        joining.cancel()
        if not self._joined.is_set():
            raise self._failure("was not connected")

    def _on_message(self, message: FromFarEnd) -> None:
        match message:
            case SdpOffer(sdp=sdp):
                self._answering = asyncio.create_task(self._answer(sdp))
            case CallerOver():
                self.caller_over = True
            case RemotePeerCost():
                self.cost = message

    async def _answer(self, offer: str) -> None:
        with ExitStack() as undo:
            undo.callback(self._far_end.kill)  # nobody waits any longer
            if self._relay is None:
                answer = await self._inner.join(offer, _PARTICIPANT)
            else:
                answer = self._relay.answer(await self._inner.join(self._relay.offer(offer), _PARTICIPANT))
            undo.pop_all()
        self._far_end.send(SdpAnswer(sdp=answer))

    def _failure(self, complaint: str) -> CviError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" It said: {lines[-1]}" if lines else ""
        return CviError(f"The far end of {self._spec.session} {complaint}.{last}", "Is the machine busy?")

    # -- the rest of the Transport ------------------------------------------------------------------

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """The participant's sound; ends when the far end is gone."""
        async for block in self._inner.microphone():
            if self._ended is None or self._ended.done():
                return
            yield block

    def reply_ended(self) -> None:
        """The far end's caller may go on."""
        self._inner.reply_ended()
        self._far_end.send(ReplyEnded())

    async def close(self) -> None:
        """Let the far end write what it recorded, then hang up. Raises CviError when it did not."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._ended is not None:
                self._far_end.send(EndCall(zero_s=self.zero_s))
                await asyncio.wait([self._ended], timeout=WRITES_WITHIN_S + WRITES_SHARE * self._clock.now())
                if self.cost is None:
                    raise self._failure("ended before its time")
        finally:
            await self._stop()
            await self._hang_up()

    async def _hang_up(self) -> None:
        self._closed = True
        await self._inner.close()
        if self._relay is not None:
            self._relay.close()

    async def _stop(self) -> None:
        """The process is gone when this returns, and of its files only the evidence stays."""
        if self._ended is not None:
            self._far_end.kill()
            await self._ended
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
        self._log.unlink(missing_ok=True)

    # -- for the bench ----------------------------------------------------------------------------

    @property
    def late_packets(self) -> int:
        """Of the caller's sound, those that came after their time."""
        return self._inner.late_packets

    @property
    def zero_s(self) -> float:
        """When the conversation began, on `time.monotonic`."""
        return time.monotonic() - self._clock.now()

    def evidence(self) -> Evidence:
        """What the participant heard and saw, after `close`. Raises UsageError when there is none."""
        try:
            return load_evidence(self._spec.evidence)
        finally:
            self._spec.evidence.unlink(missing_ok=True)
