"""The measuring path measured: a peer that answers a known time after the caller's last sound.

It sits where a conversation sits, on the same transport, tap and clock, with a real face and its restless
head, and hears nothing: it knows from the labels when the caller ends, and speaks that many milliseconds
later. What the probe says beyond that is the probe's own error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.bench.callers.block import CallerBlock
from cvi.bench.probe.evidence import Evidence, SoundTrack
from cvi.bench.probe.hearing import envelope
from cvi.bench.probe.measuring import MeasuredSession, measure
from cvi.bench.probe.mouth import MouthLook
from cvi.bench.probe.tap import Tap
from cvi.clock import Clock
from cvi.conversation.playout import Render
from cvi.face.base import Activity, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.media.frames import AVUnit, Frame
from cvi.transport.base import Transport
from cvi.transport.file import FileTransport
from cvi.transport.scenario import load_scenario

DELAYS_MS = (0, 100, 250, 500)
TOLERANCE_MS = 5.0
_TAIL_S = 0.6
_OPEN = 0.7
_ENVELOPE_S = 0.04
_LOUD = 2000


@dataclass(frozen=True, slots=True)
class Answer:
    """One measured answer of the loopback. `picture_true_ms` is when its first open mouth was shown."""

    delay_ms: float
    turn: str
    sound_ms: float | None
    picture_ms: float | None
    picture_true_ms: float

    @property
    def sound_error_ms(self) -> float | None:
        return None if self.sound_ms is None else self.sound_ms - self.delay_ms

    @property
    def picture_error_ms(self) -> float | None:
        return None if self.picture_ms is None else self.picture_ms - self.picture_true_ms


@dataclass(frozen=True, slots=True)
class _Script:
    """When the peer speaks: the sound of the whole session at PLAYED_HZ, and how open the mouth is in each
    frame."""

    sound: Pcm
    opening: list[float]

    @staticmethod
    def of(block: CallerBlock, answer: Pcm, delay_ms: float, fps: int, picture_late_frames: int) -> _Script:
        end_s = block.turns[-1].end_s + delay_ms / 1000 + len(answer) / PLAYED_HZ + _TAIL_S
        frames = round(end_s * fps)
        sound = np.zeros(frames * PLAYED_HZ // fps, np.int16)
        for turn in block.turns:
            at = round((turn.speech_end_s + delay_ms / 1000) * PLAYED_HZ)
            sound[at : at + len(answer)] = answer
        middles = (np.arange(frames) + 0.5) / fps
        loud = envelope(SoundTrack(sound, 0.0, PLAYED_HZ), middles, _ENVELOPE_S)
        opening = np.roll(loud / max(float(loud.max()), 1e-9), picture_late_frames)
        return _Script(sound, opening.tolist())


async def answer_after(
    transport: Transport, clock: Clock, script: _Script, render: Render, seed: int = 0
) -> None:
    """Play the script, unit by unit, as a conversation's performance would."""
    behaviour = Behaviour(seed)
    fps, samples = transport.fps, PLAYED_HZ // transport.fps

    async def draw(index: int) -> Frame:
        opening = script.opening[index]
        mouth = MouthShape(jaw=_OPEN * opening)
        activity: Activity = "speaking" if opening else "listening"
        return await render(behaviour.advance((index + 0.5) / fps, activity, mouth))

    async def listen() -> None:
        async for _ in transport.microphone():
            pass

    frame = await draw(0)
    clock.restart()
    listening = asyncio.create_task(listen())
    try:
        for index in range(len(script.opening)):
            await transport.due(index)
            pcm = script.sound[index * samples : (index + 1) * samples]
            transport.present(AVUnit(index, index / fps, frame, pcm, 1 if pcm.any() else 0))
            if index + 1 < len(script.opening):
                frame = await draw(index + 1)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def loop_back(
    block: CallerBlock,
    delay_ms: float,
    render: Render,
    look: MouthLook | None,
    *,
    fps: int = 25,
    picture_late_frames: int = 0,
    now: Callable[[], float] = time.monotonic,
    transport: Callable[[Clock], Transport] | None = None,
) -> tuple[Evidence, MeasuredSession, list[Answer]]:
    """One session with one delay, in real time. The peer answers with the caller's own first words."""
    clock = Clock()
    inner = transport(clock) if transport is not None else _file(block, clock, fps)
    tap = Tap(inner, f"loopback-{delay_ms:g}", mouth=look.box if look else None, now=now)
    voice = block.voice()
    script = _Script.of(block, _answer(block, voice), delay_ms, fps, picture_late_frames)
    await tap.open()
    try:
        await answer_after(tap, clock, script, render)
    finally:
        await tap.close()
    evidence = tap.evidence()
    measured = measure(evidence, block.turns, voice, "loopback", look)
    answers = [
        Answer(delay_ms, turn.id, record.first_audio_ms, record.first_frame_ms, true_ms)
        for turn, record, true_ms in zip(
            block.turns, measured.turns, _pictures(block, script, delay_ms, fps), strict=True
        )
    ]
    return evidence, measured, answers


def _pictures(block: CallerBlock, script: _Script, delay_ms: float, fps: int) -> Sequence[float]:
    """After each turn's end, when the first frame was due whose mouth is open by a tenth, ms."""
    told: list[float] = []
    for turn in block.turns:
        first = int((turn.speech_end_s + delay_ms / 1000) * fps)
        index = next(n for n in range(max(first - 1, 0), len(script.opening)) if script.opening[n] > 0.1)
        told.append(1000 * (index / fps - turn.speech_end_s))
    return told


def _answer(block: CallerBlock, voice: Pcm) -> Pcm:
    """The caller's own first words from their first loud sample on: an onset that leaves no doubt when."""
    turn = block.turns[0]
    words = voice[round(turn.speech_start_s * HEARD_HZ) : round(turn.speech_end_s * HEARD_HZ)]
    risen = resample(words, HEARD_HZ, PLAYED_HZ)
    return risen[int(np.flatnonzero(np.abs(risen) > _LOUD)[0]) :]


def _file(block: CallerBlock, clock: Clock, fps: int) -> Transport:
    return FileTransport(load_scenario(block.scenario), None, clock=clock, fps=fps, recording=None)
