"""The baked character as it lies on disk: one `atlas.npz` of compressed images and curves."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import MissingError, UsageError
from cvi.face.planes import Box, Floats

FORMAT = 1
TONE_STEPS, TONE_TOP = 1024, 4.0  # the film curve is tabled over the square root of 0..TONE_TOP
Rgb = npt.NDArray[np.uint8]


class Atlas:
    """Reads arrays and images of an atlas by name. Raises `MissingError`, `UsageError`."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
        except FileNotFoundError as error:
            raise MissingError(f"There is no {path}.", "Bake it: python -m cvi.characters") from error
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise UsageError(
                f"{path} is not an atlas ({error}).", "Fetch or bake the replica again."
            ) from error
        self._path = path
        found = int(self.array("format"))
        if found != FORMAT:
            raise UsageError(f"{path} has format {found}, this program reads {FORMAT}.", "Bake it anew.")
        self.width, self.height = (int(v) for v in self.array("size"))

    @property
    def fineness(self) -> float:
        """Pixels of this atlas for one of a picture 720 high."""
        return self.height / 720

    def has(self, name: str) -> bool:
        """Whether an array only some atlases hold is in this one."""
        return name in self._arrays

    def array(self, name: str) -> npt.NDArray[Any]:
        if name not in self._arrays:
            raise UsageError(f"{self._path} lacks '{name}'.", "Bake the replica anew.")
        return np.asarray(self._arrays[name])

    def floats(self, name: str) -> Floats:
        return self.array(name).astype(np.float32)

    def box(self, name: str) -> Box:
        return Box(*(int(v) for v in self.array(name)))

    def image(self, name: str) -> Rgb:
        """An image as uint8: (h, w) grey, (h, w, 3) RGB or (h, w, 4) RGBA."""
        picture = cv2.imdecode(self.array(name), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise UsageError(f"{self._path}: '{name}' is not an image.", "Fetch or bake the replica again.")
        if picture.ndim == 3:
            picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
        return np.ascontiguousarray(picture, np.uint8)
