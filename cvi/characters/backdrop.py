"""The room behind a character: plain shapes, out of focus. Seven kinds; colours in linear light."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.camera import HEIGHT_PX, WIDTH_PX
from cvi.errors import UsageError

Image = npt.NDArray[np.float32]
Rgb = tuple[float, float, float]
BOOKS = ((0.30, 0.09, 0.05), (0.06, 0.13, 0.17), (0.32, 0.25, 0.15), (0.05, 0.10, 0.07), (0.22, 0.14, 0.08))
ROWS, COLUMNS = 360, 640  # painted at half size, since the blur leaves nothing sharp


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """`mirror` puts the window on the viewer's right; `blur` is the disc's radius in picture heights."""

    kind: str = "study"
    wall: Rgb = (0.10, 0.155, 0.17)
    wood: Rgb = (0.13, 0.065, 0.03)
    lamp: Rgb = (2.2, 1.15, 0.45)
    window: Rgb = (0.75, 0.80, 0.82)
    leaf: Rgb = (0.05, 0.11, 0.05)
    seed: int = 0
    blur: float = 0.022
    mirror: bool = False


def make_room(o: RoomOptions) -> Image:
    """Linear RGB, (720, 1280, 3). Raises `UsageError` for a kind that is not one of `KINDS`."""
    if o.kind not in KINDS:
        raise UsageError(f"There is no room '{o.kind}'.", f"Rooms: {', '.join(KINDS)}.")
    rng = np.random.default_rng(o.seed)
    y, _ = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32) / ROWS
    room = np.asarray(o.wall, np.float32) * (1.1 - 0.55 * y)[..., None]
    KINDS[o.kind](room, rng, o)
    radius = int(o.blur * ROWS * 1.6) | 1
    disc = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    cv2.circle(disc, (radius, radius), radius, 1.0, -1, cv2.LINE_AA)
    room = cv2.filter2D(room, -1, disc / disc.sum(), borderType=cv2.BORDER_REPLICATE)
    room = np.asarray(cv2.GaussianBlur(room, (0, 0), o.blur * ROWS * 0.35), np.float32)
    if o.mirror:
        room = room[:, ::-1]
    return np.asarray(cv2.resize(room, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC), np.float32)


def _study(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    _window(room, o, (-0.04, 0.20), ((-0.1, 0.27), (0.29, 0.66)))
    _shelves(room, rng, o, 1.16)
    _plant(room, rng, o, 0.47, 0.74, 1.0)
    _glow(room, o, 1.28, 0.50)


def _office(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """Blinds, a door frame, files on a sideboard, one framed print."""
    for k in range(13):
        top = -0.02 + 0.052 * k
        light = (0.75 + 0.35 * rng.uniform()) * (1.1 - 0.05 * k)
        _fill(room, 0.0, top, 0.42, top + 0.036, np.asarray(o.window, np.float32) * light)
    _fill(room, 1.30, 0.12, 1.60, 0.44, np.asarray((0.55, 0.53, 0.50), np.float32))
    _fill(room, 1.33, 0.15, 1.57, 0.41, np.asarray(o.wall, np.float32) * 1.9)
    middle = int(1.45 * ROWS), int(0.29 * ROWS)
    cv2.circle(room, middle, int(0.065 * ROWS), (0.5, 0.22, 0.12), -1, cv2.LINE_AA)
    _fill(room, 1.10, 0.70, 1.78, 1.0, np.asarray(o.wood, np.float32) * 1.6)
    x = 1.16
    while x < 1.40:
        width = rng.uniform(0.030, 0.045)
        colour = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * rng.uniform(0.6, 1.2)
        _fill(room, x, 0.70 - rng.uniform(0.12, 0.16), x + width * 0.92, 0.70, colour)
        x += width
    _plant(room, rng, o, 1.62, 0.66, 0.8)


def _living(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """A curtained window, a sofa back with cushions, a standing lamp, two pictures."""
    _window(room, o, (0.02, 0.20), ((-0.1, 0.66),))
    for x in (-0.02, 0.38):
        for k in range(4):
            cloth = np.asarray((0.50, 0.46, 0.40), np.float32) * (0.7 + 0.4 * rng.uniform())
            _fill(room, x + 0.028 * k, -0.1, x + 0.028 * (k + 1), 0.86, cloth)
    for x, y, w, h in ((1.10, 0.14, 0.20, 0.26), (1.36, 0.20, 0.16, 0.18)):
        _fill(room, x, y, x + w, y + h, np.asarray((0.62, 0.58, 0.52), np.float32))
        _fill(room, x + 0.025, y + 0.025, x + w - 0.025, y + h - 0.025, np.asarray(o.leaf, np.float32) * 3)
        _fill(room, x + 0.025, y + h * 0.6, x + w - 0.025, y + h - 0.025, np.asarray(o.wood, np.float32) * 2)
    sofa = np.asarray((0.16, 0.19, 0.22), np.float32)
    _fill(room, -0.1, 0.76, 1.9, 1.0, sofa)
    for x in (0.12, 1.22, 1.42):
        colour = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * 1.6
        _fill(room, x, 0.68, x + 0.19, 0.86, colour)
    _fill(room, 1.655, 0.30, 1.665, 0.80, np.asarray((0.05, 0.05, 0.05), np.float32))
    _glow(room, o, 1.66, 0.30)


def _kitchen(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """Wall cupboards, tiles, a shelf of crockery, a pendant lamp."""
    front = np.asarray(o.wall, np.float32)
    _fill(room, -0.1, -0.1, 0.62, 0.26, front * 1.9)
    for x in (0.14, 0.38):
        _fill(room, x, -0.1, x + 0.006, 0.26, front * 0.7)
    for row in range(5):
        for column in range(9):
            tile = front * rng.uniform(1.25, 1.75)
            x, y = column * 0.075 - 0.02, 0.28 + row * 0.075
            _fill(room, x, y, x + 0.069, y + 0.069, tile)
    _fill(room, -0.1, 0.68, 1.9, 0.72, np.asarray(o.wood, np.float32) * 3.0)
    _fill(room, -0.1, 0.72, 1.9, 1.0, front * 0.75)
    for shelf in (0.20, 0.42):
        _fill(room, 1.12, shelf, 1.72, shelf + 0.022, np.asarray(o.wood, np.float32) * 2.4)
        x = 1.15
        while x < 1.66:
            width, height = rng.uniform(0.05, 0.085), rng.uniform(0.06, 0.12)
            clay = np.asarray((0.58, 0.52, 0.44), np.float32) * rng.uniform(0.35, 1.2)
            if rng.uniform() < 0.25:
                clay = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * 1.5
            _fill(room, x, shelf - height, x + width, shelf, clay)
            x += width + rng.uniform(0.015, 0.05)
    _plant(room, rng, o, 1.58, 0.62, 0.7)
    _glow(room, o, 1.36, 0.07)


def _loft(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """A brick wall and a tall grid of panes."""
    brick = np.asarray(o.wall, np.float32)
    for row in range(16):
        for column in range(17):
            x, y = column * 0.115 - 0.06 * (row % 2), row * 0.066
            tint = brick * rng.uniform(0.65, 1.35) * (1.1 - 0.5 * y)
            _fill(room, x, y, x + 0.108, y + 0.059, tint)
    _fill(room, -0.1, -0.1, 0.50, 0.80, np.asarray((0.02, 0.02, 0.022), np.float32))
    _window(room, o, (-0.05, 0.09, 0.23, 0.37), ((-0.1, 0.16), (0.18, 0.44), (0.46, 0.74)), 0.125)
    _fill(room, 1.15, 0.50, 1.75, 0.525, np.asarray(o.wood, np.float32) * 2.2)
    x = 1.20
    while x < 1.66:
        width = rng.uniform(0.02, 0.045)
        book = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * rng.uniform(0.6, 1.4)
        _fill(room, x, 0.50 - rng.uniform(0.10, 0.17), x + width * 0.9, 0.50, book)
        x += width
    _plant(room, rng, o, 1.48, 0.80, 1.1)
    _glow(room, o, 1.22, 0.22)


def _garden(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """A glazed wall with green behind it."""
    for _ in range(420):
        x, y, r = rng.uniform(-0.1, 1.9), rng.uniform(-0.05, 0.85), rng.uniform(0.015, 0.06)
        sun = rng.uniform() ** 3 * (1.1 - y)
        green = np.asarray(o.leaf, np.float32) * rng.uniform(0.8, 3.2) + sun * np.array((0.75, 0.85, 0.55))
        tint = tuple(float(c) for c in green)
        cv2.circle(room, (int(x * ROWS), int(y * ROWS)), int(r * ROWS), tint, -1, cv2.LINE_AA)
    frame = np.asarray((0.42, 0.38, 0.33), np.float32)
    for x in (0.06, 0.60, 1.15, 1.70):
        _fill(room, x, -0.1, x + 0.035, 1.0, frame)
    _fill(room, -0.1, 0.86, 1.9, 1.0, np.asarray(o.wood, np.float32) * 2.5)
    _plant(room, rng, o, 1.52, 0.78, 1.2)


def _studio(room: Image, rng: np.random.Generator, o: RoomOptions) -> None:
    """A plain backdrop with one pool of light."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32) / ROWS
    far = np.exp(-(((x - 0.62) / 0.75) ** 2) - ((y - 0.40) / 0.55) ** 2)
    room *= (0.45 + 1.5 * far)[..., None]
    low = np.exp(-(((x - 1.5) / 0.35) ** 2) - ((y - 0.75) / 0.5) ** 2)
    room += (0.10 * low)[..., None] * np.asarray(o.window, np.float32)


