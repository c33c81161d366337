"""What a trained replica has beside its networks and its footage: `rig.npz`, and in it the mouth map.

The map leads from the control vector to one person's mouth coefficients: the shape of their lips and jaw with
the head pose removed (`cvi.training.footage.mouth_space`), fitted to their footage
(`cvi.training.audio.mouth_controls`).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.neural.clip_graph import ClipGraph
from cvi.face.neural.decoder import FeatureScales
from cvi.face.neural.eyes import BlinkPatches, EyeTrack
from cvi.face.planes import Floats

TERMS = 12
"""Number of terms."""
SPOKEN_TERM = 2
"""Index of the term that is 1 as soon as the mouth opens."""
JAW_TERMS, JAW_SQUARED = (0, 7, 8, 11), 1
"""Indices of the terms that grow with the jaw, the jaw itself first, and of its square."""
HINTS = (9, 10, 11)
"""Indices of the terms of teeth and tongue."""
# The `press` at which the lips have met; the driver presses to 0.92 at a full P, B or M.
_PRESS_MET = 0.6


@dataclass(frozen=True, slots=True)
class MouthMap:
    """A linear map with limits; k coefficients.

    `rest` (k,): the mouth at rest; `closed` (k,): lips together in speech; `weights` (TERMS, k): what `terms`
    adds to `rest`; `smile` (k,): what a full smile adds. `least`, `most` (k,) and `reach` (1,), the largest
    distance from `rest`, limit the result to what the footage showed.
    """

    rest: Floats
    closed: Floats
    weights: Floats
    smile: Floats
    least: Floats
    most: Floats
    reach: Floats

    def __call__(self, controls: Controls) -> Floats:
        """The coefficients (k,) of a control vector; exactly `rest` for a mouth at rest without a smile."""
        spoken = self.rest + terms(controls) @ self.weights
        met = contact(controls)
        shape = spoken + met * (self.closed - spoken)
        # Lips pressed together for a P show less of a smile.
        shape = shape + min(max(controls.smile, -1.0), 1.0) * (1.0 - 0.5 * met) * self.smile
        away = np.clip(shape, self.least, self.most) - self.rest
        length, reach = float(np.linalg.norm(away)), float(self.reach[0])
        return np.asarray(self.rest + away * (reach / length if length > reach else 1.0), np.float32)


def contact(controls: Controls) -> float:
    """How far the lips have met, 0..1."""
    x = min(max(controls.press / _PRESS_MET, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def terms(controls: Controls) -> Floats:
    """The inputs of the linear map, (TERMS,); all zero for a mouth at rest."""
    jaw, wide, round_, tuck, tongue = (
        min(max(value, 0.0), 1.0)
        for value in (controls.jaw, controls.wide, controls.round, controls.tuck, controls.tongue)
    )
    return np.array(
        [
            jaw, jaw * jaw, min(jaw / 0.15, 1.0), wide, wide * wide, round_, round_ * round_,
            jaw * wide, jaw * round_, tuck, tongue, jaw * tongue,
        ],
        np.float32,
    )  # fmt: skip


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
