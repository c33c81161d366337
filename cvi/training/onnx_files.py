"""The trained network as ONNX, its two halves apart."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch

from cvi.training.network import LEVELS, Network

_OPSET = 17


def encoder_bytes(network: Network) -> bytes:
    """`around` (1, 4, side, side) -> feature0 .. feature3."""
    side = network.size.side
    return _exported(
        network.encoder, (torch.zeros(1, 4, side, side),), ["around"], [f"feature{i}" for i in range(LEVELS)]
    )


def decoder_bytes(network: Network) -> bytes:
    """feature0 .. feature3 and `mouth` (1, k) -> `drawn` (1, 3, side, side), 0..1."""
    side = network.size.side
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 4, side, side))
    shapes = tuple(torch.zeros(feature.shape) for feature in features)
    names = [*(f"feature{i}" for i in range(LEVELS)), "mouth"]
    return _exported(network.decoder, (*shapes, torch.zeros(1, network.size.mouth)), names, ["drawn"])


def _exported(
    module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], outputs: list[str]
) -> bytes:
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
