"""The persona's own sound taken out of the microphone's: WebRTC's canceller, and a guard behind it.

WebRTC's audio processing (`pywebrtc-audio`, Apache-2.0) removes what an adaptive filter can predict from the
sound that was played, at any delay up to about half a second, which it estimates itself. What is left
of a loud loudspeaker may still sound like speech. So blocks of which nearly everything was echo are silenced.
Double talk is not: there most of the block is left.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, Pcm
from cvi.errors import MissingError

# A block is only echo when the canceller took at least this much of it away. Chosen on recorded speech with
# an echo 10 dB below it, 40 and 250 ms late: less and a voice over it is lost, more and echo gets through.
_ONLY_ECHO_DB = 14.0
_FAR_AUDIBLE_DB = -60.0
_HOLD_BLOCKS = 2
_FAR_MEMORY_BLOCKS = 40
_SMOOTHING = 0.75
REMEDY = "Install it with: pip install 'pywebrtc-audio>=0.2,<0.3'"


class EchoCanceller:
    """Takes blocks of 10 ms in order; one caller. About 1 % of a core.

    `noise_suppression` also lowers steady noise, `gain_control` brings a quiet voice up.
    """

    def __init__(
        self, *, echo: bool = True, noise_suppression: bool = False, gain_control: bool = False
    ) -> None:
        """Raises MissingError when the library is not installed."""
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError as error:
            raise MissingError("Echo cancellation needs the package pywebrtc-audio.", REMEDY) from error
        self._echo = echo
        self._processor: Any = AudioProcessor(
            sample_rate=HEARD_HZ,
            echo_cancellation=echo,
            noise_suppression=noise_suppression,
            auto_gain_control=gain_control,
            ns_level=2,
        )
        self._far_power = np.zeros(_FAR_MEMORY_BLOCKS)
        self._before = self._after = 1e-9
        self._hold = 0
        self.removed_db = 0.0
        """How much was taken off the latest blocks in which the loudspeaker was heard."""

    def clean(self, near: Pcm, far: Pcm | None = None) -> Pcm:
        """The microphone's 160 samples without what was played: `far`, 160 samples, played not later than
        they are heard. ValueError for another length."""
        if near.shape != (HOP_SAMPLES,):
            raise ValueError(f"a block is {HOP_SAMPLES} samples, got an array of shape {near.shape}")
        if not self._echo:
            out: Pcm = self._processor.process(near)
            return out
        far = np.zeros(HOP_SAMPLES, np.int16) if far is None else far
        out = self._processor.process(near, far)
        self._far_power = np.roll(self._far_power, -1)
        self._far_power[-1] = _power(far)
        loudest = float(self._far_power.max())
        if _db(loudest) < _FAR_AUDIBLE_DB:
            self._hold = 0
            return out
        self._before = _SMOOTHING * self._before + (1 - _SMOOTHING) * _power(near)
        self._after = _SMOOTHING * self._after + (1 - _SMOOTHING) * _power(out)
        self.removed_db = _db(self._before) - _db(self._after)
        only_echo = self.removed_db > _ONLY_ECHO_DB
        self._hold = 0 if only_echo else self._hold + 1
        # A voice is believed after two blocks.
        return out if self._hold >= _HOLD_BLOCKS else np.zeros_like(out)


def echo_delay_s(near: Pcm, far: Pcm, longest_s: float = 0.5) -> tuple[float, float]:
    """How much later `near` (16 kHz) hears what `far` played, and how sure that is, 0 to 1.

    By generalized cross-correlation with phase transform (Knapp and Carter, 1976).
    """
    length = 1 << math.ceil(math.log2(len(near) + len(far)))
    heard, played = (np.fft.rfft(pcm.astype(np.float64), length) for pcm in (near, far))
    cross = heard * np.conj(played)
    weight = np.abs(cross)
    correlation = np.fft.irfft(cross / np.maximum(weight, 1e-3 * weight.max() + 1e-12))
    window = np.abs(correlation[: round(longest_s * HEARD_HZ)])
    best = int(np.argmax(window))
    around = np.ones(len(window), bool)
    around[max(best - 80, 0) : best + 400] = False
    second = float(window[around].max()) if around.any() else 0.0
    return best / HEARD_HZ, 1.0 - second / max(float(window[best]), 1e-12)


def _power(pcm: Pcm) -> float:
    samples = pcm.astype(np.float32)
    return float(samples @ samples) / max(len(samples), 1) / 32768.0**2


def _db(power: float) -> float:
    return 10.0 * math.log10(max(power, 1e-12))
