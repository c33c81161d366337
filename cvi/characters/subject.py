"""A character in front of the camera: hair is grown and lit once, then many poses are rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.atlas_patches import HEAD
from cvi.characters.backdrop import make_room
from cvi.characters.camera import (
    FAR,
    HEIGHT_PX,
    WIDTH_PX,
    PosedScene,
    Rect,
    make_lights,
    render_rectangle,
    to_display,
)
from cvi.characters.character import Character, make_params
from cvi.characters.face_hair import make_beard, make_brows, make_lashes
from cvi.characters.hairstyles import hairline, make_hair
from cvi.characters.kernel import Array, Params
from cvi.characters.scene import Field, empty_density, hair_density, resampled, sample_scene
from cvi.characters.strands import StrandSegments, draw, light_strands, prepare, smooth

Image = npt.NDArray[np.float32]
LASH_COLOUR = (0.016, 0.011, 0.009)
EYES_BOX = ((-0.62, 0.62), (-0.32, 0.36), (0.2, 0.95))
MOUTH_BOX = ((-0.75, 0.75), (-1.42, 0.05), (-0.35, 1.05))
_EARS_FLAT = {"ear_size": 0.5, "ear_out": 0.0}  # hair lies over ears, which give way
EYES_ONLY = {"lid_left", "lid_right", "eye_mode", "gaze_x", "gaze_y", "squint"}


class Subject:
    """Renders one character in any pose, with `threads` threads."""

    def __init__(self, character: Character, threads: int = 2) -> None:
        self.character = character
        self._threads = threads
        self.lights = make_lights(character.lights)
        p = make_params(character.shape)
        self._field = sample_scene(p)
        look = character.look
        self._hair: tuple[Array, Array, Array] | None = None
        self._prepared: dict[tuple[Rect, float], StrandSegments] = {}
        self._volume = empty_density()
        if character.hair.count > 0:
            bare = make_params({**character.shape, "glasses": 0.0, "earrings": 0.0, **_EARS_FLAT})
            strands, guide = make_hair(character.hair, bare, sample_scene(bare).grid)
            rng = np.random.default_rng(character.hair.seed + 1)
            lock = rng.uniform(0.70, 1.30, int(guide.max()) + 1)[guide] * rng.uniform(0.8, 1.2, len(strands))
            tint = np.stack([lock * (1 + k * rng.normal(size=len(strands))) for k in (0.0, 0.04, 0.06)], 1)
            if look.grey > 0:
                white = rng.uniform(size=len(strands)) < look.grey
                tint[white] *= 3.2
            self._volume = hair_density(strands)
            colour = light_strands(
                strands, self._volume, self.lights, np.array(look.colour), tint,
                look.root, None if look.tip is None else np.array(look.tip), look.gloss, look.thick,
            )  # fmt: skip
            roots = strands[:, 0]
            inside = roots[:, 1] - hairline(character.hair, roots[:, 0], roots[:, 2])
            self._hair = strands, colour, 0.9 * (0.35 + 0.65 * smooth(-0.01, 0.11, inside))

    def picture(
        self, rect: Rect, pose: Mapping[str, float], scale: float = 1.0, glasses: bool = True
    ) -> tuple[Image, Array]:
        """Render a rectangle, `scale` pixels for one of the 1280 x 720 picture.

        Returns linear premultiplied RGBA (h, w, 4) and the view distance (h, w), FAR where nothing is.
        """
        shape = dict(self.character.shape)
        if not glasses:
            shape["glasses"] = 0.0
        p = make_params(shape, pose)
        scene = PosedScene(p, self._posed(p, pose, glasses), self._volume, self.lights)
        image, depth = render_rectangle(scene, rect, self._threads, scale)
        for segments in self._strands(rect, p, scale):
            if p["eye_mode"] >= 2:
                segments = replace(segments, colour=np.zeros_like(segments.colour))
            draw(image, depth, segments)
        return _halve(image), _nearest_depth(depth)

    def _posed(self, p: Params, pose: Mapping[str, float], glasses: bool) -> Field:
        changed = {name for name, value in pose.items() if value}
        worn = glasses or not self.character.shape.get("glasses")
        if not changed - {"eye_mode"} and worn:
            return self._field
        field = self._field
        if changed - EYES_ONLY:
            field = resampled(field, MOUTH_BOX, p)
        if changed & EYES_ONLY or not worn:
            field = resampled(field, EYES_BOX if worn else ((-1, 1), (-0.5, 0.5), (-0.3, 1.1)), p)
        return field

    def _strands(self, rect: Rect, p: Params, scale: float) -> Iterator[StrandSegments]:
        """Brows, beard, lashes and hair as they lie in a rectangle."""
        look, character = self.character.look, self.character
        tint = np.array(look.brow or look.colour)
        bare = p.copy()
        bare["glasses"] = 0.0  # brows grow on skin, not on a rim before it
        strands, opacity = make_brows(character.brows, bare)
        vary = np.random.default_rng(0).uniform(0.7, 1.3, (len(strands), 1)) * np.ones(3)
        colour = light_strands(strands, self._volume, self.lights, tint, vary, 0.9, None, (0.15, 0.2), 0.6)
        yield prepare(rect, strands, colour, character.brows.width_px, 0.75 * opacity, 0.02, scale)
        if character.beard.count > 0:
            strands, opacity = make_beard(character.beard, p)
            rng = np.random.default_rng(1)
            vary = rng.uniform(0.75, 1.20, (len(strands), 1)) * np.ones(3)
            vary[rng.uniform(size=len(vary)) < character.beard.grey] *= 4.0
            tint = np.array(look.beard or look.brow or look.colour)
            colour = light_strands(
                strands, self._volume, self.lights, tint, vary, 0.5, None, (0.25, 0.3), 0.6
            )
            colour = colour * np.linspace(0.60, 0.95, strands.shape[1])[None, :, None]
            yield prepare(rect, strands, colour, character.beard.width_px, opacity, 0.02, scale)
        for upper in (True, False):
            strands = make_lashes(character.lashes, p, upper)
            colour = np.broadcast_to(np.array(LASH_COLOUR), strands.shape)
            width = character.lashes.width_px * (1.0 if upper else 0.6)
            yield prepare(rect, strands, colour, width, 0.80 if upper else 0.30, 0.03, scale)
        if self._hair is not None:
            key = rect, scale
            if key not in self._prepared:
                strands, colour, opacity = self._hair
                self._prepared[key] = prepare(rect, strands, colour, look.width_px, opacity, 0, scale)
            yield self._prepared[key]


def _halve(image: Array) -> Image:
    """Half the size of (h, w, c): a mean of sixteen, heaviest in the middle, for edges without steps."""
    taps = np.array([1, 3, 3, 1]) / 8
    wide = cv2.sepFilter2D(image, -1, taps, taps, anchor=(1, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(wide[::2, ::2], np.float32)


def _nearest_depth(depth: Array) -> Array:
    h, w = depth.shape
    return np.asarray(np.minimum(depth.reshape(h // 2, 2, w // 2, 2).min((1, 3)), FAR))


def portrait(subject: Subject, pose: Mapping[str, float], scale: float) -> npt.NDArray[np.uint8]:
    """RGB (720 * scale, 1280 * scale, 3); `pose` is added to the resting one."""
    everything = Rect(0, 0, WIDTH_PX, HEIGHT_PX)
    size = round(WIDTH_PX * scale), round(HEIGHT_PX * scale)
    room = cv2.resize(make_room(subject.character.room), size, interpolation=cv2.INTER_AREA)
    image, _ = subject.picture(HEAD, pose, scale)
    left = round(HEAD.x0 * scale)
    part = room[:, left : left + image.shape[1]]
    part[:] = part * (1 - image[..., 3:]) + image[..., :3]
    return to_display(np.asarray(room, np.float32), everything, scale)
