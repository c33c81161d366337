"""Toy systems that answer a known time after the caller's voice ends, and a caller to speak to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.media.decode import write_wav
from cvi.transport.scenario import Scenario, Segment


def tone(seconds: float, rate_hz: int = HEARD_HZ) -> Pcm:
    """A voice of a kind: loud from its first sample."""
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.rint(9000 * np.sign(np.sin(2 * np.pi * 210 * at_s) + 1e-9)).astype(np.int16)


def spoken(seconds: float, seed: int) -> Pcm:
    """Something with a rhythm and an abrupt end, different for each seed."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 3000, round(seconds * HEARD_HZ))
    rhythm = 0.6 + 0.4 * np.sign(np.sin(np.arange(len(noise)) / HEARD_HZ * 2 * np.pi * (3 + seed)))
    return np.clip(noise * rhythm, -32768, 32767).astype(np.int16)


def caller_file(folder: Path, lengths_s: tuple[float, ...] = (0.9, 1.3, 0.7)) -> Scenario:
    """Utterances with exact ends, 1.5 s apart."""
    parts: list[Pcm] = []
    segments: list[Segment] = []
    at_s = 0.5
    parts.append(np.zeros(round(0.5 * HEARD_HZ), np.int16))
    for number, length_s in enumerate(lengths_s):
        parts += [spoken(length_s, number), np.zeros(round(1.5 * HEARD_HZ), np.int16)]
        segments.append(Segment(at_s - 0.1, at_s + length_s + 0.3, f"utterance {number}", at_s + length_s))
        at_s += length_s + 1.5
    path = folder / "caller.wav"
    write_wav(path, np.concatenate(parts), HEARD_HZ)
    return Scenario(path, tuple(segments))


class ToyPeer:
    """Answers `delay_s` after the last loud sample it heard: `pieces` of `reply_s` altogether.

    It takes a pause of 200 ms for an end, so `delay_s` must be more. With `burst` the whole reply comes
    at once; else at the pace of speech. With `silence` it sends 20 ms of silence whenever it neither speaks
    nor is about to, as a telephone line would. `interrupt_s` forgets the rest of a reply that long after its begin.
    """

    name = "toy"

    def __init__(
        self,
        delay_s: float,
        reply_s: float = 0.8,
        *,
        out_hz: int = HEARD_HZ,
        burst: bool = True,
        silence: bool = False,
        interrupt_s: float | None = None,
    ) -> None:
        assert delay_s > 0.25
        self.out_hz = out_hz
        self.delay_s = delay_s
        self.reply_s = reply_s
        self._burst, self._silence, self._interrupt_s = burst, silence, interrupt_s
        self._heard = 0
        self._voice_end: int | None = None
        self._busy_until_s = 0.0
        self._said: asyncio.Queue[Pcm | None] = asyncio.Queue()
        self._speaking: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        pass

    async def hear(self, pcm: Pcm) -> None:
        now_s = asyncio.get_running_loop().time()
        loud = np.flatnonzero(np.abs(pcm) > 200)
        if len(loud):
            self._voice_end = self._heard + int(loud[-1]) + 1
        self._heard += len(pcm)
        paused = self._voice_end is not None and self._heard - self._voice_end > 0.2 * HEARD_HZ
        if paused:
            assert self._voice_end is not None
            ended_s = now_s - (self._heard - self._voice_end) / HEARD_HZ
            self._voice_end = None
            self._busy_until_s = ended_s + self.delay_s + self.reply_s
            self._speaking.append(asyncio.create_task(self._answer(ended_s + self.delay_s)))
        elif self._silence and now_s > self._busy_until_s:
            self._said.put_nowait(np.zeros(round(0.02 * self.out_hz), np.int16))

    async def _answer(self, at_s: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at_s - loop.time())
        reply = tone(self.reply_s, self.out_hz)
        size = len(reply) if self._burst else round(0.04 * self.out_hz)
        for start in range(0, len(reply), size):
            if start:
                await asyncio.sleep(at_s + start / self.out_hz - loop.time())
            self._said.put_nowait(reply[start : start + size])
        if self._interrupt_s is not None:
            await asyncio.sleep(at_s + self._interrupt_s - loop.time())
            self._said.put_nowait(None)

    async def speech(self) -> AsyncGenerator[Pcm | None, None]:
        while True:
            yield await self._said.get()

    async def close(self) -> None:
        for task in self._speaking:
            task.cancel()


def build(address: str) -> ToyPeer:
    """What `python:toy_peers:build` finds."""
    return ToyPeer(0.5)
