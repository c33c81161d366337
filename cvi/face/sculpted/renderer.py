"""The live renderer of a baked character."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.errors import EngineError
from cvi.face.base import Controls, FaceSettings, Frame
from cvi.face.sculpted.atlas import Atlas, Box
from cvi.face.sculpted.eyes import Eye
from cvi.face.sculpted.mouth import Mouth
from cvi.face.sculpted.planes import Fit, Floats, Plane, Planes, halved, to_planes
from cvi.face.sculpted.pose import Pose

GRAIN = 0.9  # of the room's luma, standard deviation; keeps soft gradients from banding. It never moves.


class SculptedFace:
    """Draws frames from an atlas: mouth and eyes laid on the head, the head turned, laid on the room.

    One thread at a time. `render` depends on its controls alone.
    """

    name = "sculpted"

    def __init__(self, atlas: Atlas, settings: FaceSettings) -> None:
        cv2.setNumThreads(1)
        fit = Fit.cover((atlas.width, atlas.height), settings.width, settings.height)
        self.width, self.height = settings.width, settings.height
        self._room = _room(atlas, fit)
        baked = atlas.box("head_rect")
        self._head = to_planes(fit.image(atlas.image("head"), baked))  # type: ignore[arg-type]
        alpha = np.asarray(fit.image(atlas.image("head_alpha"), baked), np.float32) / 255
        self._alpha, self._half_alpha = alpha, halved(alpha)
        self._pose = Pose(atlas, fit)
        self._mouth = Mouth(atlas, fit)
        self._eyes = [Eye(atlas, fit, side) for side in (-1, 1)]
        self._parts = [_Part(part.box, self._pose.box, part.weight) for part in (self._mouth, *self._eyes)]
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """One frame: uint8 I420, (height * 3 // 2, width), BT.709 limited range."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        luma, chroma = self._head.luma.copy(), self._head.chroma.copy()
        for part, drawn in zip(
            self._parts, (self._mouth.draw(controls), *(eye.draw(controls) for eye in self._eyes)), strict=True
        ):
            part.lay(drawn, luma, chroma)
        maps = self._pose.maps(controls)
        box = self._pose.box
        frame = np.empty((self.height * 3 // 2, self.width), np.uint8)
        full = frame[: self.height]
        full[:] = self._room.luma
        rows, columns = slice(box.y0, box.y1), slice(box.x0, box.x1)
        full[rows, columns] = _composite(luma, self._alpha, maps, self._room.luma[rows, columns])
        mixed = self._room.chroma.copy()
        half = slice(box.y0 // 2, box.y1 // 2), slice(box.x0 // 2, box.x1 // 2)
        maps = (maps[0] - 0.5) / 2, (maps[1] - 0.5) / 2
        mixed[half] = _composite(chroma, self._half_alpha, maps, self._room.chroma[half])
        planes = frame[self.height :].reshape(2, self.height // 2, self.width // 2)
        planes[0], planes[1] = mixed[..., 0], mixed[..., 1]
        return frame

    def close(self) -> None:
        self._closed = True


class _Part:
    """Where a feathered patch lies within the head's picture."""

    def __init__(self, box: Box, head: Box, weight: Floats) -> None:
        y0, y1, x0, x1 = box.y0 - head.y0, box.y1 - head.y0, box.x0 - head.x0, box.x1 - head.x0
        self._full = slice(y0, y1), slice(x0, x1)
        self._half = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        self._weight, self._rest = weight, 1 - weight
        self._half_weight = halved(weight)
        self._half_rest = 1 - self._half_weight

    def lay(self, drawn: Planes, luma: Plane, chroma: Plane) -> None:
        luma[self._full] = cv2.blendLinear(drawn.luma, luma[self._full], self._weight, self._rest)
        chroma[self._half] = cv2.blendLinear(
            drawn.chroma, chroma[self._half], self._half_weight, self._half_rest
        )


def _composite(head: Plane, alpha: Floats, maps: tuple[Floats, Floats], room: Plane) -> Plane:
    """Turn head and alpha by coarse maps and lay them over the room."""
    h, w = head.shape[:2]
    x, y = (cv2.resize(m, (w, h), interpolation=cv2.INTER_LINEAR) for m in maps)
    turned = cv2.remap(head, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.remap(alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blendLinear(turned, room, cover, 1 - cover), np.uint8)


def _room(atlas: Atlas, fit: Fit) -> Planes:
    whole = Box(0, 0, atlas.width, atlas.height)
    planes = to_planes(fit.image(atlas.image("room"), whole))  # type: ignore[arg-type]
    grain = np.random.default_rng(7).normal(0, GRAIN, planes.luma.shape)
    return Planes(np.clip(planes.luma + grain + 0.5, 16, 235).astype(np.uint8), planes.chroma)
