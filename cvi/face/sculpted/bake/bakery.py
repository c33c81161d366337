"""Photographs -> the arrays of the atlas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.sculpted.atlas import FORMAT, TONE_STEPS, TONE_TOP
from cvi.face.sculpted.bake import film, recipe
from cvi.face.sculpted.bake.camera import DISTANCE, HEIGHT_PX, WIDTH_PX, Rect
from cvi.face.sculpted.bake.character import Character
from cvi.face.sculpted.bake.eye import IRIS, iris_colour, sclera_colour
from cvi.face.sculpted.bake.light import CATCH, KEY
from cvi.face.sculpted.bake.params import make_params
from cvi.face.sculpted.bake.room import make_room
from cvi.face.sculpted.bake.sitter import Sitter
from cvi.face.sculpted.shapes import FAMILIES

Image = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Report = Callable[[str], None]
IRIS_PX = 192


class Bakery:
    """Bakes one character. `report` is told of each photograph before it is taken."""

    def __init__(self, character: Character, threads: int, quality: int, report: Report) -> None:
        self._character, self._quality, self._report = character, quality, report
        report("hair")
        self._sitter = Sitter(character, threads)
        self._room = make_room(character.room)
        self._arrays: dict[str, Any] = {}

    @property
    def photographs(self) -> int:
        return 2 + sum(len(levels) for levels in FAMILIES.values()) + 3 * len(recipe.LID_LEVELS)

    def bake(self) -> dict[str, Any]:
        """All arrays of the atlas by name; see `cvi.face.sculpted.atlas`."""
        self._arrays["format"] = np.int64(FORMAT)
        self._arrays["size"] = np.array([WIDTH_PX, HEIGHT_PX])
        everything = Rect(0, 0, WIDTH_PX, HEIGHT_PX)
        self._arrays["room"] = _lossy(film.develop(self._room, everything), 95)
        self._bake_head()
        self._bake_mouths()
        self._bake_lids()
        self._bake_eyeballs()
        steps = np.linspace(0, np.sqrt(TONE_TOP), TONE_STEPS, dtype=np.float32) ** 2
        self._arrays["tone"] = film.tone(np.repeat(steps[:, None], 3, 1))[:, 0]
        return self._arrays

    def _bake_head(self) -> None:
        rect = recipe.HEAD
        self._report("head")
        image, depth = self._sitter.picture(rect, {})
        self._alpha = image[..., 3:]
        self._skin = _spread(image[..., :3], self._alpha)
        self._arrays["head"] = _lossy(self._develop(self._skin, rect), 97)
        self._arrays["head_alpha"] = _lossless(self._alpha[..., 0])
        self._arrays["head_rect"] = _corners(rect)
        distance = np.full((HEIGHT_PX, WIDTH_PX), 1e9)
        distance[:, rect.x0 : rect.x1] = depth
        self._arrays["depth"] = _extended_depth(distance).astype(np.float32)

    def _bake_mouths(self) -> None:
        rect = recipe.MOUTH
        names: list[str] = []
        jaws: list[float] = []
        columns: list[Any] = []
        curves: list[Any] = []
        for family, levels in FAMILIES.items():
            for jaw in levels:
                self._report(f"mouth: {family} {jaw:.2f}")
                pose = recipe.mouth_pose(family, jaw)
                image, _ = self._sitter.picture(rect, pose)
                shown = self._develop(_spread(image[..., :3], image[..., 3:]), rect)
                self._arrays[f"mouth_{len(names):02d}"] = _lossy(shown, self._quality)
                x, y = recipe.mouth_curves(make_params(self._character.shape, pose))
                names.append(family)
                jaws.append(jaw)
                columns.append(x)
                curves.append(y)
        self._arrays["mouth_rect"] = _corners(rect)
        self._arrays["mouth_families"] = np.array(names)
        self._arrays["mouth_jaws"] = np.array(jaws, np.float32)
        self._arrays["mouth_columns"] = np.array(columns)
        self._arrays["mouth_curves"] = np.array(curves)

    def _bake_lids(self) -> None:
        left, right = recipe.EYES
        both = Rect(left.x0, left.y0, right.x1, right.y1)
        for side, rect in enumerate(recipe.EYES):
            self._arrays[f"eye_rect_{side}"] = _corners(rect)
        columns: list[list[Any]] = [[], []]
        curves: list[list[Any]] = [[], []]
        for k, level in enumerate(recipe.LID_LEVELS):
            taken = []
            for mode in (1, 2, 3):
                self._report(f"lids: {level:.2f}, layer {mode}")
                pose = {"lid_left": level, "lid_right": level, "eye_mode": float(mode)}
                taken.append(self._sitter.picture(both, pose)[0][..., :3])
            black, white, lit = taken
            seen = np.clip((white - black).mean(-1, keepdims=True), 0, 1)
            lids = self._develop(_spread(black, 1 - seen), both)
            light = _spread(lit - black, seen)
            for side, rect in enumerate(recipe.EYES):
                part = slice(0, rect.height), slice(rect.x0 - both.x0, rect.x1 - both.x0)
                self._arrays[f"lid_{side}_{k:02d}"] = _lossy(lids[part], 97)
                self._arrays[f"lid_alpha_{side}_{k:02d}"] = _lossless(1 - seen[part][..., 0])
                self._arrays[f"eye_light_{side}_{k:02d}"] = _lossy(_root(light[part] / TONE_TOP), 96)
                shut = make_params(self._character.shape, {"lid_left": level, "lid_right": level})
                x, y = recipe.lid_curves(shut, 1 if side else -1)
                columns[side].append(x)
                curves[side].append(y)
        self._arrays["lid_levels"] = np.array(recipe.LID_LEVELS, np.float32)
        self._arrays["lid_columns"] = np.array(columns)
        self._arrays["lid_curves"] = np.array(curves)

    def _bake_eyeballs(self) -> None:
        p = make_params(self._character.shape)
        lights = self._sitter.lights
        key = lights[KEY, :2]
        span = IRIS * float(p["iris_size"]) * 1.1
        grid = np.linspace(-span, span, IRIS_PX)
        iris = np.zeros((IRIS_PX, IRIS_PX, 4), np.float32)
        for j, b in enumerate(-grid):
            for i, a in enumerate(grid):
                colour, cover = iris_colour(a, b, key[0], key[1], p)
                iris[j, i] = (*colour, cover)
        iris[..., :3] = np.sqrt(np.clip(iris[..., :3], 0, 1))
        self._arrays["iris"] = _lossless(iris)
        self._arrays["iris_span"] = np.float32(span)
        for side, rect in enumerate(recipe.EYES):
            ball = recipe.eyeball_directions(p, rect, 1 if side else -1)
            white = np.array([[sclera_colour(e) for e in row] for row in ball[..., 0]], np.float32)
            self._arrays[f"sclera_{side}"] = _lossless(np.sqrt(white))
            self._arrays[f"ball_{side}"] = ball.astype(np.float16)
            glint = _glint(ball, lights[CATCH, :3])
            self._arrays[f"glint_{side}"] = _lossless(np.clip(glint, 0, 1))

    def _develop(self, colour: Image, rect: Rect) -> Bytes:
        """Develop a rectangle as a part of the whole picture, so that bloom crosses its edges."""
        head = recipe.HEAD
        whole = self._skin.copy()
        part = slice(rect.y0 - head.y0, rect.y1 - head.y0), slice(rect.x0 - head.x0, rect.x1 - head.x0)
        whole[part] = colour
        behind = self._room[head.y0 : head.y1, head.x0 : head.x1]
        seen = behind + (whole - behind) * self._alpha
        shown = film.tone(whole + film.with_bloom(seen) - seen) * film.vignette(head)
        return np.asarray(np.clip(shown, 0, 1) * 255 + 0.5, np.uint8)[part]


def _lossy(rgb: Bytes, quality: int) -> Bytes:
    ok, data = cv2.imencode(
        ".webp", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_WEBP_QUALITY, quality]
    )
    assert ok
    return np.asarray(data, np.uint8).ravel()


def _lossless(image: Any) -> Bytes:
    """0..1 floats, one, three (rgb) or four (rgba) channels -> PNG."""
    levels = np.asarray(np.clip(image, 0, 1) * 255 + 0.5, np.uint8)
    if levels.ndim == 3:
        levels = levels[..., [2, 1, 0, 3][: levels.shape[2]]]
    ok, data = cv2.imencode(".png", np.ascontiguousarray(levels), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert ok
    return np.asarray(data, np.uint8).ravel()


def _root(linear: Image) -> Bytes:
    return np.asarray(np.sqrt(np.clip(linear, 0, 1)) * 255 + 0.5, np.uint8)


def _corners(rect: Rect) -> npt.NDArray[np.int64]:
    return np.array([rect.x0, rect.y0, rect.x1, rect.y1])


def _spread(premultiplied: Image, alpha: Image) -> Image:
    """Colour divided by alpha, continued into where alpha is zero."""
    colour, weight = premultiplied.astype(np.float32), alpha.astype(np.float32)
    out = colour / np.maximum(weight, 1e-3)
    solid = np.clip(weight * 4 - 1, 0, 1)
    for sigma in (1.0, 3.0, 9.0, 27.0, 81.0):
        blurred = cv2.GaussianBlur(colour, (0, 0), sigma)
        share = cv2.GaussianBlur(weight[..., 0], (0, 0), sigma)[..., None]
        out = out * solid + blurred / np.maximum(share, 1e-4) * (1 - solid)
        solid = np.where(share > 0.02, 1.0, solid)
    return np.asarray(out, np.float32)


def _extended_depth(distance: npt.NDArray[np.float64]) -> Image:
    """Distance on a quarter of the pixels each way, continued smoothly beyond the head."""
    z = np.where(distance < 1e8, distance, 0.0)
    known = (distance < 1e8).astype(np.float64)
    for sigma in (6, 25, 80):
        blurred, share = cv2.GaussianBlur(z, (0, 0), sigma), cv2.GaussianBlur(known, (0, 0), sigma)
        fill = (share > 0.02) & (known < 0.5)
        z = np.where(fill, blurred / np.maximum(share, 1e-6), z)
        known = np.where(fill, 1.0, known)
    # Smooth enough that no turn folds the picture where the cheek ends and the neck begins.
    z = cv2.GaussianBlur(np.where(known > 0.5, z, DISTANCE), (0, 0), 16)
    return np.asarray(cv2.resize(z, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.float32)


def _softbox(
    normal: npt.NDArray[np.float64], centre: npt.NDArray[np.float64], wide: float, high: float, soft: float
) -> Image:
    """How much of a rectangular lamp is mirrored at each normal (h, w, 3), seen from straight ahead."""
    mirrored = 2 * normal[..., 2:] * normal - np.array([0, 0, 1.0])
    facing = np.maximum(mirrored @ centre, 0.05)
    right = np.cross([0.0, 1.0, 0.0], centre)
    u, v = np.abs(mirrored @ right / facing), np.abs(mirrored[..., 1] / facing - centre[1])
    out = np.clip((wide + soft - u) / (2 * soft), 0, 1) * np.clip((high + soft - v) / (2 * soft), 0, 1)
    return np.asarray(out * (normal[..., 2] > 0.1) * (facing > 0.06), np.float32)


def _glint(ball: npt.NDArray[np.float64], lamp: npt.NDArray[np.float64]) -> Image:
    """The window in the eye: mirrored by a cornea more curved than the ball."""
    bulged = ball + 0.35 * np.stack([ball[..., 0], ball[..., 1], 0 * ball[..., 0]], -1)
    bulged /= np.linalg.norm(bulged, axis=-1, keepdims=True)
    return _softbox(bulged, lamp, 0.16, 0.19, 0.05)
