"""What a trained replica has beside its networks and its footage: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.clip_graph import ClipGraph
from cvi.face.neural.decoder import FeatureScales
from cvi.face.neural.eyes import BlinkPatches, EyeTrack
from cvi.face.neural.mouth_map import MouthMap
from cvi.face.planes import Floats

FORMAT = 3
RIG, BASE, DECODER, FEATURES = "rig.npz", "base.mp4", "decoder.onnx", "features.npy"


@dataclass(frozen=True, slots=True)
class NeuralRig:
    """Geometry of the base film, playback order, and the person's mouth and eyes; n frames.

    `size` (2,): width and height of the footage, pixels; `fps` its rate. `matrices` float32 (n, 2, 3): frame
    pixels -> pixels of the square crop that the network draws. `features` int32 (n, 2), `shares` float32
    (n,): each frame's cached features are `shares` of the way from the first row to the second. `reach`
    float32 (n, DIRECTIONS): the drawn region (`compose.DrawnRegion`); `side`: of the crop, pixels. `mouth`
    maps controls to the person's mouth coefficients, `blink` closes the eyes, `eyes` turns them, `clips`
    orders playback, `scales` decodes the features.
    """

    size: npt.NDArray[np.int32]
    fps: float
    matrices: Floats
    features: npt.NDArray[np.int32]
    shares: Floats
    reach: Floats
    side: int
    mouth: MouthMap
    blink: BlinkPatches
    eyes: EyeTrack
    clips: ClipGraph
    scales: FeatureScales

    def __len__(self) -> int:
        return len(self.matrices)


_PLAIN = ("size", "fps", "matrices", "features", "shares", "reach", "side")
_PARTS: dict[str, tuple[str, Any]] = {
    "mouth": ("mouth", MouthMap),
    "blink": ("lids", BlinkPatches),
    "eyes": ("eyes", EyeTrack),
    "clips": ("reel", ClipGraph),
    "scales": ("scales", FeatureScales),
}
"""Fields of `NeuralRig` that hold arrays of their own: the prefix of their names in the file, and their
class."""
_STORED_AS = {"transitions": "jumps", "loops": "turns"}
"""Fields of these classes whose name in the file differs."""


def rig_bytes(rig: NeuralRig) -> bytes:
    """The rig as an npz file."""
    arrays = {name: np.asarray(getattr(rig, name)) for name in _PLAIN}
    for name, (prefix, kind) in _PARTS.items():
        for field in fields(kind):
            part = np.asarray(getattr(getattr(rig, name), field.name))
            stored = part.astype(np.float32) if part.dtype == np.float64 else part
            arrays[_stored_name(prefix, field.name)] = stored
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_rig(path: Path) -> NeuralRig:
    """Read a file written by `rig_bytes`. Raises UsageError for a damaged file or another format."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise UsageError(
                    f"{path} was made by another version of this program.", "Train the replica again."
                )
            values: dict[str, Any] = {name: file[name] for name in _PLAIN}
            for name, (prefix, kind) in _PARTS.items():
                values[name] = kind(
                    **{field.name: file[_stored_name(prefix, field.name)] for field in fields(kind)}
                )
            return NeuralRig(**{**values, "fps": float(values["fps"]), "side": int(values["side"])})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error


def _stored_name(prefix: str, field: str) -> str:
    return f"{prefix}_{_STORED_AS.get(field, field)}"
