"""The exported networks, run on any frame: what the live face runs is what is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.face.neural.compose import lay
from cvi.face.neural.decoder import Decoder
from cvi.face.neural.hidden import hidden_of, region_of
from cvi.face.neural.rig import DECODER
from cvi.onnx import open_session
from cvi.training.region import crop

ENCODER = "encoder.onnx"

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class Encoder:
    """ONNX Runtime on one thread: the footage around the hidden region -> features."""

    def __init__(self, path: Path) -> None:
        """Raises EngineError for a file that is no network."""
        self._session = open_session(path, f"face network {path}", "Train the replica again.")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the levels that `features` lays in a row: (1, channels, height, width)."""
        return [tuple(output.shape) for output in self._session.get_outputs()]

    def features(self, picture: npt.NDArray[np.uint8], hidden: Floats) -> npt.NDArray[np.float16]:
        """One row for the file of cached features, (total,). `picture` (side, side, 3), `hidden` (side,
        side) 1 where it may not look."""
        shown = picture.astype(np.float32).transpose(2, 0, 1) / 255 * (1 - hidden)
        around = np.concatenate([shown, hidden[None]])[None].astype(np.float32)
        outputs = self._session.run(None, {"around": around})
        return np.concatenate([output.ravel() for output in outputs]).astype(np.float16)


class Painter:
    """Draws a mouth into a frame that is not of the base film. One thread."""

    def __init__(self, folder: Path, side: int) -> None:
        """`folder` is a replica's, `side` of its crop. Raises EngineError, MissingError as `Encoder` and
        `Decoder` do."""
        self._encoder = Encoder(folder / ENCODER)
        self._decoder = Decoder(folder / DECODER)
        self._side = side

    def draw(self, picture: Bytes, reach: Floats, mouth: Floats) -> Floats:
        """`picture` (side, side, 3) with the mouth (k,): float32 RGB 0..255, the whole drawing. `reach` as in
        `Prepared`, of that frame."""
        features = self._encoder.features(picture, hidden_of(reach, self._side))
        return self._decoder.draw(features, mouth)

    def paste(self, frame: Bytes, drawn: Floats, matrix: Floats, reach: Floats) -> None:
        """Lay a drawing into an I420 frame, in place, as the live face does."""
        region = region_of(reach, self._side)
        lay(frame, drawn, matrix, region.mask, region.ring)

    def crop(self, rgb: Bytes, matrix: Floats) -> Bytes:
        """The crop of an RGB frame."""
        return crop(rgb, matrix, self._side)
