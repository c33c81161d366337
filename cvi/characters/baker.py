"""Baking: a character's parameter file -> `atlas.npz`, step by step, each stored on disk until the atlas is
whole."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from cvi.characters import PARAMETERS_FILE
from cvi.characters import atlas_patches as patches
from cvi.characters.atlas_patches import turning_depth
from cvi.characters.backdrop import make_room
from cvi.characters.camera import (
    CATCH,
    HEIGHT_PX,
    KEY,
    WIDTH_PX,
    Rect,
    crisp,
    make_lights,
    to_display,
    tone,
    vignette,
    with_bloom,
)
from cvi.characters.character import Character, load_character, load_parameters, make_params
from cvi.characters.eyes_and_mouth import IRIS, glint, iris_colour, sclera_colour
from cvi.characters.subject import Subject
from cvi.errors import UsageError
from cvi.face.replica import CARD
from cvi.face.sculpted.atlas import ATLAS_FILE, FORMAT, TONE_STEPS, TONE_TOP
from cvi.face.sculpted.mouth import FAMILIES
from cvi.files import sha256_of, write_bytes, write_text
from cvi.yaml_document import read_yaml

Image = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Arrays = dict[str, Any]
Step = tuple[str, Callable[[], Arrays]]
IRIS_PX = 192
MARGIN_PX = 40  # converted with a patch, so that bloom from beside it reaches into it


REVISION = 4
"""Raise it when the baker draws differently: stored steps of another revision are not used, and old atlases
show."""
HEIGHTS = (720, 900, 1080)
"""Heights at which all patches have whole, even sides."""
Report = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and the name of the next step."""


@dataclass(frozen=True, slots=True)
class BakeOptions:
    """`height`: pixels of the whole picture, one of HEIGHTS; `quality`: WebP quality of the mouths,
    1..100."""

    height: int = 720
    quality: int = 96

    def __post_init__(self) -> None:
        if self.height not in HEIGHTS:
            raise UsageError(
                f"An atlas cannot be baked {self.height} pixels high.",
                f"Choose one of {', '.join(map(str, HEIGHTS))}.",
            )


def made_of(parameters: Mapping[str, Any], options: BakeOptions) -> str:
    """What an atlas is baked from, as one line: the baker's revision, the options, a hash of the parameters.

    It stands in `replica.yaml` beside the atlas's own hash, so that an atlas older than its parameters can be
    told. Comments and layout of the parameter file do not count.
    """
    content = json.dumps(parameters, sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    size = f"{options.height} px, quality {options.quality}"
    return f"baker {REVISION}, atlas format {FORMAT}, {size}, parameters {digest}"


def bake(
    folder: Path,
    threads: int = 2,
    options: BakeOptions | None = None,
    report: Report | None = None,
    seconds: float | None = None,
) -> Path | None:
    """Bake `folder/character.yaml` into `folder/atlas.npz`, and renew the hashes in `replica.yaml` where
    there is one.

    Finished steps are stored in `folder/.bake` until the atlas is written, so that an interrupted bake
    resumes. `seconds`: stop after about so long; returns None when steps are left. Raises MissingError
    without the parameter file, UsageError for a wrong one.
    """
    options = options or BakeOptions()
    source = folder / PARAMETERS_FILE
    character = load_character(source)
    content = made_of(load_parameters(source), options)
    stored = folder / ".bake" / hashlib.sha256(content.encode()).hexdigest()[:16]
    stored.mkdir(parents=True, exist_ok=True)
    for other in (folder / ".bake").iterdir():
        if other != stored:
            shutil.rmtree(other)
    began = time.monotonic()
    baker = Baker(character, threads, options.quality, options.height / HEIGHT_PX)
    steps = baker.steps()
    arrays: Arrays = {"made_of": np.array(content)}
    for number, (name, action) in enumerate(steps):
        path = stored / f"{number:02d}.npz"
        result = _load(path)
        if result is None:
            if seconds is not None and time.monotonic() - began > seconds:
                return None
            if report is not None:
                report(number, len(steps), name)
            result = action()
            write_bytes(path, _packed(result), durable=False)
        elif number == 0:
            baker.remember(result)
        arrays.update({key: value for key, value in result.items() if not key.startswith("_")})
    atlas = folder / ATLAS_FILE
    write_bytes(atlas, _packed(arrays))
    if (folder / CARD).exists():
        _renew_card(folder, content)
    shutil.rmtree(folder / ".bake")
    return atlas


def _renew_card(folder: Path, content: str) -> None:
    """Bring the hashes in `replica.yaml` up to date with its files, and note what the atlas is made of."""
    card = read_yaml(folder / CARD)
    names = {*(card.get("files") or {}), ATLAS_FILE}
    card["files"] = {name: sha256_of(folder / name) for name in sorted(names)}
    card["made_of"] = content
    write_text(folder / CARD, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100))


