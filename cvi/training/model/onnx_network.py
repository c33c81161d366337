"""The trained network as ONNX: written from torch, and run as the live face runs it, so that what is shown is
measured. Only the two functions that write need torch."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cvi.face.neural.compose import drawn_region, hidden_mask, paste
from cvi.face.neural.decoder import LowerFaceDecoder
from cvi.face.neural.rig import DECODER
from cvi.onnx import open_session
from cvi.training.arrays import Bytes, Floats
from cvi.training.footage.face_geometry import crop
from cvi.training.model.config import LEVELS

if TYPE_CHECKING:
    import torch

    from cvi.training.model.network import InpaintingNetwork


ENCODER = "encoder.onnx"
ENCODER_INPUT = "around"
"""The input's name in every replica's encoder."""
_OPSET = 17


def encoder_bytes(network: InpaintingNetwork) -> bytes:
    """The context encoder as ONNX: a masked picture (1, 4, side, side) -> feature0 .. feature3."""
    import torch

    side = network.size.side
    outputs = [f"feature{i}" for i in range(LEVELS)]
    return _exported(network.encoder, (torch.zeros(1, 4, side, side),), [ENCODER_INPUT], outputs)


def decoder_bytes(network: InpaintingNetwork) -> bytes:
    """The decoder as ONNX: feature0 .. feature3 and `mouth` (1, k) -> `drawn` (1, 3, side, side), 0..1."""
    import torch

    side = network.size.side
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 4, side, side))
    shapes = tuple(torch.zeros(feature.shape) for feature in features)
    names = [*(f"feature{i}" for i in range(LEVELS)), "mouth"]
    return _exported(network.decoder, (*shapes, torch.zeros(1, network.size.mouth)), names, ["drawn"])


def _exported(
    module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], outputs: list[str]
) -> bytes:
    import torch

    module = module.to("cpu").eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "network.onnx"
        # The exporter announces its successor, which needs more packages.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=names,
            output_names=outputs,
            opset_version=_OPSET,
            dynamo=False,
        )
        return path.read_bytes()


class OnnxEncoder:
    """The exported context encoder: a masked picture -> features. One thread."""

    def __init__(self, path: Path) -> None:
        """Raises EngineError for a file that is no network."""
        self._session = open_session(path, f"face network {path}", "Train the replica again.")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes (1, channels, height, width) of the levels that `features` puts in a row."""
        return [tuple(output.shape) for output in self._session.get_outputs()]

    def features(self, picture: Bytes, hidden: Floats) -> npt.NDArray[np.float16]:
        """One row for the file of cached features, (total,). `picture` RGB (side, side, 3), `hidden` (side,
        side) 1 where the encoder may not look."""
        shown = picture.astype(np.float32).transpose(2, 0, 1) / 255 * (1 - hidden)
        masked = np.concatenate([shown, hidden[None]])[None].astype(np.float32)
        outputs = self._session.run(None, {ENCODER_INPUT: masked})
        return np.concatenate([output.ravel() for output in outputs]).astype(np.float16)


class FrameInpainter:
    """Draws a mouth into any frame of the person, as the live face does for frames of its clips. One
    thread."""

    def __init__(self, folder: Path, side: int) -> None:
        """`folder` is a replica's, `side` of its crop, pixels. Raises EngineError, MissingError."""
        self._encoder = OnnxEncoder(folder / ENCODER)
        self._decoder = LowerFaceDecoder(folder / DECODER)
        self._side = side

    def draw(self, picture: Bytes, reach: Floats, mouth: Floats) -> Floats:
        """The crop `picture` (side, side, 3) with the mouth (k,): float32 RGB 0..255, (side, side, 3).
        `reach` of that frame, as in `PreparedFootage`."""
        features = self._encoder.features(picture, hidden_mask(reach, self._side))
        return self._decoder.draw(features, mouth)

    def paste(self, frame: Bytes, drawn: Floats, matrix: Floats, reach: Floats) -> None:
        """Blend a drawing into an I420 frame, in place; `matrix` (2, 3) from the frame to the crop."""
        region = drawn_region(reach, self._side)
        paste(frame, drawn, matrix, region.mask, region.ring)

    def crop(self, rgb: Bytes, matrix: Floats) -> Bytes:
        """The crop (side, side, 3) of an RGB frame."""
        return crop(rgb, matrix, self._side)
