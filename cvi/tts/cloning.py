"""The Protocol of engines that clone a voice, and the part of a recording they are given.

An engine has the entry point `cloner.NAME` in the group `cvi.engines`; the tts engine of the same name speaks
with the voices it makes. The person's consent is checked and stored by the caller,
`cvi.training.package.cloned_voice`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.tts.base import TtsSettings

LEAST_SPEECH_S = 5.0
LONGEST_S = 20.0
_STEP = PLAYED_HZ // 50
_SPOKEN_DB = 26.0
"""20 ms that are more than this below the loudest count as a pause."""
_QUIETEST_PEAK = 600


class VoiceCloner(Protocol):
    """A cloner with its model read."""

    def clone(self, sound: Pcm) -> bytes:
        """The voice heard in `sound` (int16 mono at PLAYED_HZ, one person, up to `LONGEST_S` seconds), as a
        safetensors file that the engine takes for its `TtsSettings.voice`.

        The same sound gives the same bytes. Blocks. Raises EngineError.
        """

    def close(self) -> None:
        """Free the model; safe to call twice."""


class Cloning(Protocol):
    """What the entry point `cloner.NAME` names."""

    engine: str
    """The tts engine that speaks with the voices it makes."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of the languages in which they speak."""

    def ready(self) -> bool:
        """Whether package and weights are installed, so that such a voice can be used. Cheap."""

    def open(self, settings: TtsSettings) -> VoiceCloner:
        """Load the model. Blocks. Raises MissingError, EngineError."""


def reference(sound: Pcm) -> Pcm:
    """The `LONGEST_S` seconds of a recording (int16 mono at PLAYED_HZ) with the most speech in them.

    Raises UsageError for less than `LEAST_SPEECH_S` of speech.
    """
    steps = len(sound) // _STEP
    frames = np.abs(sound[: steps * _STEP].astype(np.int32)).reshape(steps, _STEP).max(1, initial=0)
    peak = int(frames.max(initial=0))
    spoken = frames > max(peak * 10 ** (-_SPOKEN_DB / 20), 1.0)
    speech_s = float(spoken.sum()) * _STEP / PLAYED_HZ if peak >= _QUIETEST_PEAK else 0.0
    if speech_s < LEAST_SPEECH_S:
        raise UsageError(
            f"{speech_s:.1f} s of speech are heard in the recording.",
            f"A voice needs {LEAST_SPEECH_S:.0f} s at least, of one person, without music; 20 s are better.",
        )
    long = min(round(LONGEST_S * PLAYED_HZ / _STEP), steps)
    total = np.concatenate([[0], np.cumsum(spoken)])
    first = int(np.argmax(total[long:] - total[: len(total) - long]))
    return np.ascontiguousarray(sound[first * _STEP : (first + long) * _STEP])
