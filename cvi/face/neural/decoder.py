"""The live half of the network: features of a frame, and a mouth -> the lower face."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.onnx import open_session

Floats = npt.NDArray[np.float32]


class Decoder:
    """ONNX Runtime on one thread. One caller at a time."""

    def __init__(self, network: Path) -> None:
        """Raises EngineError for a file that is no network, MissingError without ONNX Runtime."""
        self._session = open_session(network, f"face network {network}", "Train the replica again.")
        *inputs, mouth = self._session.get_inputs()
        self._names = [item.name for item in inputs]
        self._shapes = [tuple(item.shape) for item in inputs]
        self._mouth = mouth.name
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._bounds = [0, *np.cumsum(sizes).tolist()]
        self.total = self._bounds[-1]
        """Values that `draw` takes."""

    def draw(self, features: npt.NDArray[np.floating], mouth: Floats) -> Floats:
        """The drawing for features (total,): float32 RGB 0..255 (side, side, 3)."""
        flat = np.asarray(features, np.float32)
        parts = {
            name: flat[start:end].reshape(shape)
            for name, shape, (start, end) in zip(
                self._names, self._shapes, pairwise(self._bounds), strict=True
            )
        }
        (drawn,) = self._session.run(None, {**parts, self._mouth: mouth[None]})
        return np.ascontiguousarray(drawn[0].transpose(1, 2, 0)) * np.float32(255.0)
