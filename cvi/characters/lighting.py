"""Lamps, and the conversion from linear light to display values: exposure, bloom, tone curve, vignette.

Lamps are key, fill, two rims from behind, sky and ground; directions point from the head outwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.camera import HEIGHT_PX, WIDTH_PX, Rect
from cvi.characters.kernel import Array
from cvi.errors import UsageError

KEY, FILL, RIM, RIM2, AMBIENT, CATCH = range(6)
DEFAULTS: dict[str, Sequence[float]] = {
    "key": (-0.68, 0.60, 0.68),
    "key_colour": (2.15, 1.88, 1.62),
    "fill": (0.8, 0.05, 0.6),
    "fill_colour": (0.26, 0.33, 0.46),
    "rim": (0.75, 0.35, -0.55),
    "rim_colour": (1.5, 1.4, 1.4),
    "rim2": (-0.8, 0.3, -0.6),
    "rim2_colour": (0.7, 0.85, 1.1),
    "sky": (0.42, 0.46, 0.54),
    "ground": (0.30, 0.22, 0.19),
    "catch": (-0.26, 0.38, 0.88),
}


def make_lights(given: Mapping[str, Sequence[float]]) -> Array:
    """Rows (6, 6): direction xyz and colour rgb of KEY, FILL, RIM, RIM2; sky and ground; the catchlight."""
    unknown = set(given) - set(DEFAULTS)
    if unknown:
        raise UsageError(f"There is no lamp named '{unknown.pop()}'.", f"Lamps: {', '.join(DEFAULTS)}.")
    value = {**DEFAULTS, **given}
    lights = np.zeros((6, 6))
    for row, name in enumerate(("key", "fill", "rim", "rim2")):
        lights[row, :3] = _unit(value[name])
        lights[row, 3:] = value[f"{name}_colour"]
    lights[AMBIENT, :3] = value["sky"]
    lights[AMBIENT, 3:] = value["ground"]
    lights[CATCH, :3] = _unit(value["catch"])
    return lights


def _unit(vector: Sequence[float]) -> Array:
    array = np.asarray(vector, dtype=float)
    return np.asarray(array / np.linalg.norm(array))


Image = npt.NDArray[np.float32]
EXPOSURE, BLOOM, VIGNETTE = 0.60, 0.12, 0.22
CRISP = 0.35


def tone(linear: Image) -> Image:
    """Linear rgb (..., 3) -> display rgb 0..1 (Narkowicz's fit of the ACES curve, highlights desaturated)."""
    x = np.maximum(linear * EXPOSURE, 0)
    level = x.mean(-1, keepdims=True)
    bleach = 0.12 * np.clip(level - 0.4, 0, 1)
    x = x * (1 - bleach) + level * bleach
    y = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(y, 0, 1) ** (1 / 2.2), np.float32)


def with_bloom(linear: Image, scale: float = 1.0) -> Image:
    """Add the glow of what is brighter than white; `scale` pixels for one of the 1280 x 720 picture."""
    glow = cv2.GaussianBlur(np.clip(linear - 1.2, 0, 3), (0, 0), HEIGHT_PX * 0.012 * scale)
    return np.asarray(linear + BLOOM * glow, np.float32)


def vignette(rect: Rect, scale: float = 1.0) -> Image:
    """Darkening towards the corners of the whole picture, (h, w, 1)."""
    part = rect.scaled(scale)
    y, x = np.mgrid[part.y0 : part.y1, part.x0 : part.x1].astype(np.float32) / scale
    r = ((x / WIDTH_PX - 0.5) * 1.1) ** 2 + ((y / HEIGHT_PX - 0.48) * 1.1) ** 2
    return np.asarray(1 - 2 * VIGNETTE * r, np.float32)[..., None]


def crisp(shown: Image) -> Image:
    """Display rgb sharpened by an unsharp mask, as cameras do."""
    return np.asarray(shown + CRISP * (shown - cv2.GaussianBlur(shown, (0, 0), 1.1)), np.float32)


def to_display(linear: Image, rect: Rect, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """Linear rgb of a rectangle -> uint8 rgb."""
    shown = crisp(tone(with_bloom(linear, scale)) * vignette(rect, scale))
    return np.asarray(np.clip(shown, 0, 1) * 255 + 0.5, np.uint8)
