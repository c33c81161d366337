"""What is known of a photo beside its pixels: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError

FORMAT = 1
RIG, PHOTO = "rig.npz", "photo.png"
POINTS = 478
_ARRAYS = ("landmarks", "lip_line", "teeth", "cavity", "tongue", "lash", "glasses")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PhotoRig:
    """Where the face is, and what it does not show.

    `landmarks` float32 (478, 3) of MediaPipe's face mesh, pixels of the photo, z away from the viewer;
    `lip_line` (n, 2) the line where the lips meet, from the viewer's left to the right, pixels; `teeth`,
    `cavity`, `tongue` and `lash` (3,) colours, RGB 0..255, as they are in the photo's light; `glasses` (1,) 1
    where they are worn.
    """

    landmarks: Floats
    lip_line: Floats
    teeth: Floats
    cavity: Floats
    tongue: Floats
    lash: Floats
    glasses: Floats


def rig_bytes(rig: PhotoRig) -> bytes:
    """As it is stored."""
    arrays = {field.name: np.asarray(getattr(rig, field.name), np.float32) for field in fields(PhotoRig)}
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_rig(path: Path) -> PhotoRig:
    """Read what `rig_bytes` wrote. Raises UsageError for a file of another make."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise UsageError(f"{path} was made by another version of this program.", "Make it again.")
            arrays = {name: np.asarray(file[name], np.float32) for name in _ARRAYS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Make or fetch the replica again.") from error
    line = arrays["lip_line"]
    whole = arrays["landmarks"].shape == (POINTS, 3) and line.ndim == 2 and len(line) > 3
    if not whole or not all(np.isfinite(part).all() for part in arrays.values()):
        raise UsageError(f"{path} holds no face.", "Make or fetch the replica again.")
    return PhotoRig(**arrays)
