"""The room behind: shelves, a window, a plant and a lamp out of plain shapes, out of focus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.sculpted.bake.camera import HEIGHT_PX, WIDTH_PX

Image = npt.NDArray[np.float32]
Rgb = tuple[float, float, float]
BOOKS = ((0.30, 0.09, 0.05), (0.06, 0.13, 0.17), (0.32, 0.25, 0.15), (0.05, 0.10, 0.07), (0.22, 0.14, 0.08))
ROWS, COLUMNS = 360, 640


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """Colours in linear light; `mirror` puts the window on the viewer's right."""

    wall: Rgb = (0.10, 0.155, 0.17)
    wood: Rgb = (0.13, 0.065, 0.03)
    lamp: Rgb = (2.2, 1.15, 0.45)
    window: Rgb = (0.75, 0.80, 0.82)
    leaf: Rgb = (0.05, 0.11, 0.05)
    seed: int = 0
    blur: float = 0.022
    mirror: bool = False


def make_room(o: RoomOptions) -> Image:
    """Linear RGB, (720, 1280, 3)."""
    rng = np.random.default_rng(o.seed)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32) / ROWS
    room = np.asarray(o.wall, np.float32) * (1.1 - 0.55 * y)[..., None]
    _window(room, y, o)
    _shelves(room, rng, o)
    _plant(room, rng, o)
    near = np.exp(-(((x - 1.28) / 0.09) ** 2) - ((y - 0.50) / 0.07) ** 2)
    far = np.exp(-(((x - 1.28) / 0.42) ** 2) - ((y - 0.50) / 0.40) ** 2)
    room += np.asarray(o.lamp, np.float32) * (near + 0.10 * far)[..., None]
    radius = int(o.blur * ROWS * 1.6) | 1
    disc = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    cv2.circle(disc, (radius, radius), radius, 1.0, -1, cv2.LINE_AA)
    room = cv2.filter2D(room, -1, disc / disc.sum(), borderType=cv2.BORDER_REPLICATE)
    room = cv2.GaussianBlur(room, (0, 0), o.blur * ROWS * 0.35)
    if o.mirror:
        room = room[:, ::-1]
    return np.asarray(cv2.resize(room, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC), np.float32)


def _fill(room: Image, x0: float, y0: float, x1: float, y1: float, colour: Image) -> None:
    rows = slice(max(int(y0 * ROWS), 0), max(int(y1 * ROWS), 0))
    room[rows, max(int(x0 * ROWS), 0) : max(int(x1 * ROWS), 0)] = colour


def _window(room: Image, y: Image, o: RoomOptions) -> None:
    sky = np.clip(1.15 - 0.5 * y, 0, 2)[..., None] * np.asarray(o.window, np.float32)
    for x0 in (-0.04, 0.20):
        for y0, y1 in ((-0.1, 0.27), (0.29, 0.66)):
            rows = slice(max(int(y0 * ROWS), 0), int(y1 * ROWS))
            columns = slice(max(int(x0 * ROWS), 0), int((x0 + 0.215) * ROWS))
            room[rows, columns] = sky[rows, columns]


def _shelves(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    for top in (0.06, 0.33, 0.60):
        _fill(room, 1.16, top + 0.215, 1.74, top + 0.245, np.asarray(o.wood, np.float32) * 1.3)
        x = 1.19
        while x < 1.70:
            width, height = rng.uniform(0.018, 0.045), rng.uniform(0.11, 0.19)
            if rng.uniform() < 0.82:
                book = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * rng.uniform(0.5, 1.2)
                _fill(room, x, top + 0.215 - height, x + width * 0.9, top + 0.215, book)
            x += width


def _plant(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    for _ in range(26):
        lean, reach = rng.uniform(-1.3, 1.3), rng.uniform(0.10, 0.24)
        centre = int((0.47 + math.sin(lean) * reach) * ROWS), int((0.74 - math.cos(lean) * reach) * ROWS)
        green = o.leaf
        shade = rng.uniform(0.5, 1.9)
        cv2.ellipse(
            room, centre, (int(0.058 * ROWS), int(0.017 * ROWS)), math.degrees(lean) + 90, 0, 360,
            tuple(float(c * shade) for c in green), -1, cv2.LINE_AA,
        )  # fmt: skip
    _fill(room, 0.41, 0.76, 0.53, 0.92, np.asarray((0.30, 0.20, 0.14), np.float32))
