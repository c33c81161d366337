"""A character in front of the camera: hair grown and lit once, then photographed in many poses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cvi.face.sculpted.bake.camera import FAR, Rect, photograph
from cvi.face.sculpted.bake.character import Character
from cvi.face.sculpted.bake.face_hair import make_brows, make_lashes
from cvi.face.sculpted.bake.hair_density import empty_density, hair_density
from cvi.face.sculpted.bake.hairstyles import make_hair
from cvi.face.sculpted.bake.kernel import Array
from cvi.face.sculpted.bake.light import make_lights
from cvi.face.sculpted.bake.params import make_params
from cvi.face.sculpted.bake.strands import draw_strands, light_strands

Image = npt.NDArray[np.float32]
LASH_COLOUR = (0.016, 0.011, 0.009)


class Sitter:
    """`picture` may be called again and again; it uses `threads` threads."""

    def __init__(self, character: Character, threads: int = 2) -> None:
        self.character = character
        self._threads = threads
        self.lights = make_lights(character.lights)
        p = make_params(character.shape)
        look = character.look
        self._hair: tuple[Array, Array] | None = None
        self._fog = empty_density()
        if character.hair.count > 0:
            strands, guide = make_hair(character.hair, p)
            rng = np.random.default_rng(character.hair.seed + 1)
            lock = rng.uniform(0.62, 1.38, int(guide.max()) + 1)[guide] * rng.uniform(
                0.85, 1.15, len(strands)
            )
            tint = [lock * (1 + k * rng.normal(size=len(strands))) for k in (0.0, 0.04, 0.06)]
            self._fog = hair_density(strands)
            colour = light_strands(
                strands, self._fog, self.lights, np.array(look.colour), np.stack(tint, 1),
                look.root, None if look.tip is None else np.array(look.tip), look.gloss, look.thick,
            )  # fmt: skip
            self._hair = strands, colour

    def picture(self, rect: Rect, pose: Mapping[str, float]) -> tuple[Image, Array]:
        """Photograph a rectangle.

        Returns linear premultiplied RGBA (h, w, 4) and the view distance (h, w), FAR where nothing is.
        """
        p = make_params(self.character.shape, pose)
        image, depth, _ = photograph(p, self._fog, self.lights, rect, self._threads)
        look = self.character.look
        brow = np.array(look.brow or look.colour)
        strands, opacity = make_brows(self.character.brows, p)
        vary = np.random.default_rng(0).uniform(0.75, 1.25, (len(strands), 1)) * np.ones(3)
        colour = light_strands(strands, self._fog, self.lights, brow, vary, 0.9, None, (0.15, 0.2), 0.6)
        draw_strands(image, depth, rect, strands, colour, 1.15, 0.72 * opacity, 0.02)
        for upper in (True, False):
            strands = make_lashes(self.character.lashes, p, upper)
            colour = np.broadcast_to(np.array(LASH_COLOUR), strands.shape)
            width = self.character.lashes.width_px * (1.0 if upper else 0.5)
            draw_strands(image, depth, rect, strands, colour, width, 0.85 if upper else 0.3, 0.03)
        if self._hair is not None:
            draw_strands(image, depth, rect, *self._hair, self.character.look.width_px, 0.9)
        return _halve(image), _nearest_depth(depth)


def _halve(image: Array) -> Image:
    h, w, c = image.shape
    return np.asarray(image.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3)), np.float32)


def _nearest_depth(depth: Array) -> Array:
    h, w = depth.shape
    return np.asarray(np.minimum(depth.reshape(h // 2, 2, w // 2, 2).min((1, 3)), FAR))
