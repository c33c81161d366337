"""What WebRTC adds to the time between a mouth and an ear, both ways, on this machine's own network.

    python scripts/measure_webrtc.py

A click every 400 ms goes from a participant to the conversation's side and another one back; no engine
runs. In: from the moment the click is spoken to the moment its block is given to the ears, less the 10 ms
a block lasts, which the file transport has too. Out: from the unit's due time to the arrival of its packet
at the participant, decoded. A browser's own buffer comes on top of that: see `jitterBufferDelay` in
its statistics.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from cvi.audio.block import HOP_S, PLAYED_HZ
from cvi.clock import Clock
from cvi.media.frames import AVUnit
from cvi.testing.webrtc_participant import WebRtcParticipant
from cvi.transport.webrtc.incoming_audio import IncomingAudio
from cvi.transport.webrtc.peer import tap
from cvi.transport.webrtc.transport import WebRtcTransport

CLICKS = 50
EVERY_UNITS = 10
FPS = 25
LOUD = 3000
WIDTH, HEIGHT = 1280, 720


class Nobody:
    def presence(self, what: str, participant_id: str) -> None: ...
    def message(self, participant_id: str, text: str) -> None: ...


def click(length: int) -> np.ndarray:
    out = np.zeros(length, np.int16)
    out[:240] = (20_000 * np.sin(np.arange(240) * 0.8)).astype(np.int16)
    return out


async def main() -> None:
    loop, clock = asyncio.get_running_loop(), Clock()
    transport = WebRtcTransport(clock=clock, events=Nobody(), width=WIDTH, height=HEIGHT)
    await transport.open()
    participant = WebRtcParticipant()
    await participant.join(lambda offer: transport.join(offer, "p1"))
    hearing = IncomingAudio(loop.time)
    receiver = next(r for r in participant.pc.getReceivers() if r.track.kind == "audio")
    tap(receiver, hearing.arrived)
    while not transport.flowing:  # noqa: ASYNC110 - a script
        await asyncio.sleep(0.01)
    clock.restart()
    said: list[float] = []
    sent: list[float] = []
    into: list[float] = []
    out: list[float] = []

    async def listen(blocks: Any, times: list[float], since: list[float]) -> None:
        quiet = 0
        async for item in blocks:
            pcm = item.pcm if hasattr(item, "pcm") else item[0]
            loud = int(np.abs(pcm).max()) > LOUD
            if loud and quiet > 10 and since:
                # The block's end is heard now; where in it the click begins does not matter to 10 ms.
                times.append(loop.time() - since[-1])
            quiet = 0 if loud else quiet + 1

    tasks = [
        asyncio.create_task(listen(transport.microphone(), into, said)),
        asyncio.create_task(listen(hearing.blocks(), out, sent)),
    ]
    rng = np.random.default_rng(0)
    frames = [rng.integers(60, 200, (HEIGHT * 3 // 2, WIDTH), np.uint8) // 8 + 100 for _ in range(4)]
    samples = PLAYED_HZ // FPS
    for index in range(EVERY_UNITS * (CLICKS + 2)):
        due_s = await transport.due(index) - transport._delay_s
        silence = np.zeros(samples, np.int16)
        if index % EVERY_UNITS == 0:
            sent.append(loop.time() - clock.now() + due_s)
        if index % EVERY_UNITS == 5:
            participant.say(click(480))
            said.append(participant.mouth.next_s)
        pcm = click(samples) if index % EVERY_UNITS == 0 else silence
        transport.present(AVUnit(index, index / FPS, frames[index % 4], pcm, 1))
    for task in tasks:
        task.cancel()
    for name, values in (("in, mouth to block", np.array(into) - HOP_S), ("out, due to packet decoded", out)):
        p50, p95, p99 = np.percentile(np.array(values) * 1000, [50, 95, 99])
        print(f"{name}: P50 {p50:.1f}  P95 {p95:.1f}  P99 {p99:.1f} ms  (n={len(values)})")
    await participant.leave()
    await transport.close()


if __name__ == "__main__":
    asyncio.run(main())
