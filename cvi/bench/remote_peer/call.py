"""The near end of a measured call: the transport rooms have, and the far end's process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvi.audio.block import AudioBlock
from cvi.bench.probe.evidence import Evidence, load_evidence
from cvi.bench.remote_peer.network_emulation import NetworkConditions, Relay
from cvi.bench.remote_peer.spec import LONGEST_LINE, RemotePeerSpec
from cvi.clock import Clock
from cvi.errors import CviError, MissingError
from cvi.media.frames import AVUnit

if TYPE_CHECKING:
    from cvi.transport.webrtc.presence import Presence

CONNECTS_WITHIN_S = 30.0
# The far end looks at a minute's pictures in some eight seconds when the call is over.
WRITES_WITHIN_S, WRITES_SHARE = 60.0, 0.5
_WHO = "far-end"


@dataclass(frozen=True, slots=True)
class RemotePeerCost:
    """What the far end took in the call, s of processor and of time, and what reached it: packets of sound
    that were lost or came too late, periods without sound, pictures lost or of no use without those, how long
    the ear held sound back, and the widths pictures had."""

    cpu_s: float
    wall_s: float
    lost: int
    late: int
    dry: int
    pictures_lost: int
    held_ms: float
    widths: tuple[int, ...]


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
        weather: NetworkConditions | None = None,
    ) -> None:
        """`weather` is what lies between the two ends. Raises MissingError where WebRTC is not installed."""
        try:
            from cvi.transport.webrtc.transport import WebRtcTransport
        except ImportError as error:
            raise MissingError(
                "WebRTC cannot be measured: aiortc is not installed.", "pip install 'cvi[server]'"
            ) from error
        self.fps = spec.fps
        self.cost: RemotePeerCost | None = None
        self._spec = spec
        self._clock = clock
        width, height = spec.size
        self._inner = WebRtcTransport(
            clock=clock,
            events=self,
            fps=spec.fps,
            width=width,
            height=height,
            recording=recording,
            stereo=True,
        )
        self._relay = Relay(weather) if weather is not None else None
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._gone = asyncio.Event()
        self._caller_over = False
        self._closed = False

    # -- the connection ---------------------------------------------------------------------------

    def presence(self, what: Presence, participant_id: str) -> None:
        """Joined, left, and for a moment out of reach."""
        if what == "joined":
            self._joined.set()

    def message(self, participant_id: str, text: str) -> None:
        """The far end says nothing over the channel."""

    async def open(self) -> None:
        """Returns when both ends are connected. Raises CviError when they do not come to be."""
        await self._inner.open()
        try:
            await self._call()
        except BaseException:
            self._closed = True
            await self._stop()
            await self._hang_up()
            raise

    async def _call(self) -> None:
        if self._relay is not None:
            await self._relay.open()
        with self._log.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cvi.bench.remote_peer"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                limit=LONGEST_LINE,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._write(self._spec.as_line())
        self._reading = asyncio.create_task(self._read(self._process), name="far-end")
        await self._unless_gone(self._joined, CONNECTS_WITHIN_S, "was not connected")

    async def _unless_gone(self, event: asyncio.Event, within_s: float, complaint: str) -> None:
        waiting = [asyncio.create_task(event.wait()), asyncio.create_task(self._gone.wait())]
        try:
            await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not event.is_set():
            raise self._failure(complaint)

    def _failure(self, complaint: str) -> CviError:
        told = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" It said: {told[-1]}" if told else ""
        return CviError(f"The far end of {self._spec.session} {complaint}.{last}", "Is the machine busy?")

    @property
    def _log(self) -> Path:
        return self._spec.evidence.with_suffix(".log")

    def _write(self, line: str) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(line.encode() + b"\n")

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                await self._told(json.loads(line))
        finally:
            self._gone.set()

    async def _told(self, message: dict[str, Any]) -> None:
        if "offer" in message:
            self._write(json.dumps({"answer": await self._answer(message["offer"])}))
        elif "over" in message:
            self._caller_over = True
        elif "done" in message:
            told = message["done"]
            self.cost = RemotePeerCost(**{**told, "widths": tuple(told["widths"])})

    async def _answer(self, offer: str) -> str:
        if self._relay is None:
            return await self._inner.join(offer, _WHO)
        return self._relay.answer(await self._inner.join(self._relay.offer(offer), _WHO))

    # -- the Transport ----------------------------------------------------------------------------

    @property
    def caller_over(self) -> bool:
        """The caller has said everything there is to say."""
        return self._caller_over

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """Ends when the far end is gone."""
        async for block in self._inner.microphone():
            if self._gone.is_set():
                return
            yield block

    async def due(self, index: int) -> float:
        return await self._inner.due(index)

    def present(self, unit: AVUnit) -> None:
        self._inner.present(unit)

    def heard_s(self) -> float:
        return self._inner.heard_s()

    def flush(self) -> None:
        self._inner.flush()

    def reply_ended(self) -> None:
        """The far end's caller may go on."""
        self._inner.reply_ended()
        self._write('{"reply_ended": true}')

    def notify(self, event: str, text: str = "") -> None:
        self._inner.notify(event, text)

    async def close(self) -> None:
        """Let the far end write down what it took down, then hang up. Raises CviError when it did not."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._process is not None:
                await self._end()
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        await self._inner.close()
        if self._relay is not None:
            self._relay.close()

    async def _end(self) -> None:
        try:
            self._write(json.dumps({"end": self.zero_s}))
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITES_WITHIN_S + WRITES_SHARE * self._clock.now()):
                    await self._gone.wait()
            if self.cost is None:
                raise self._failure("ended before its time")
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """The process is gone when this returns, and nothing of it stays but its evidence."""
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            self._reading.cancel()
        self._log.unlink(missing_ok=True)

    # -- what the bench asks ----------------------------------------------------------------------

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
