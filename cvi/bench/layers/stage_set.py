"""Stand-ins for what a layer's measurement does not look at: a picture, a steady voice, a line to hear by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.clock import Clock
from cvi.face.base import Controls
from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.media.frames import AVUnit, Frame
from cvi.tts.base import Speech, Word

TONE = 8000
"""The steady voice's amplitude: every sample is this or its negative, so its gain can be read off."""

_PIECE_S = 2.0


async def no_picture(controls: Controls) -> Frame:
    return np.zeros((6, 4), np.uint8)


class Line:
    """A transport that is fed `pcm` as the microphone and keeps what is played to it, unit by unit.

    The conversation ends when the sound is over.
    """

    name = "line"
    fps = 25

    def __init__(self, clock: Clock, pcm: Pcm) -> None:
        self._clock = clock
        self._pcm = pcm
        self.played: list[Pcm] = []

    @property
    def caller_over(self) -> bool:
        return self._clock.now() * HEARD_HZ >= len(self._pcm)

    async def open(self) -> None:
        return

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        for start in range(0, len(self._pcm) - HOP_SAMPLES + 1, HOP_SAMPLES):
            await self._clock.sleep_until(start / HEARD_HZ + HOP_S)
            yield AudioBlock(self._pcm[start : start + HOP_SAMPLES], start / HEARD_HZ)

    async def due(self, index: int) -> float:
        await self._clock.sleep_until(index / self.fps)
        return index / self.fps

    def present(self, unit: AVUnit) -> None:
        missing = unit.index - len(self.played)
        silence = np.zeros(PLAYED_HZ // self.fps, np.int16)
        self.played.extend([silence] * missing)
        self.played.append(unit.pcm)

    def heard_s(self) -> float:
        return self._clock.now()

    def flush(self) -> None:
        return

    def reply_ended(self) -> None:
        return

    def notify(self, event: str, text: str = "") -> None:
        return

    async def close(self) -> None:
        return


class SteadyVoice:
    """Speaks every text as `seconds` of one loud tone; 0 for a voice that says nothing."""

    name = "steady"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def warm(self) -> None:
        return

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        left_s = self._seconds
        while left_s > 0:
            piece_s = min(left_s, _PIECE_S)
            pcm = np.full(round(piece_s * PLAYED_HZ), TONE, np.int16)
            pcm[1::2] = -TONE
            yield Speech(pcm, words=(Word(0, len(text), 0.0, piece_s),))
            left_s -= piece_s
            await asyncio.sleep(0)

    def close(self) -> None:
        return


class OnlyJudge:
    """A language model that judges turns as the real one does, but answers with one fixed sentence."""

    def __init__(self, model: LlmEngine, answer: str = "Well, let me tell you about that.") -> None:
        self.name = model.name
        self._model = model
        self._answer = answer

    async def warm(self, messages: Sequence[Message]) -> None:
        await self._model.warm(messages)

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        await self._model.prefill(messages, partial)

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        return await self._model.completeness(messages, text)

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        yield self._answer

    async def close(self) -> None:
        """The model belongs to whoever built it."""


def room_tone(pcm: Pcm, seconds: float) -> Pcm:
    """Noise as loud as the quietest twentieth of a recording: what would be heard had it gone on."""
    frames = pcm[: len(pcm) // 320 * 320].reshape(-1, 320).astype(np.float32)
    levels = np.sort(np.sqrt(np.mean(np.square(frames), axis=1))) if len(frames) else np.ones(1)
    level = float(levels[len(levels) // 20])
    noise = np.random.default_rng(0).normal(0, 1, round(seconds * HEARD_HZ)) * max(level, 0.5)
    tone: Pcm = np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
    return tone