KINDS: dict[str, Callable[[Image, np.random.Generator, RoomOptions], None]] = {
    "study": _study,
    "office": _office,
    "living": _living,
    "kitchen": _kitchen,
    "loft": _loft,
    "garden": _garden,
    "studio": _studio,
}


def _fill(room: Image, x0: float, y0: float, x1: float, y1: float, colour: Image) -> None:
    rows = slice(max(int(y0 * ROWS), 0), max(int(y1 * ROWS), 0))
    room[rows, max(int(x0 * ROWS), 0) : max(int(x1 * ROWS), 0)] = colour


def _window(
    room: Image, o: RoomOptions, lefts: tuple[float, ...], spans: tuple[tuple[float, float], ...],
    wide: float = 0.215,
) -> None:  # fmt: skip
    y = np.arange(ROWS, dtype=np.float32)[:, None] / ROWS
    sky = np.clip(1.15 - 0.5 * y, 0, 2)[..., None] * np.asarray(o.window, np.float32)
    for x0 in lefts:
        for y0, y1 in spans:
            rows = slice(max(int(y0 * ROWS), 0), int(y1 * ROWS))
            room[rows, max(int(x0 * ROWS), 0) : max(int((x0 + wide) * ROWS), 0)] = sky[rows]


def _glow(room: Image, o: RoomOptions, x0: float, y0: float) -> None:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32) / ROWS
    near = np.exp(-(((x - x0) / 0.085) ** 2) - ((y - y0) / 0.065) ** 2)
    far = np.exp(-(((x - x0) / 0.42) ** 2) - ((y - y0) / 0.40) ** 2)
    room += np.asarray(o.lamp, np.float32) * (0.8 * near + 0.10 * far)[..., None]


