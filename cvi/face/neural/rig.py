"""What a trained replica is made of beside its networks and its footage: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.mouth_map import MouthMap

FORMAT = 1
RIG, BASE, DECODER, FEATURES = "rig.npz", "base.mp4", "decoder.onnx", "features.npy"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rig:
    """The base loop's geometry and the person's mouth.

    `size` (2,) width and height of the footage, pixels; `fps` of it. `matrices` float32 (n, 2, 3): frame
    pixels -> pixels of the square crop the network draws, one for each of the n frames of the base loop.
    `features` int32 (n,): which row of the cached features belongs to it. `mask` float32 (side, side): how
    much of the network's drawing is shown, 0..1. `ring` the same size: where footage and drawing are
    compared to match their colours. `mouth` turns controls into the person's coefficients.
    """

    size: npt.NDArray[np.int32]
    fps: float
    matrices: Floats
    features: npt.NDArray[np.int32]
    mask: Floats
    ring: Floats
    mouth: MouthMap

    def __len__(self) -> int:
        return len(self.matrices)


def rig_bytes(rig: Rig) -> bytes:
    """As it is stored."""
    plain = ("size", "fps", "matrices", "features", "mask", "ring")
    arrays = {name: np.asarray(getattr(rig, name)) for name in plain}
    for field in fields(MouthMap):
        arrays[f"mouth_{field.name}"] = np.asarray(getattr(rig.mouth, field.name), np.float32)
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
                mask=file["mask"],
                ring=file["ring"],
                mouth=mouth,
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Train or fetch the replica again.") from error
