"""Voice activity by Silero VAD v6, through plain ONNX Runtime.

The weights are the ONNX file that faster-whisper ships; neither that package nor torch is imported.
The network sees 512 new samples after the 64 before them, and hands two states of 128 numbers on from
hop to hop. One hop takes about 0.12 ms on one thread, so it may run on the event loop.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cvi.audio.block import Pcm, to_float
from cvi.errors import EngineError, MissingError
from cvi.onnx import open_session
from cvi.turns.base import VAD_HOP_SAMPLES, VadEngine, VadSettings

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_REMEDY = "Install it with: pip install 'faster-whisper>=1.2.1,<1.3'"


def build(settings: VadSettings) -> VadEngine:
    """Read the network (about 2 MB). Raises MissingError when its file is not installed."""
    return SileroVad(_weights())


class SileroVad:
    """Keeps state from hop to hop; one caller, any thread."""

    name = "silero"

    def __init__(self, weights: Path) -> None:
        """Raises EngineError for a file that is not Silero VAD v6."""
        self._session = open_session(weights, f"voice activity network {weights.name}", _REMEDY)
        shapes = {node.name: node.shape[1:] for node in self._session.get_inputs()}
        wanted = {"input": [_CONTEXT_SAMPLES + VAD_HOP_SAMPLES], "h": [1, 128], "c": [1, 128]}
        if shapes != wanted:
            raise EngineError(f"{weights.name} is not Silero VAD v6: it takes {shapes}.", _REMEDY)
        self._window = np.zeros((1, _CONTEXT_SAMPLES + VAD_HOP_SAMPLES), np.float32)
        self._h = self._c = np.zeros(_STATE_SHAPE, np.float32)

    def probability(self, hop: Pcm) -> float:
        """How likely 512 samples of 16 kHz int16 hold speech, 0 to 1. ValueError for another length."""
        if hop.shape != (VAD_HOP_SAMPLES,):
            raise ValueError(f"a hop is {VAD_HOP_SAMPLES} samples, got an array of shape {hop.shape}")
        self._window[0, :_CONTEXT_SAMPLES] = self._window[0, -_CONTEXT_SAMPLES:]
        self._window[0, _CONTEXT_SAMPLES:] = to_float(hop)
        found, self._h, self._c = self._session.run(None, {"input": self._window, "h": self._h, "c": self._c})
        return float(found.flat[0])

    def reset(self) -> None:
        """Forget the sound so far."""
        self._window[:] = 0.0
        self._h = self._c = np.zeros(_STATE_SHAPE, np.float32)


def _weights() -> Path:
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise MissingError("The voice activity network is missing: faster-whisper is not installed.", _REMEDY)
    weights = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx"
    if not weights.is_file():
        raise MissingError(f"faster-whisper is installed without {weights.name}.", _REMEDY)
    return weights
