"""Whether a turn is over, from the voice: Smart Turn v3.2 through plain ONNX Runtime.

The network (a small Whisper encoder with a head, BSD-2) looks at the last 8 s of the turn. One answer
takes some tens of milliseconds on one thread, so it runs on a thread of its own, begun at a pause's
onset, beside the recognizer and the language model. Alone it is not good enough: on real speech it takes
most inner pauses for ends. `cvi.turns.completeness` blends it with the words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm, to_float
from cvi.audio.mel import BANDS, HOP, Floats, log_mel
from cvi.errors import EngineError, MissingError
from cvi.onnx import open_session
from cvi.threads import NativeThread
from cvi.turns.base import TurnModel, TurnModelSettings

WINDOW_S = 8.0
_SAMPLES = round(WINDOW_S * HEARD_HZ)
_SHAPE = (BANDS, _SAMPLES // HOP)
_REMEDY = "Get it with: cvi models pull smart-turn-v3"


def build(settings: TurnModelSettings) -> TurnModel:
    """Read the network (9 MB). Raises MissingError without its file, EngineError for another file."""
    if settings.model is None:
        raise MissingError("The turn model has no file.", _REMEDY)
    return SmartTurn(Path(settings.model))


class SmartTurn:
    """One network on one thread. `ended` is called from the event loop; calls are served in order."""

    name = "smart-turn"
    window_s = WINDOW_S

    def __init__(self, weights: Path) -> None:
        """Raises MissingError without the file, EngineError for one that is not Smart Turn v3."""
        if not weights.is_file():
            raise MissingError(f"The turn model {weights} is not here.", _REMEDY)
        self._session = open_session(weights, f"turn model {weights.name}", _REMEDY)
        inputs = [(node.name, tuple(node.shape[1:])) for node in self._session.get_inputs()]
        if inputs != [("input_features", _SHAPE)]:
            raise EngineError(f"{weights.name} is not Smart Turn v3: it takes {inputs}.", _REMEDY)
        self._stage = NativeThread("turns")

    async def warm(self) -> None:
        """Run the network once, so that the first question is as fast as the second."""
        await self.ended(np.zeros(HEARD_HZ, np.int16))

    async def ended(self, pcm: Pcm) -> float:
        """How likely the turn `pcm` (16 kHz int16) is over, 0 to 1; only its last 8 s are used."""
        recent = pcm[-_SAMPLES:].copy()
        return await self._stage.run(lambda: self._probability(recent))

    def close(self) -> None:
        """End its thread."""
        self._stage.close()

    def _probability(self, pcm: Pcm) -> float:
        (found,) = self._session.run(None, {"input_features": features(pcm)[None]})
        return min(max(float(found.flat[0]), 0.0), 1.0)


def features(pcm: Pcm) -> Floats:
    """The network's input: log mel of the last 8 s at unit variance, zeros before a short turn; (80, 800)."""
    samples = np.zeros(_SAMPLES, np.float32)
    recent = pcm[-_SAMPLES:]
    if len(recent):
        samples[-len(recent) :] = to_float(recent)
    return log_mel((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7, dtype=np.float32))