def _shelves(room: Image, rng: np.random.Generator, o: RoomOptions, left: float) -> None:
    for top in (0.06, 0.33, 0.60):
        _fill(room, left, top + 0.215, left + 0.58, top + 0.245, np.asarray(o.wood, np.float32) * 1.3)
        x = left + 0.03
        while x < left + 0.54:
            width, height = rng.uniform(0.018, 0.045), rng.uniform(0.11, 0.19)
            if rng.uniform() < 0.82:
                book = np.asarray(BOOKS[rng.integers(len(BOOKS))], np.float32) * rng.uniform(0.5, 1.2)
                _fill(room, x, top + 0.215 - height, x + width * 0.9, top + 0.215, book)
            x += width


def _plant(room: Image, rng: np.random.Generator, o: RoomOptions, x: float, y: float, size: float) -> None:
    for _ in range(26):
        lean, reach = rng.uniform(-1.3, 1.3), rng.uniform(0.10, 0.24) * size
        centre = int((x + math.sin(lean) * reach) * ROWS), int((y - math.cos(lean) * reach) * ROWS)
        shade = rng.uniform(0.5, 1.9)
        axes, turn = (int(0.058 * size * ROWS), int(0.017 * size * ROWS)), math.degrees(lean) + 90
        tint = tuple(float(c * shade) for c in o.leaf)
        cv2.ellipse(room, centre, axes, turn, 0, 360, tint, -1, cv2.LINE_AA)
    pot = np.asarray((0.30, 0.20, 0.14), np.float32)
    _fill(room, x - 0.06 * size, y + 0.02, x + 0.06 * size, y + 0.02 + 0.16 * size, pot)