class Baker:
    """Renders the arrays of one character's atlas."""

    def __init__(self, character: Character, threads: int, quality: int, scale: float = 1.0) -> None:
        """`quality`: WebP quality of the mouths, 1..100; `scale`: pixels for one of the 1280 x 720
        picture."""
        self._character, self._threads, self._quality = character, threads, quality
        self._scale = scale
        self._lights = make_lights(character.lights)
        whole = Rect(0, 0, WIDTH_PX, HEIGHT_PX).scaled(scale)
        size = whole.width, whole.height
        self._room = np.asarray(cv2.resize(make_room(character.room), size), np.float32)
        self._alpha: Image | None = None
        self._skin: Image | None = None

    @cached_property
    def _subject(self) -> Subject:
        """Built at the first rendering: growing hair takes seconds."""
        return Subject(self._character, self._threads)

    def steps(self) -> list[Step]:
        """Names and actions in order; the arrays of all actions together are the atlas.

        Before any other step is run, the first must have been run, or its result given to `remember`. Arrays
        whose names begin with an underscore are for `remember` only.
        """
        found: list[Step] = [("head", self._head)]
        shapes = [(family, jaw) for family, levels in FAMILIES.items() for jaw in levels]
        for k, (family, jaw) in enumerate(shapes):
            found.append((f"mouth {family} {jaw:.2f}", partial(self._mouth, k, family, jaw)))
        for k, level in enumerate(patches.LID_LEVELS):
            found.append((f"lids {level:.2f}", partial(self._lids, k, level)))
        return [*found, ("eyeballs", self._eyeballs), ("frame", partial(self._frame, shapes))]

    def remember(self, head: Mapping[str, Any]) -> None:
        """Take in the result of the `head` step of an earlier run."""
        self._skin, self._alpha = head["_skin"].astype(np.float32), head["_alpha"].astype(np.float32)

    def _head(self) -> Arrays:
        rect = patches.HEAD
        image, depth = self._subject.picture(rect, {}, self._scale)
        self._alpha = image[..., 3:]
        self._skin = _spread(image[..., :3], self._alpha, self._scale)
        distance = np.full((HEIGHT_PX, WIDTH_PX), 1e9)
        distance[:, rect.x0 : rect.x1] = cv2.resize(
            depth, (rect.width, rect.height), interpolation=cv2.INTER_NEAREST
        )
        return {
            "head": _lossy(self._to_display(self._skin, rect), 97),
            "head_alpha": _lossless(self._alpha[..., 0]),
            "head_rect": self._corners(rect),
            "depth": turning_depth(distance, make_params(self._character.shape)),
            "_skin": self._skin,
            "_alpha": self._alpha,
        }

    def _mouth(self, k: int, family: str, jaw: float) -> Arrays:
        rect, pose = patches.MOUTH, patches.mouth_pose(family, jaw)
        image, _ = self._subject.picture(rect, pose, self._scale)
        shown = self._to_display(_spread(image[..., :3], image[..., 3:], self._scale), rect)
        return {f"mouth_{k:02d}": _lossy(shown, self._quality)}

    def _lids(self, k: int, level: float) -> Arrays:
        left, right = patches.EYES
        both = Rect(left.x0, left.y0, right.x1, right.y1)
        pictures = []
        for mode in (1, 2, 3):  # lids around black eyeballs; where eyeballs show; light on them
            pose = {"lid_left": level, "lid_right": level, "eye_mode": float(mode)}
            pictures.append(self._subject.picture(both, pose, self._scale)[0][..., :3])
        black, white, lit = pictures
        seen = np.clip(white.mean(-1, keepdims=True), 0, 1)
        lids = self._to_display(_spread(black, 1 - seen, self._scale), both)
        light = _spread(lit, seen, self._scale)
        arrays: Arrays = {}
        for side, rect in enumerate(patches.EYES):
            start = rect.scaled(self._scale).x0 - both.scaled(self._scale).x0
            part = slice(None), slice(start, start + rect.scaled(self._scale).width)
            arrays[f"lid_{side}_{k:02d}"] = _lossy(lids[part], 97)
            arrays[f"lid_alpha_{side}_{k:02d}"] = _lossless(1 - seen[part][..., 0])
            arrays[f"eye_light_{side}_{k:02d}"] = _lossy(_root(light[part] / TONE_TOP), 96)
        return arrays

    def _eyeballs(self) -> Arrays:
        p = make_params(self._character.shape)
        key = self._lights[KEY, :2]
        span = IRIS * float(p["iris_size"]) * 1.1
        grid = np.linspace(-span, span, IRIS_PX)
        iris = np.zeros((IRIS_PX, IRIS_PX, 4), np.float32)
        for j, b in enumerate(-grid):
            for i, a in enumerate(grid):
                colour, cover = iris_colour(a, b, key[0], key[1], p)
                iris[j, i] = (*colour, cover)
        iris[..., :3] = np.sqrt(np.clip(iris[..., :3], 0, 1))
        arrays: Arrays = {"iris": _lossless(iris), "iris_span": np.float32(span)}
        for side, rect in enumerate(patches.EYES):
            ball = patches.eyeball_directions(p, rect, 1 if side else -1, self._scale)
            white = np.array([[sclera_colour(e) for e in row] for row in ball[..., 0]], np.float32)
            lamp = self._lights[CATCH]
            mirror = [[glint(n[0], n[1], n[2], lamp) for n in row] for row in ball]
            arrays[f"sclera_{side}"] = _lossless(np.sqrt(white))
            arrays[f"ball_{side}"] = ball.astype(np.float16)
            arrays[f"glint_{side}"] = _lossless(np.clip(mirror, 0, 1))
        return arrays

    def _frame(self, shapes: list[tuple[str, float]]) -> Arrays:
        """All that needs no rendering of the head, and the mask of glasses."""
        shape, scale = self._character.shape, np.float32(self._scale)
        everything = Rect(0, 0, WIDTH_PX, HEIGHT_PX)
        steps = np.linspace(0, np.sqrt(TONE_TOP), TONE_STEPS, dtype=np.float32) ** 2
        poses = [patches.mouth_pose(family, jaw) for family, jaw in shapes]
        mouths = [patches.mouth_curves(make_params(shape, pose)) for pose in poses]
        shut = [make_params(shape, {"lid_left": v, "lid_right": v}) for v in patches.LID_LEVELS]
        lids = [[patches.lid_curves(p, side) for p in shut] for side in (-1, 1)]
        arrays: Arrays = {
            "format": np.int64(FORMAT),
            "size": self._corners(everything)[2:],
            "room": _lossy(to_display(self._room, everything, self._scale), 95),
            "tone": tone(np.repeat(steps[:, None], 3, 1))[:, 0],
            "mouth_rect": self._corners(patches.MOUTH),
            "mouth_families": np.array([family for family, _ in shapes]),
            "mouth_jaws": np.array([jaw for _, jaw in shapes], np.float32),
            "mouth_columns": np.array([x for x, _ in mouths]) * scale,
            "mouth_curves": np.array([y for _, y in mouths]) * scale,
            "lid_levels": np.array(patches.LID_LEVELS, np.float32),
            "lid_columns": np.array([[x for x, _ in side] for side in lids]) * scale,
            "lid_curves": np.array([[y for _, y in side] for side in lids]) * scale,
        }
        for side, rect in enumerate(patches.EYES):
            arrays[f"eye_rect_{side}"] = self._corners(rect)
        if float(make_params(shape)["glasses"]) > 0.5:
            arrays["rigid"] = self._rigid()
        return arrays

    def _rigid(self) -> Bytes:
        """Where glasses lie, at a quarter of the resolution: raised brows must not bend the picture there.

        The mask is as narrow as possible: skin between rim and brow must be free to move, or the brow is
        smeared.
        """
        rect = patches.GLASSES
        _, worn = self._subject.picture(rect, {"eye_mode": 2.0}, 0.25)
        _, bare = self._subject.picture(rect, {"eye_mode": 2.0}, 0.25, glasses=False)
        whole = np.zeros((HEIGHT_PX // 4, WIDTH_PX // 4), np.float32)
        whole[rect.y0 // 4 : rect.y1 // 4, rect.x0 // 4 : rect.x1 // 4] = bare - worn > 0.004
        wide = cv2.dilate(whole, np.ones((3, 3), np.uint8))
        return _lossless(np.clip(1.25 * cv2.GaussianBlur(wide, (0, 0), 1.0), 0, 1))

    def _to_display(self, colour: Image, rect: Rect) -> Bytes:
        """Display colours of a rectangle as part of the whole picture, so that bloom crosses its edges."""
        assert self._skin is not None and self._alpha is not None, "the head comes first"
        head = patches.HEAD
        wide = Rect(
            max(rect.x0 - MARGIN_PX, head.x0), max(rect.y0 - MARGIN_PX, head.y0),
            min(rect.x1 + MARGIN_PX, head.x1), min(rect.y1 + MARGIN_PX, head.y1),
        )  # fmt: skip
        margin, part = self._within(head, wide), self._within(wide, rect)
        skin, alpha = self._skin[margin].copy(), self._alpha[margin]
        skin[part] = colour
        behind = self._room[self._within(Rect(0, 0, WIDTH_PX, HEIGHT_PX), wide)]
        seen = behind + (skin - behind) * alpha
        shown = tone(skin + with_bloom(seen, self._scale) - seen)
        shown = crisp(shown * vignette(wide, self._scale))
        return np.asarray(np.clip(shown, 0, 1) * 255 + 0.5, np.uint8)[part]

    def _within(self, outer: Rect, inner: Rect) -> tuple[slice, slice]:
        """Rows and columns of `inner` in the pixels of `outer`."""
        a, b = outer.scaled(self._scale), inner.scaled(self._scale)
        return slice(b.y0 - a.y0, b.y1 - a.y0), slice(b.x0 - a.x0, b.x1 - a.x0)

    def _corners(self, rect: Rect) -> npt.NDArray[np.int64]:
        part = rect.scaled(self._scale)
        return np.array([part.x0, part.y0, part.x1, part.y1])


def _packed(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _load(path: Path) -> Arrays | None:
    """A stored step; None when there is none or it was not written whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


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


def _spread(premultiplied: Image, alpha: Image, scale: float) -> Image:
    """Colour divided by alpha, extended into where alpha is zero."""
    colour, weight = premultiplied.astype(np.float32), alpha.astype(np.float32)
    out = colour / np.maximum(weight, 1e-3)
    solid = np.clip(weight * 4 - 1, 0, 1)
    for sigma in (1.0, 3.0, 9.0, 27.0, 81.0):
        blurred = _blurred(colour, sigma * scale)
        share = _blurred(weight, sigma * scale).reshape(solid.shape)
        out = out * solid + blurred / np.maximum(share, 1e-4) * (1 - solid)
        solid = np.where(share > 0.02, 1.0, solid)
    return np.asarray(out, np.float32)


def _blurred(image: Image, sigma: float) -> Image:
    """A Gaussian blur; a wide one is computed at an eighth of the resolution."""
    if sigma < 8:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
