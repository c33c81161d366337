"""What a trained replica is made of beside its networks and its footage: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.features import Scales
from cvi.face.neural.gaze import Eyes
from cvi.face.neural.lids import Lids
from cvi.face.neural.mouth_map import MouthMap
from cvi.face.neural.reel import Reel

FORMAT = 3
RIG, BASE, DECODER, FEATURES = "rig.npz", "base.mp4", "decoder.onnx", "features.npy"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rig:
    """The base film's geometry, the ways through it, and the person's mouth.

    `size` (2,) width and height of the footage, pixels; `fps` of it. `matrices` float32 (n, 2, 3): frame
    pixels -> pixels of the square crop the network draws, one for each of the n frames of the base film.
    `features` int32 (n, 2), `shares` float32 (n,): its features are `shares` of the way from the one row of
    the cached ones to the other. `reach` float32 (n, DIRECTIONS): what is drawn in it (`hidden`); `side` of
    the crop, pixels. `mouth` turns controls into the person's coefficients, `lids` are their eyes shutting,
    `eyes` where they look, `reel` is the order the film is played in, `scales` what the cached features mean.
    """

    size: npt.NDArray[np.int32]
    fps: float
    matrices: Floats
    features: npt.NDArray[np.int32]
    shares: Floats
    reach: Floats
    side: int
    mouth: MouthMap
    lids: Lids
    eyes: Eyes
    reel: Reel
    scales: Scales

    def __len__(self) -> int:
        return len(self.matrices)


_PARTS: dict[str, Any] = {"mouth": MouthMap, "lids": Lids, "eyes": Eyes, "reel": Reel, "scales": Scales}
"""Values of `Rig` that are made of arrays themselves."""


def rig_bytes(rig: Rig) -> bytes:
    """As it is stored."""
    plain = ("size", "fps", "matrices", "features", "shares", "reach", "side")
    arrays = {name: np.asarray(getattr(rig, name)) for name in plain}
    for name, kind in _PARTS.items():
        for field in fields(kind):
            part = np.asarray(getattr(getattr(rig, name), field.name))
            arrays[f"{name}_{field.name}"] = part.astype(np.float32) if part.dtype == np.float64 else part
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_rig(path: Path) -> Rig:
    """Read what `rig_bytes` wrote. Raises UsageError for a file of another make."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise UsageError(
                    f"{path} was made by another version of this program.", "Train the replica again."
                )
            parts: dict[str, Any] = {
                name: kind(**{field.name: file[f"{name}_{field.name}"] for field in fields(kind)})
                for name, kind in _PARTS.items()
            }
            return Rig(
                size=file["size"],
                fps=float(file["fps"]),
                matrices=file["matrices"],
                features=file["features"],
                shares=file["shares"],
                reach=file["reach"],
                side=int(file["side"]),
                **parts,
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error
