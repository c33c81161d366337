"""The baked character on disk, one `atlas.npz` of compressed images and curves, and how its picture fills a
frame."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import MissingError, UsageError
from cvi.face.planes import Box, Bytes, Floats, check_size

ATLAS_FILE = "atlas.npz"
FORMAT = 1
TONE_STEPS, TONE_TOP = 1024, 4.0
"""The tone curve is tabled in so many steps over the square root of 0..TONE_TOP."""


class Atlas:
    """Arrays and images of an atlas by name."""

    def __init__(self, path: Path) -> None:
        """Raises MissingError without the file, UsageError for a damaged one or another format."""
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
        """Pixels of this atlas for one pixel of a picture 720 high."""
        return self.height / 720

    def has(self, name: str) -> bool:
        """Whether the atlas holds an array of this name; some are optional."""
        return name in self._arrays

    def array(self, name: str) -> npt.NDArray[Any]:
        """The array as stored. Raises UsageError where there is none; so do `floats`, `box` and `image`."""
        if name not in self._arrays:
            raise UsageError(f"{self._path} lacks '{name}'.", "Bake the replica anew.")
        return np.asarray(self._arrays[name])

    def floats(self, name: str) -> Floats:
        """The array as float32."""
        return self.array(name).astype(np.float32)

    def box(self, name: str) -> Box:
        """The array (4,) as a box: x0, y0, x1, y1."""
        return Box(*(int(v) for v in self.array(name)))

    def image(self, name: str) -> Bytes:
        """The image, decoded: uint8 (h, w) grey, (h, w, 3) RGB or (h, w, 4) RGBA."""
        picture = cv2.imdecode(self.array(name), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise UsageError(f"{self._path}: '{name}' is not an image.", "Fetch or bake the replica again.")
        if picture.ndim == 3:
            picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
        return np.ascontiguousarray(picture, np.uint8)


@dataclass(frozen=True, slots=True)
class FrameFit:
    """How the baked picture fills a frame: scaled by `scale`, then `left` and `top` pixels cut off."""

    width: int
    height: int
    scale: float
    left: float
    top: float

    @classmethod
    def cover(cls, baked: tuple[int, int], width: int, height: int) -> FrameFit:
        """Fill a frame of this size, cutting the overhang. Raises UsageError for a size that cannot be
        drawn."""
        check_size(width, height)
        if width < 0.75 * height:
            raise UsageError(
                f"{width}x{height} is too narrow for a stock face.",
                "Use a frame at least three quarters as wide.",
            )
        scale = max(width / baked[0], height / baked[1])
        return cls(width, height, scale, (baked[0] * scale - width) / 2, (baked[1] * scale - height) / 2)

    @classmethod
    def whole(cls, baked: tuple[int, int], scale: float) -> FrameFit:
        """All of the baked picture, scaled, regardless of a frame."""
        width, height = (int(np.ceil(side * scale / 2 - 1e-6)) * 2 for side in baked)
        return cls(width, height, scale, 0.0, 0.0)

    def into(
        self, other: FrameFit, box: Box, other_box: Box
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """(step, shift) for x and for y: pixel p of `box` lies at p * step + shift of `other_box` in
        `other`."""
        step = other.scale / self.scale
        x = (box.x0 + self.left + 0.5) * step - other.left - 0.5 - other_box.x0
        y = (box.y0 + self.top + 0.5) * step - other.top - 0.5 - other_box.y0
        return (step, x), (step, y)

    def box(self, baked: Box) -> Box:
        """The largest even box of the frame inside a baked one."""

        def up(v: float) -> int:
            return max(int(np.ceil(v / 2 - 1e-6)) * 2, 0)

        def down(v: float, most: int) -> int:
            return min(int(np.floor(v / 2 + 1e-6)) * 2, most)

        s = self.scale
        return Box(
            up(baked.x0 * s - self.left),
            up(baked.y0 * s - self.top),
            down(baked.x1 * s - self.left, self.width),
            down(baked.y1 * s - self.top, self.height),
        )

    def image(self, image: Bytes, baked: Box) -> Bytes:
        """A baked image of box `baked`, resampled to `self.box(baked)`."""
        return np.asarray(self._resampled(image, baked), np.uint8)

    def floats(self, image: Floats, baked: Box) -> Floats:
        """As `image`, for float32."""
        return np.asarray(self._resampled(image, baked), np.float32)

    def _resampled(self, image: Bytes | Floats, baked: Box) -> npt.NDArray[Any]:
        if self.scale == 1 and self.left == 0 and self.top == 0:
            return image
        box = self.box(baked)
        step = 1 / self.scale
        place = np.array(
            [
                [step, 0, (box.x0 + 0.5 + self.left) * step - 0.5 - baked.x0],
                [0, step, (box.y0 + 0.5 + self.top) * step - 0.5 - baked.y0],
            ]
        )
        if self.scale < 1:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.42 * float(np.sqrt(step**2 - 1)) + 0.05))
        how = cv2.INTER_LINEAR if self.scale < 1 else cv2.INTER_CUBIC
        size = box.x1 - box.x0, box.y1 - box.y0
        return np.asarray(
            cv2.warpAffine(
                image, place, size, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
            )
        )

    def x(self, baked: Floats, box: Box) -> Floats:
        """Baked picture x -> x from the left of `box` in the frame."""
        return np.asarray(baked * self.scale - self.left - box.x0, np.float32)

    def y(self, baked: Floats, box: Box) -> Floats:
        """Baked picture y -> y from the top of `box` in the frame."""
        return np.asarray(baked * self.scale - self.top - box.y0, np.float32)
