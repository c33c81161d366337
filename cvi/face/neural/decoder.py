"""The live half of the network: a frame's cached encoder features and a mouth -> the lower face.

The encoder ran once for every base frame when the replica was made. Its features are stored in eight bits:
half the size of half precision, with no visible difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.planes import Bytes, Floats
from cvi.onnx import open_session


@dataclass(frozen=True, slots=True)
class FeatureScales:
    """How features are stored in bytes, by channel of all levels in a row: value = `low` + byte * `step`.

    `low`, `step` float32 (channels,); `sizes` int32 (channels,): bytes of a row that belong to each channel.
    """

    low: Floats
    step: Floats
    sizes: npt.NDArray[np.int32]

    def bytes_of(self, row: npt.NDArray[np.float16]) -> Bytes:
        """A row of features (total,) as it is stored; values beyond a channel's range are clipped."""
        levels = (row.astype(np.float32) - self.spread(self.low)) / self.spread(self.step)
        return np.asarray(np.clip(levels + 0.5, 0, 255), np.uint8)

    def spread(self, values: Floats) -> Floats:
        """Values by channel (channels,) -> values by place in a row, (total,)."""
        return np.repeat(values, self.sizes)


def feature_scales(low: Floats, high: Floats, shapes: Sequence[tuple[int, ...]]) -> FeatureScales:
    """The scales for features between `low` and `high` (total,) at each place of a row.

    `shapes`: (1, channels, height, width) of each level.
    """
    sizes = [shape[2] * shape[3] for shape in shapes for _ in range(shape[1])]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    least, most = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    step = np.maximum(most - least, 1e-6) / 255
    return FeatureScales(least.astype(np.float32), step.astype(np.float32), np.array(sizes, np.int32))


class FeatureRows:
    """The file of cached features, memory-mapped: a row for each frame of footage. One caller at a time."""

    def __init__(self, path: Path, scales: FeatureScales, total: int) -> None:
        """`total`: values in a row, `LowerFaceDecoder.total`. Raises UsageError for another or a damaged
        file."""
        try:
            self._rows: Bytes = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UsageError(f"{path} cannot be read ({error}).", "Train the replica again.") from error
        if self._rows.ndim != 2 or self._rows.dtype != np.uint8 or self._rows.shape[1] != total:
            raise UsageError(f"{path} does not belong to this decoder.", "Train the replica again.")
        self._low, self._step = scales.spread(scales.low), scales.spread(scales.step)

    def at(self, row: int, other: int, share: float) -> Floats:
        """The features (total,) `share` (0..1) of the way from row `row` to row `other`."""
        levels: Bytes | Floats = self._rows[row]
        if share > 0.0:
            levels = levels * np.float32(1 - share) + self._rows[other] * np.float32(share)
        return np.asarray(levels * self._step + self._low, np.float32)


class LowerFaceDecoder:
    """The decoder network in ONNX Runtime on one thread. One caller at a time."""

    def __init__(self, network: Path) -> None:
        """Open `network`. Raises MissingError without onnxruntime, UsageError for a file that cannot be
        read."""
        self._session = open_session(network, f"face network {network}", "Train the replica again.")
        *inputs, mouth = self._session.get_inputs()
        self._names = [item.name for item in inputs]
        self._shapes = [tuple(item.shape) for item in inputs]
        self._mouth = mouth.name
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._bounds = [0, *np.cumsum(sizes).tolist()]
        self.total = self._bounds[-1]
        """Number of feature values that `draw` takes."""

    def draw(self, features: npt.NDArray[np.floating], mouth: Floats) -> Floats:
        """The lower face for `features` (total,) and `mouth` (k,): float32 RGB 0..255 (side, side, 3)."""
        flat = np.asarray(features, np.float32)
        parts = {
            name: flat[start:end].reshape(shape)
            for name, shape, (start, end) in zip(
                self._names, self._shapes, pairwise(self._bounds), strict=True
            )
        }
        (drawn,) = self._session.run(None, {**parts, self._mouth: mouth[None]})
        return np.ascontiguousarray(drawn[0].transpose(1, 2, 0)) * np.float32(255.0)
