"""A room in which the loudspeaker is heard by the microphone, for conversations in virtual time.

What is presented is played as a sound card plays it, comes back later and fainter with the room's
reverberation, and is taken out by the same `EchoControl` that a live conversation uses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, AudioBlock, Pcm
from cvi.audio.echo import EchoCanceller
from cvi.audio.played_sound import PlayedSound
from cvi.audio.resample import resample
from cvi.clock import Clock
from cvi.media.frames import AVUnit
from cvi.testing.script import ScriptedTransport
from cvi.transport.echo_control import EchoControl


@dataclass(frozen=True, slots=True)
class EchoPath:
    """`echo_db` is the echo's level against what was played, `delay_s` when it begins to be heard; `tail_s`
    and `tail_db` are the room's reverberation, `noise_db` its noise (0: full scale)."""

    echo_db: float = -10.0
    delay_s: float = 0.1
    tail_s: float = 0.15
    tail_db: float = -12.0
    noise_db: float = -66.0

    def response(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The impulse response at 16 kHz after the delay."""
        rng = np.random.default_rng(3)
        tail = round(self.tail_s * HEARD_HZ)
        decay = np.exp(-np.arange(tail) / (tail / 5))
        reverberation = rng.normal(0, 1, tail) * decay
        reverberation *= 10 ** (self.tail_db / 20) / np.sqrt(np.sum(reverberation**2))
        reverberation[0] += 1.0
        return reverberation * 10 ** (self.echo_db / 20)


class EchoRoomTransport(ScriptedTransport):
    """A `ScriptedTransport` with an echo. With `cancelling` off the microphone is left as it is."""

    def __init__(self, clock: Clock, caller: Pcm, path: EchoPath, *, cancelling: bool = True) -> None:
        super().__init__(clock, caller)
        self._path = path
        self._response = path.response()
        self._played = PlayedSound(PLAYED_HZ)
        self._control = EchoControl(self._played, EchoCanceller()) if cancelling else None
        self._room: dict[int, Pcm] = {}
        self._tail = np.zeros(len(self._response) - 1)
        self._rng = np.random.default_rng(4)
        self.raw: list[Pcm] = []
        """What the microphone heard, block by block."""
        self.cleaned: list[Pcm] = []
        """What was left of it."""

    def present(self, unit: AVUnit) -> None:
        """Play the unit's sound: it is heard in the room from now on."""
        super().present(unit)
        self._played.append(unit.pcm, unit.start_s)
        sound = resample(unit.pcm, PLAYED_HZ, HEARD_HZ)
        first = round((unit.start_s + self._path.delay_s) * HEARD_HZ) // HOP_SAMPLES
        for k in range(len(sound) // HOP_SAMPLES):
            self._room[first + k] = sound[k * HOP_SAMPLES : (k + 1) * HOP_SAMPLES]

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        """The caller and the echo, cleaned."""
        index = 0
        noise = 32768 * 10 ** (self._path.noise_db / 20)
        async for block in super().microphone():
            played = self._room.pop(index, np.zeros(HOP_SAMPLES, np.int16)).astype(np.float64)
            index += 1
            echo = np.convolve(played, self._response)
            echo[: len(self._tail)] += self._tail
            self._tail = echo[HOP_SAMPLES:]
            mixed = block.pcm + echo[:HOP_SAMPLES] + self._rng.normal(0, noise, HOP_SAMPLES)
            pcm = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
            self.raw.append(pcm)
            if self._control is not None:
                pcm = self._control.clean(pcm, block.start_s)
            self.cleaned.append(pcm)
            yield AudioBlock(pcm, block.start_s)
