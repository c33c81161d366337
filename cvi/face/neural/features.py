"""The encoder's cached features, eight bits each: half of what half precision takes, and not to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scales:
    """What a byte of a feature means, for each channel of all levels in a row: `low` + byte * `step`; float32
    (channels,). `sizes` int32 (channels,): how many bytes of a row each channel has."""

    low: Floats
    step: Floats
    sizes: npt.NDArray[np.int32]

    def bytes_of(self, row: npt.NDArray[np.float16]) -> Bytes:
        """A row of features (total,), as it is stored; beyond the range is its end."""
        levels = (row.astype(np.float32) - self.spread(self.low)) / self.spread(self.step)
        return np.asarray(np.clip(levels + 0.5, 0, 255), np.uint8)

    def spread(self, values: Floats) -> Floats:
        """A value for each channel -> one for each place of a row, (total,)."""
        return np.repeat(values, self.sizes)


def scales_for(low: Floats, high: Floats, shapes: Sequence[tuple[int, ...]]) -> Scales:
    """From the least and the largest value of each place of a row (total,); `shapes` (1, channels, height,
    width) of its levels."""
    sizes = [shape[2] * shape[3] for shape in shapes for _ in range(shape[1])]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    least, most = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    step = np.maximum(most - least, 1e-6) / 255
    return Scales(least.astype(np.float32), step.astype(np.float32), np.array(sizes, np.int32))


class Features:
    """The file of them: a row for each frame of footage, read when it is wanted. One caller at a time."""

    def __init__(self, path: Path, scales: Scales, total: int) -> None:
        """`total` values in a row are what the decoder takes. Raises UsageError for another file."""
        try:
            self._rows: Bytes = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UsageError(f"{path} cannot be read ({error}).", "Train the replica again.") from error
        if self._rows.ndim != 2 or self._rows.dtype != np.uint8 or self._rows.shape[1] != total:
            raise UsageError(f"{path} does not belong to this decoder.", "Train the replica again.")
        self._low, self._step = scales.spread(scales.low), scales.spread(scales.step)

    def at(self, row: int, other: int, share: float) -> Floats:
        """Those of row `row`, (total,), or what is `share` of the way from it to row `other`."""
        levels: Bytes | Floats = self._rows[row]
        if share > 0.0:
            levels = levels * np.float32(1 - share) + self._rows[other] * np.float32(share)
        return np.asarray(levels * self._step + self._low, np.float32)
