"""One developed picture of a character in its room, for looking at before an atlas is baked."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters import film
from cvi.characters.camera import HEIGHT_PX, WIDTH_PX, Rect
from cvi.characters.recipe import HEAD
from cvi.characters.room import make_room
from cvi.characters.sitter import Sitter


def portrait(sitter: Sitter, pose: Mapping[str, float], scale: float) -> npt.NDArray[np.uint8]:
    """RGB (720 * scale, 1280 * scale, 3); `pose` is added to the resting one."""
    everything = Rect(0, 0, WIDTH_PX, HEIGHT_PX)
    size = round(WIDTH_PX * scale), round(HEIGHT_PX * scale)
    room = cv2.resize(make_room(sitter.character.room), size, interpolation=cv2.INTER_AREA)
    image, _ = sitter.picture(HEAD, pose, scale)
    left = round(HEAD.x0 * scale)
    part = room[:, left : left + image.shape[1]]
    part[:] = part * (1 - image[..., 3:]) + image[..., :3]
    return film.develop(np.asarray(room, np.float32), everything, scale)
