"""What a speech recognizer's encoder makes of sound: features that tell sounds apart, whoever says them.

The encoder is Whisper's smallest (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision"), as it stands inside Smart Turn v3: learned from hundreds of thousands of hours of real speech,
where the mel bands of `sound_features` know what a few synthetic voices taught. Two of its middle layers are
read, 50 times a second; the head that judges turns is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm, to_float
from cvi.audio.mel import BANDS, HOP, log_mel
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError

Floats = npt.NDArray[np.float32]

RATE_HZ = 50
"""Feature i stands for the time from i / RATE_HZ to (i + 1) / RATE_HZ."""
LAYERS = (4, 6)
"""Which of the graph's normalisations are read: what enters the third and the fourth of the four blocks. Of
every layer alone and several together these two foretold held-out lips of three real speakers best
(`scripts/measure_ears FILM --tune`)."""
WIDTH = 384
_NORMS = 10
_WINDOW = 400
"""Features of one look, 8 s."""
_MARGIN = 100
"""What is nearer than this to a window's edge is read in another window, where the sound goes on."""
_PART = _WINDOW - 2 * _MARGIN
_MODEL = "smart-turn-v3"
_REMEDY = f"Get it with: cvi models pull {_MODEL}"


class SpeechEncoder:
    """ONNX Runtime on one thread. One caller at a time."""

    def __init__(self, weights: Path) -> None:
        """Raises MissingError without the file, EngineError for another network."""
        if not weights.is_file():
            raise MissingError(f"The speech encoder {weights} is not here.", _REMEDY)
        self._session = _opened(weights)
        self._last: tuple[Pcm, Floats] | None = None

    def features(self, pcm: Pcm, first: int = 0) -> Floats:
        """`pcm` int16 at PLAYED_HZ -> its features from number `first` on, (n - first, 2 * WIDTH).

        n is len(pcm) in RATE_HZ, rounded down. Some 80 ms for each 4 s on one thread; the last sound that was
        asked for is remembered.
        """
        count = len(pcm) * RATE_HZ // PLAYED_HZ
        if self._last is not None and first == 0 and np.array_equal(self._last[0], pcm):
            return self._last[1]
        out = np.zeros((max(0, count - first), len(LAYERS) * WIDTH), np.float32)
        for part in range(first, count, _PART):
            end = min(part + _PART, count)
            seen = self._look(pcm, part - _MARGIN)
            out[part - first : end - first] = seen[_MARGIN : _MARGIN + end - part]
        if first == 0:
            self._last = (pcm, out)
        return out

    def _look(self, pcm: Pcm, start: int) -> Floats:
        """The features of 8 s from feature `start` on, (_WINDOW, 2 * WIDTH); silence beyond both ends."""
        per = PLAYED_HZ // RATE_HZ
        low, high = max(start, 0) * per, min((start + _WINDOW) * per, len(pcm))
        heard = to_float(resample(pcm[low:high], PLAYED_HZ, HEARD_HZ))
        samples = np.zeros(_WINDOW * HEARD_HZ // RATE_HZ, np.float32)
        at = max(-start, 0) * HEARD_HZ // RATE_HZ
        heard = heard[: len(samples) - at]
        samples[at : at + len(heard)] = heard
        # At unit loudness, as the network learned it.
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7, dtype=np.float32)
        layers = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return np.concatenate([layer[0] for layer in layers], 1)


def _opened(weights: Path) -> Any:
    """The network up to the layers that are read."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        model = onnx.load(str(weights))
        norms = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"]
        read = [norms[index] for index in LAYERS] if len(norms) == _NORMS else []
        # What is not needed for these is not computed.
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in read)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnx's and onnxruntime's own have no common base
        raise EngineError(f"The speech encoder {weights.name} cannot be read.", _REMEDY) from error
    shape = (BANDS, _WINDOW * HEARD_HZ // RATE_HZ // HOP)
    inputs = [(node.name, tuple(node.shape[1:])) for node in session.get_inputs()]
    outputs = [tuple(node.shape[1:]) for node in session.get_outputs()]
    if not read or inputs != [("input_features", shape)] or any(s != (_WINDOW, WIDTH) for s in outputs):
        raise EngineError(f"{weights.name} is not Smart Turn v3, whose encoder is read.", _REMEDY)
    return session
