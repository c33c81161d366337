"""The installed voice most similar to a person's, by pitch and timbre: matching, not cloning.

Every candidate voice speaks one sentence, which is compared with the film's sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm, to_float
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.sound_mouth import BANDS, band_levels_db, loudness_db
from cvi.training.arrays import Doubles
from cvi.tts.base import TtsSettings

_LOWEST_HZ, _HIGHEST_HZ = 65.0, 400.0
_HOP, _WINDOW = 480, 1440
_VOICED = 0.45
"""The share of energy that must repeat after one period."""
_LONGEST_S = 60.0
_OCTAVE, _TIMBRE = 4.0, 0.12
"""Weights of an octave and of a decibel (root mean square over the bands) of difference."""
CANDIDATES: dict[str, tuple[str, ...]] = {
    "flite": ("slt", "rms", "awb", "kal16"),
    "espeak": tuple(f"en-us+{kind}{n}" for kind, most in (("m", 7), ("f", 5)) for n in range(1, most + 1)),
}
"""Engine -> voices that need neither network nor download; espeak's are variants of one voice."""
_SENTENCE = "The early morning sun shone over the quiet harbour, and nobody was in a hurry to leave."


@dataclass(frozen=True, slots=True)
class VoicePrint:
    """`pitch_hz` median of the voiced parts, 0 where nothing is voiced; `timbre` (BANDS,) dB, mean of the
    loud parts relative to their level."""

    pitch_hz: float
    timbre: Doubles

    def distance(self, other: VoicePrint) -> float:
        """How different two voices are, 0 for the same; an octave of pitch outweighs any timbre."""
        apart = 0.0
        if self.pitch_hz > 0 and other.pitch_hz > 0:
            apart = abs(float(np.log2(self.pitch_hz / other.pitch_hz)))
        gap = float(np.sqrt(np.mean((self.timbre - other.timbre) ** 2)))
        return _OCTAVE * apart + _TIMBRE * gap


def print_of(pcm: Pcm) -> VoicePrint:
    """The print of a voice, from the first minute of `pcm` (int16 at PLAYED_HZ)."""
    pcm = pcm[: round(_LONGEST_S * PLAYED_HZ)]
    levels = band_levels_db(pcm)
    timbre = np.zeros(BANDS)
    if len(levels):
        loud = loudness_db(levels)
        spoken = levels[loud > np.percentile(loud, 90) - 18.0].astype(np.float64).mean(0)
        timbre = spoken - spoken.mean()
    return VoicePrint(_pitch_hz(pcm), timbre)


def nearest(voice: VoicePrint, others: Iterable[tuple[str, VoicePrint]]) -> str | None:
    """The name of the most similar of `others`; None without any."""
    ranked = sorted((voice.distance(other), name) for name, other in others)
    return ranked[0][1] if ranked else None


def _pitch_hz(pcm: Pcm) -> float:
    """Median over windows of the period at which the sound repeats best (autocorrelation, Boersma 1993)."""
    if len(pcm) < _WINDOW * 2:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(to_float(pcm), _WINDOW)[::_HOP].astype(np.float64)
    energy = (frames**2).mean(1)
    frames = frames[energy > np.percentile(energy, 90) * 0.05]
    window = np.hanning(_WINDOW)
    size = 4096
    spectrum = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window, size)) ** 2
    own = np.abs(np.fft.rfft(window, size)) ** 2
    # Divided by the window's own autocorrelation, which weakens long periods.
    shape = np.fft.irfft(own)[:_WINDOW]
    repeats = np.fft.irfft(spectrum)[:, :_WINDOW] / np.maximum(shape / shape[0], 0.05)
    shortest, longest = round(PLAYED_HZ / _HIGHEST_HZ), round(PLAYED_HZ / _LOWEST_HZ)
    inner = repeats[:, shortest:longest] / np.maximum(repeats[:, :1], 1e-12)
    # Two periods repeat as well as one: the shortest that is nearly the best is chosen.
    best = inner.max(1)
    first = (inner >= 0.9 * best[:, None]).argmax(1)
    # From the first good enough period to its peak.
    peaks = [int(np.argmax(row[at : at + 12])) + int(at) for row, at in zip(inner, first, strict=True)]
    voiced = best > _VOICED
    if voiced.sum() < 5:
        return 0.0
    return float(np.median(PLAYED_HZ / (np.array(peaks)[voiced] + shortest)))


def voices_for(pcm: Pcm) -> dict[str, str]:
    """Engine -> the most similar voice to `pcm` (int16, PLAYED_HZ), for installed engines."""
    wanted = print_of(pcm)
    if wanted.pitch_hz == 0.0:
        return {}
    found: dict[str, str] = {}
    for engine, names in CANDIDATES.items():
        best = nearest(wanted, _prints(engine, names))
        if best is not None:
            found[engine] = best
    return found


def _prints(engine: str, names: tuple[str, ...]) -> list[tuple[str, VoicePrint]]:
    prints: list[tuple[str, VoicePrint]] = []
    for name in names:
        try:
            prints.append((name, print_of(asyncio.run(_spoken(engine, name)))))
        except CviError:
            continue  # this voice is not installed here
    return prints


async def _spoken(engine: str, voice: str) -> Pcm:
    speaker = build("tts", engine, TtsSettings(voice=voice))
    try:
        return np.concatenate([piece.pcm async for piece in speaker.speak(_SENTENCE)])
    finally:
        speaker.close()
