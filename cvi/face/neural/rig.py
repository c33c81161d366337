"""What a trained replica is made of beside its networks and its footage: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.lids import Lids
from cvi.face.neural.mouth_map import MouthMap

FORMAT = 2
RIG, BASE, DECODER, FEATURES = "rig.npz", "base.mp4", "decoder.onnx", "features.npy"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rig:
    """The base loop's geometry and the person's mouth.

    `size` (2,) width and height of the footage, pixels; `fps` of it. `matrices` float32 (n, 2, 3): frame
    pixels -> pixels of the square crop the network draws, one for each of the n frames of the base loop.
    `features` int32 (n,): which row of the cached features belongs to it. `reach` float32 (n, DIRECTIONS):
    what is drawn in it (`hidden`); `side` of the crop, pixels. `mouth` turns controls into the person's
    coefficients, `lids` are their eyes shutting.
    """

    size: npt.NDArray[np.int32]
    fps: float
    matrices: Floats
    features: npt.NDArray[np.int32]
    reach: Floats
    side: int
    mouth: MouthMap
    lids: Lids

    def __len__(self) -> int:
        return len(self.matrices)


def rig_bytes(rig: Rig) -> bytes:
    """As it is stored."""
    plain = ("size", "fps", "matrices", "features", "reach", "side")
    arrays = {name: np.asarray(getattr(rig, name)) for name in plain}
    for field in fields(MouthMap):
        arrays[f"mouth_{field.name}"] = np.asarray(getattr(rig.mouth, field.name), np.float32)
    for field in fields(Lids):
        arrays[f"lids_{field.name}"] = np.asarray(getattr(rig.lids, field.name))
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
            mouth = MouthMap(**{field.name: file[f"mouth_{field.name}"] for field in fields(MouthMap)})
            return Rig(
                size=file["size"],
                fps=float(file["fps"]),
                matrices=file["matrices"],
                features=file["features"],
                reach=file["reach"],
                side=int(file["side"]),
                mouth=mouth,
                lids=Lids(**{field.name: file[f"lids_{field.name}"] for field in fields(Lids)}),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error
