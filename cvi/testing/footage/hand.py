"""A hand to hold before a mouth: palm and four fingers, shaded like skin, drawn over a frame."""

from __future__ import annotations

import cv2
import numpy as np

from cvi.training.footage.reader import Rgb

# Fingers from the index to the little one: where they leave the palm, how long and how thick, in widths of
# the palm.
_FINGERS = ((-0.38, 0.95, 0.21), (-0.13, 1.08, 0.22), (0.12, 1.0, 0.21), (0.36, 0.8, 0.18))


def draw_hand(
    rgb: Rgb, at: tuple[float, float], reach: float, tilt: float, skin_at: tuple[float, float]
) -> Rgb:
    """The frame with a hand whose palm's middle is at `at` (x, y pixels), `reach` pixels wide, turned by
    `tilt` degrees. Its colour is the frame's own at `skin_at`, a little redder and darker."""
    height, width = rgb.shape[:2]
    x, y = (int(np.clip(v, 3, side - 4)) for v, side in zip(skin_at, (width, height), strict=True))
    skin = rgb[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(0) * np.array([0.92, 0.82, 0.78])
    shape = np.zeros((height, width), np.uint8)
    lines = np.zeros((height, width), np.uint8)
    # A hand across the face: fingers point sideways and up, the wrist leaves below.
    turn = np.deg2rad(tilt - 60)
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    middle = np.array(at)
    box = (tuple(middle), (reach * 1.1, reach), float(np.rad2deg(turn)))
    cv2.fillPoly(shape, [cv2.boxPoints(box).astype(np.int32)], 255)
    _limb(shape, middle, middle - along * reach * 3.0, reach * 0.72)
    for place, length, thick in _FINGERS:
        root = middle + across * place * reach + along * reach * 0.45
        tip = root + along * length * reach
        _limb(shape, root, tip, thick * reach)
        edge = across * thick * reach * 0.55
        thin = max(round(reach * 0.025), 1)
        cv2.line(lines, _pixel(root + edge), _pixel(tip + edge), 255, thin, cv2.LINE_AA)
    soft = cv2.GaussianBlur(shape, (0, 0), max(reach * 0.015, 0.8)).astype(np.float32) / 255
    # Rounder toward the edges: light from above and before.
    round_ = cv2.GaussianBlur(shape, (0, 0), reach * 0.12).astype(np.float32) / 255
    light = (0.55 + 0.5 * round_) * (1 - 0.35 * cv2.GaussianBlur(lines, (0, 0), 1.2).astype(np.float32) / 255)
    hand = np.clip(skin[None, None] * light[..., None], 0, 255)
    mixed = rgb * (1 - soft[..., None]) + hand * soft[..., None]
    return np.asarray(mixed + 0.5, np.uint8)


def _limb(shape: Rgb, start: np.ndarray, end: np.ndarray, thick: float) -> None:
    cv2.line(shape, _pixel(start), _pixel(end), 255, max(round(thick), 1), cv2.LINE_AA)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
