"""What stands behind the person: their room, or something in its place."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from cvi.errors import UsageError
from cvi.face.planes import Box, Bytes, Planes, to_planes
from cvi.face.sculpted.atlas import Atlas, FrameFit

GRAIN = 0.9  # standard deviation of still noise in luma, which keeps soft gradients from banding
GREEN = (0, 177, 64)  # the green of cloth and paint for keying
BLUR = 0.022  # sigma of the room out of focus, picture heights
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")


def make_background(background: str, atlas: Atlas, fit: FrameFit) -> Planes:
    """The picture behind the person in frame size; `background` as in `FaceSettings`.

    Raises UsageError for anything else than a known name, a colour or a picture that can be read.
    """
    shape = (fit.height, fit.width, 3)
    if background in ("room", "blur"):
        room = fit.image(atlas.image("room"), Box(0, 0, atlas.width, atlas.height))
        if background == "blur":
            room = np.asarray(cv2.GaussianBlur(room, (0, 0), BLUR * fit.height), np.uint8)
        return grained(to_planes(room))
    if background == "greenscreen":
        # Chroma keying needs one exact colour: no grain.
        return to_planes(np.full(shape, GREEN, np.uint8))
    if match := _COLOUR.fullmatch(background):
        colour = bytes.fromhex(match[1])
        return to_planes(np.full(shape, tuple(colour), np.uint8))
    return grained(to_planes(_picture(Path(background).expanduser(), fit.width, fit.height)))


def grained(planes: Planes) -> Planes:
    """The planes with still noise in luma, the same for every picture of one size."""
    grain = np.random.default_rng(7).normal(0, GRAIN, planes.luma.shape)
    return Planes(np.clip(planes.luma + grain + 0.5, 16, 235).astype(np.uint8), planes.cb, planes.cr)


def _picture(path: Path, width: int, height: int) -> Bytes:
    """A picture that fills the frame, its overhang cut off evenly, RGB."""
    if not path.is_file():
        raise UsageError(
            f"There is no background '{path}'.",
            "Give room, blur, greenscreen, a colour such as #20304a, or the path of a picture.",
        )
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} is not a picture that can be read.", "Give a png, jpeg or webp file.")
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=how)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width, ::-1], np.uint8)
