"""Voices made after a person's: what an engine that clones must do, and which of a recording it is given.

An engine announces itself as `cloner.NAME` among `cvi.engines`; what it makes is spoken by the tts engine of
the same name. Whoever calls this has asked the person: `cvi.training.package.cloned_voice` keeps their
consent.
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
"""Below the loudest 20 ms: quieter is taken for a pause."""
_QUIETEST_PEAK = 600


class VoiceCloner(Protocol):
    def clone(self, sound: Pcm) -> bytes:
        """The voice heard in `sound` (int16 mono at PLAYED_HZ, one person, up to `LONGEST_S` seconds), as a
        safetensors file that the engine takes for its `TtsSettings.voice`.

        The same sound gives the same bytes. Blocks. Raises EngineError.
        """

    def close(self) -> None: ...


class Cloning(Protocol):
    """What `cloner.NAME` names."""

    engine: str
    """The tts engine that speaks with the voices it makes."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of what they speak."""

    def ready(self) -> bool:
        """Whether package and weights are here, so that such a voice can be spoken. Cheap."""

    def open(self, settings: TtsSettings) -> VoiceCloner:
        """Load it. Blocks. Raises MissingError with how to get what is not here, EngineError."""


def reference(sound: Pcm) -> Pcm:
    """The `LONGEST_S` seconds of a recording (int16 mono at PLAYED_HZ) with the most speech in them.

    Raises UsageError where less than `LEAST_SPEECH_S` of speech is heard.
    """
    steps = len(sound) // _STEP
    frames = np.abs(sound[: steps * _STEP].astype(np.int32)).reshape(steps, _STEP).max(1, initial=0)
    peak = int(frames.max(initial=0))
    spoken = frames > max(peak * 10 ** (-_SPOKEN_DB / 20), 1.0)
    heard_s = float(spoken.sum()) * _STEP / PLAYED_HZ if peak >= _QUIETEST_PEAK else 0.0
    if heard_s < LEAST_SPEECH_S:
        raise UsageError(
            f"{heard_s:.1f} s of speech are heard in the recording.",
            f"A voice needs {LEAST_SPEECH_S:.0f} s at least, of one person, without music; 20 s are better.",
        )
    long = min(round(LONGEST_S * PLAYED_HZ / _STEP), steps)
    total = np.concatenate([[0], np.cumsum(spoken)])
    first = int(np.argmax(total[long:] - total[: len(total) - long]))
    return np.ascontiguousarray(sound[first * _STEP : (first + long) * _STEP])
