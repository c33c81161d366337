"""How the baked picture fills a frame, and planes of it weighed and mixed.

Everything that moves is bent and blended in planes: full-size luma, half-size chroma, two thirds of the
work of four interleaved channels, and what lies wholly inside the head is fetched straight into the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.planes import TO_YCC, Box, Bytes, Floats, Planes, halved


def as_weight(weight: Bytes) -> Planes:
    """A weight (h, w) for luma and chroma alike."""
    half = halved(weight)
    return Planes(weight, half, half)


def mixed(a: Planes, b: Planes, part: float) -> Planes:
    """`part` of b, the rest of a."""
    return Planes(
        *(
            np.asarray(cv2.addWeighted(one, 1 - part, other, part, 0), np.uint8)
            for one, other in zip(a, b, strict=True)
        )
    )


def to_ycc(rgb: Floats) -> Floats:
    """Float RGB 0..255 (h, w, 3) -> Y, Cb, Cr in the same numbers as a sheet's, not rounded."""
    return np.asarray(cv2.transform(rgb, TO_YCC), np.float32)


def feather(box: Box, edge: float) -> Bytes:
    """A weight that falls from 255 inside to 0 at the border over about `edge` pixels, (h, w)."""

    def ramp(n: int) -> Floats:
        place = np.arange(n, dtype=np.float32) + 0.5
        t = np.clip(np.minimum(place, n - place) / edge, 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    return np.asarray(np.outer(ramp(box.y1 - box.y0), ramp(box.x1 - box.x0)) * 255 + 0.5, np.uint8)


@dataclass(frozen=True, slots=True)
class Fit:
    """How the baked picture fills a frame: scaled by `scale`, then `left` and `top` pixels cut off."""

    width: int
    height: int
    scale: float
    left: float
    top: float

    @classmethod
    def cover(cls, baked: tuple[int, int], width: int, height: int) -> Fit:
        """Fill the frame, cutting what does not fit. Raises `UsageError` for a frame that cannot be."""
        if width % 2 or height % 2 or min(width, height) < 96 or max(width, height) > 4096:
            raise UsageError(
                f"A face cannot be drawn at {width}x{height}.",
                "Use even sizes from 96 to 4096, such as 1280x720.",
            )
        if width < 0.75 * height:
            raise UsageError(
                f"{width}x{height} is too narrow for a stock face.",
                "Use a frame at least three quarters as wide.",
            )
        scale = max(width / baked[0], height / baked[1])
        return cls(width, height, scale, (baked[0] * scale - width) / 2, (baked[1] * scale - height) / 2)

    @classmethod
    def whole(cls, baked: tuple[int, int], scale: float) -> Fit:
        """All of the baked picture, scaled; it need not be what a frame shows."""
        width, height = (int(np.ceil(side * scale / 2 - 1e-6)) * 2 for side in baked)
        return cls(width, height, scale, 0.0, 0.0)

    def into(self, other: Fit, box: Box, there: Box) -> tuple[tuple[float, float], tuple[float, float]]:
        """For x and y (step, shift): place p of `box` here lies at p * step + shift of `there` in `other`."""
        step = other.scale / self.scale
        x = (box.x0 + self.left + 0.5) * step - other.left - 0.5 - there.x0
        y = (box.y0 + self.top + 0.5) * step - other.top - 0.5 - there.y0
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
        """A baked image of box `baked` as it lies in `self.box(baked)`."""
        return np.asarray(self._resampled(image, baked), np.uint8)

    def floats(self, image: Floats, baked: Box) -> Floats:
        """The same for floats."""
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
        return np.asarray(baked * self.scale - self.top - box.y0, np.float32)
