"""One conversation with a peer: a recorded caller in at the pace of real time, what is heard out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.ab.ear import Ear
from cvi.bench.ab.peer import BLOCK_S, BLOCK_SAMPLES, Peer
from cvi.bench.probe.tap import RoomSound
from cvi.clock import Clock
from cvi.media.readers import AudioReader
from cvi.transport.caller import PATIENCE_S, CallerTrack
from cvi.transport.scenario import Scenario, split_by_silence

# A reply is over when nothing was heard for so long: longer than a pause between two sentences.
REPLY_OVER_S = 1.2


@dataclass(frozen=True, slots=True)
class Heard:
    """Both sides on one axis from the conversation's beginning, int16: `caller` (n,) at HEARD_HZ, with the
    room's noise as the peer heard it; `peer` (m,) at PLAYED_HZ.

    `worst_lag_ms`: how late a block of the caller's sound was handed over at most. A peer, or a machine,
    that holds the caller up by more than a block spoils the measurement.
    """

    caller: Pcm
    peer: Pcm
    worst_lag_ms: float


async def converse(
    peer: Peer,
    scenario: Scenario,
    clock: Clock,
    *,
    wait: bool = True,
    room: RoomSound | None = None,
    progress: Callable[[float], None] = lambda now_s: None,
) -> Heard:
    """Hold it to its end: the caller has said everything, and the last answer is over (or never came).

    The peer is open. With `wait`, each segment starts 0.6 s after the answer to the one before is over,
    or when there was none for 12 s; else the recording runs on at its own pace. `room` is what is heard
    beside the caller. `clock` is restarted.
    Raises EngineError when the peer fails.
    """
    ear = Ear(peer.out_hz)
    sound = AudioReader(scenario.audio)  # blocks for milliseconds, before the clock starts
    try:
        segments = (scenario.segments or split_by_silence(scenario.audio)) if wait else None
        call = _Call(CallerTrack(sound, segments), ear, room or RoomSound(), wait)
        clock.restart()
        listening = asyncio.create_task(_listen(peer, ear, clock))
        try:
            while not call.over:
                await clock.sleep_until(call.heard_to_s + BLOCK_S)
                if listening.done():
                    listening.result()
                await peer.hear(call.next_block(clock.now()))
                progress(call.heard_to_s)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    finally:
        sound.close()
    ear.finish()
    caller = call.caller()
    return Heard(caller, ear.sound(len(caller) / HEARD_HZ), call.worst_lag_s * 1000)


async def _listen(peer: Peer, ear: Ear, clock: Clock) -> None:
    async with aclosing(peer.speech()) as speech:
        async for pcm in speech:
            if pcm is None:
                ear.forget(clock.now())
            else:
                ear.hear(pcm, clock.now())


class _Call:
    """Where the caller is in what it has to say, and whether it is answered."""

    def __init__(self, track: CallerTrack, ear: Ear, room: RoomSound, wait: bool) -> None:
        self._track = track
        self._ear = ear
        self._room = room
        self._wait = wait
        self._blocks: list[Pcm] = []
        self._answer_over = False
        self.worst_lag_s = 0.0

    @property
    def heard_to_s(self) -> float:
        return len(self._blocks) * BLOCK_S

    def next_block(self, now_s: float) -> Pcm:
        """20 ms more of the caller, which end now."""
        start = len(self._blocks) * BLOCK_SAMPLES
        self.worst_lag_s = max(self.worst_lag_s, now_s - self.heard_to_s - BLOCK_S)
        self._room.played(self._ear.between(self.heard_to_s - BLOCK_S, self.heard_to_s))
        pcm = self._room.around(self._track.read(start, start + BLOCK_SAMPLES))
        self._track.forget(start)
        self._blocks.append(pcm)
        self._answer(self.heard_to_s)
        return pcm

    @property
    def over(self) -> bool:
        over_at = self._track.over_at
        if over_at is None or self.heard_to_s * HEARD_HZ <= over_at:
            return False
        silent_s = self.heard_to_s - max(over_at / HEARD_HZ, self._ear.last_voice_s(self.heard_to_s) or 0.0)
        return (self._answered_since(over_at) and silent_s > REPLY_OVER_S) or silent_s > PATIENCE_S

    def caller(self) -> Pcm:
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)

    def _answer(self, now_s: float) -> None:
        """Tell the caller when something is heard, and when it has been over for a while."""
        voice_s = self._ear.last_voice_s(now_s)
        if voice_s is None or not self._wait:
            return
        if now_s - voice_s < REPLY_OVER_S:
            self._track.persona_heard(voice_s)
            self._answer_over = False
        elif not self._answer_over:
            self._answer_over = True
            # Nobody can know sooner that it is over; the caller waits its usual 0.6 s more.
            self._track.reply_ended(now_s)

    def _answered_since(self, position: int) -> bool:
        voice_s = self._ear.last_voice_s(self.heard_to_s)
        return voice_s is not None and voice_s * HEARD_HZ > position
