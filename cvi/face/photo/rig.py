"""What a photo replica has beside the photo: `rig.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from cvi.errors import UsageError
from cvi.face.planes import Floats

FORMAT = 1
RIG, PHOTO = "rig.npz", "photo.png"
POINTS = 478
_ARRAYS = ("landmarks", "lip_line", "teeth", "cavity", "tongue", "lash", "glasses")


@dataclass(frozen=True, slots=True)
class PhotoRig:
    """Where the face is in the photo, and colours of what the photo does not show; all float32.

    `landmarks` (478, 3): MediaPipe's face mesh, photo pixels, z away from the viewer; `lip_line` (n, 2):
    where the lips meet, from left to right, photo pixels; `teeth`, `cavity`, `tongue`, `lash` (3,): RGB
    0..255 in the photo's light; `glasses` (1,): 1 where they are worn.
    """

    landmarks: Floats
    lip_line: Floats
    teeth: Floats
    cavity: Floats
    tongue: Floats
    lash: Floats
    glasses: Floats


def rig_bytes(rig: PhotoRig) -> bytes:
    """The rig as an npz file."""
    arrays = {field.name: np.asarray(getattr(rig, field.name), np.float32) for field in fields(PhotoRig)}
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_rig(path: Path) -> PhotoRig:
    """Read a file written by `rig_bytes`. Raises UsageError for a damaged file or another format."""
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
