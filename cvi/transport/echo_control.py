"""The loudspeaker's sound taken out of the microphone's, and a test whether that suffices in this room.

`EchoControl` joins what was played, by time, with WebRTC's canceller. `sweep` and `judge_echo` are the
start-up test: a quiet sweep is played, and what of it comes back is compared before and after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm, to_int16
from cvi.audio.echo import EchoCanceller, echo_delay_s
from cvi.audio.level import FLOOR_DB, level_db
from cvi.audio.played_sound import PlayedSound

SWEEP_S = 1.6
_SWEEP_DB = -26.0
_SWEEP_HZ = (150.0, 5000.0)
_ONE_SWEEP_S, _SWEEPS = 0.2, 8
# A voice detector takes no notice of what is this far below a voice at the microphone (-40 dB is a soft one).
_HARMLESS_DB = -52.0
_ENOUGH_DB = 20.0
_AUDIBLE_DB = 6.0


class EchoControl:
    """Cleans the microphone's blocks in order; one caller."""

    def __init__(self, played: PlayedSound, canceller: EchoCanceller) -> None:
        self._played = played
        self._canceller = canceller

    def clean(self, pcm: Pcm, spoken_at: float) -> Pcm:
        """A block of 160 samples that was spoken at `spoken_at`, on the clock of what was played."""
        return self._canceller.clean(pcm, self._played.read(spoken_at, len(pcm)))

    def reference(self, spoken_at: float, samples: int) -> Pcm:
        """What had been played then, 16 kHz."""
        return self._played.read(spoken_at, samples)


@dataclass(frozen=True, slots=True)
class EchoReport:
    """What the test found: levels at the microphone in dB (0: full scale), delay in seconds.

    `echo_db` is the echo before and `left_db` after cancelling, `noise_db` the room's noise.
    """

    echo_db: float
    left_db: float
    noise_db: float
    delay_s: float

    @property
    def safe(self) -> bool:
        """Whether the microphone may stay open while the loudspeaker is heard."""
        faint = self.echo_db < self.noise_db + _AUDIBLE_DB
        return faint or self.left_db < _HARMLESS_DB or self.echo_db - self.left_db >= _ENOUGH_DB

    def __str__(self) -> str:
        if self.echo_db < self.noise_db + _AUDIBLE_DB:
            return "The loudspeaker is not heard by the microphone."
        delay_ms = round(1000 * self.delay_s)
        return f"Echo {self.echo_db:.0f} dB after {delay_ms} ms, {self.left_db:.0f} dB left of it."


def sweep() -> Pcm:
    """The test's sound at PLAYED_HZ: quiet sweeps, louder from one to the next so that nobody starts.

    They are short: a canceller learns all pitches of a room together, not one after the other."""
    t = np.arange(round(_ONE_SWEEP_S * PLAYED_HZ)) / PLAYED_HZ
    low, high = _SWEEP_HZ
    growth = np.log(high / low)
    phase = 2 * np.pi * low * _ONE_SWEEP_S / growth * (np.exp(t / _ONE_SWEEP_S * growth) - 1)
    one = np.sin(phase) * np.sin(np.pi * t / _ONE_SWEEP_S) ** 0.5
    gains = np.repeat(np.minimum(np.linspace(0.3, 1.6, _SWEEPS), 1.0), len(one))
    return to_int16(np.tile(one, _SWEEPS) * gains * 10 ** (_SWEEP_DB / 20) * np.sqrt(2))


def judge_echo(near: Pcm, far: Pcm, cleaned: Pcm) -> EchoReport:
    """Judge the test from what the microphone heard, what had been played, and what cancelling left; 16 kHz,
    of the same length, with some silence before the sweeps."""
    cells = len(far) // 160
    loud = np.array([level_db(far[i * 160 : (i + 1) * 160]) > -60.0 for i in range(cells)])
    noise_cells = [i for i in range(cells) if not loud[max(i - 30, 0) : i + 1].any()]
    noise_db = _level(near, noise_cells) if noise_cells else FLOOR_DB
    delay_s, _ = echo_delay_s(near, far)
    shift = round(delay_s * HEARD_HZ / 160)
    heard = [int(i) + shift for i in np.flatnonzero(loud) if i + shift < cells]
    half = heard[len(heard) // 2 :]
    return EchoReport(_level(near, half), _level(cleaned, half), noise_db, delay_s)


def _level(pcm: Pcm, cells: list[int]) -> float:
    return level_db(np.concatenate([pcm[i * 160 : (i + 1) * 160] for i in cells])) if cells else FLOOR_DB
