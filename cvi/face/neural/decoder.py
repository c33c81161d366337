"""The live half of the network: cached features of a base frame, and a mouth -> the lower face."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import MissingError, UsageError

Floats = npt.NDArray[np.float32]


class Decoder:
    """ONNX Runtime on one thread. One caller at a time."""

    def __init__(self, network: Path, features: Path) -> None:
        """Open both; the features stay on disk until they are wanted. Raises MissingError, UsageError."""
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingError(
                "A trained face needs onnxruntime, which is not installed.",
                "Install it with: pip install onnxruntime",
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(network), options, providers=["CPUExecutionProvider"]
            )
            self._features: npt.NDArray[np.float16] = np.load(features, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # onnxruntime's own have no common base
            raise UsageError(
                f"{network.parent} holds no networks that can be read ({error}).", "Train the replica again."
            ) from error
        *inputs, mouth = self._session.get_inputs()
        self._names = [item.name for item in inputs]
        self._shapes = [tuple(item.shape) for item in inputs]
        self._mouth = mouth.name
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._bounds = [0, *np.cumsum(sizes).tolist()]
        if self._features.ndim != 2 or self._features.shape[1] != self._bounds[-1]:
            raise UsageError(f"{features} does not belong to {network.name}.", "Train the replica again.")
        self._row = -1
        self._read: dict[str, Floats] = {}

    def draw(self, row: int, mouth: Floats) -> Floats:
        """The drawing for row `row` of the features: float32 RGB 0..255 (side, side, 3)."""
        if row != self._row:
            self._read = self._parts(self._features[row])
            self._row = row
        return self._run(self._read, mouth)

    def draw_from(self, features: npt.NDArray[np.float16], mouth: Floats) -> Floats:
        """The same for features that are not in the file, (total,)."""
        return self._run(self._parts(features), mouth)

    def _parts(self, features: npt.NDArray[np.float16]) -> dict[str, Floats]:
        flat = np.asarray(features, np.float32)
        return {
            name: flat[start:end].reshape(shape)
            for name, shape, (start, end) in zip(
                self._names, self._shapes, pairwise(self._bounds), strict=True
            )
        }

    def _run(self, parts: dict[str, Floats], mouth: Floats) -> Floats:
        (drawn,) = self._session.run(None, {**parts, self._mouth: mouth[None]})
        return np.ascontiguousarray(drawn[0].transpose(1, 2, 0)) * np.float32(255.0)
