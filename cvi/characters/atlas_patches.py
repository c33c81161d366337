"""What is rendered for the atlas: the pose of every patch, where its lips and lids lie, and the depth for
turns."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.camera import DISTANCE, FOCAL_PX, HEIGHT, HEIGHT_PX, WIDTH_PX, Rect, project
from cvi.characters.eyes_and_mouth import (
    BALL,
    BALL_Z,
    RED_LOWER,
    RED_UPPER,
    half_width,
    lid_edges,
    lip_middle,
    lips_at,
)
from cvi.characters.head import JAW_DROP, RIM_BEND, RIM_Y, RIM_Z
from cvi.characters.kernel import Array, Params

Curves = npt.NDArray[np.float32]
HEAD = Rect(280, 0, 1000, 720)
MOUTH = Rect(472, 312, 808, 640)
# Sides are multiples of eight, so that a picture half as large again has whole, even ones too.
GLASSES = Rect(420, 200, 860, 440)
EYES = (Rect(480, 232, 640, 360), Rect(640, 232, 800, 360))
LID_LEVELS = (-0.35, -0.2, -0.1, 0.0, 0.1, 0.2, 0.32, 0.45, 0.6, 0.8, 1.0)
COLUMNS = 41  # samples along the lips and the lids
NOSE_Y = -0.40


def mouth_pose(family: str, jaw: float) -> dict[str, float]:
    """The pose of one baked mouth, added to the character's resting one."""
    opened = min(jaw * 8.0, 1.0)
    base = family.removesuffix("_smile")
    pose = {
        "neutral": {"jaw": 0.95 * jaw},
        "wide": {"jaw": 0.85 * jaw, "wide": 0.8, "smile": 0.18, "lip_raise": 0.35 * opened},
        "round": {"jaw": 0.85 * jaw, "round": 1.0, "smile": -0.15},
        "frown": {"jaw": 0.9 * jaw, "smile": -0.75},
        "tongue": {"jaw": 0.9 * jaw, "tongue": 0.80 + 0.35 * jaw, "lip_raise": 0.35},
        "tuck": {"jaw": 0.07, "tuck": 1.0, "lip_raise": 0.75},
        "press": {"press": 0.9},
    }[base]
    if family.endswith("_smile"):
        pose["smile"] = pose.get("smile", 0.0) + 0.62
    return pose


def mouth_curves(p: Params) -> tuple[Curves, Curves]:
    """Where the mouth lies in the picture, in pixels.

    Returns x (COLUMNS,) along the mouth from corner to corner, and y (6, COLUMNS): below the nose, outer
    and inner edge of the upper lip, inner and outer edge of the lower lip, the chin.
    """
    chin_y = -0.64 - 0.34 * float(p["face_length"])
    along = np.linspace(-1, 1, COLUMNS)
    xs, rows = [], []
    for t in along:
        x = t * half_width(p)
        _, line, gap_up, gap_down, upper, lower, z, z_lower = lips_at(x, p)
        middle = lip_middle(gap_up + gap_down)
        ys = (line + gap_up + (middle + RED_UPPER) * upper, line + gap_up)
        low = (line - gap_down, line - gap_down - (middle + RED_LOWER) * lower)
        drop = JAW_DROP * float(p["jaw"]) * (1 - 0.5 * abs(t))
        points = np.array(
            [
                [x, NOSE_Y, 0.8],
                *[[x, y, z] for y in ys],
                *[[x, y, z_lower] for y in low],
                [x, chin_y - drop, 0.6],
            ]
        )
        px, py, _ = project(points)
        xs.append(px[2])
        rows.append(py)
    curves = np.maximum.accumulate(np.array(rows, np.float32).T, axis=0)
    return np.array(xs, np.float32), curves


def lid_curves(p: Params, side: int) -> tuple[Curves, Curves]:
    """The lids of one eye (-1 the viewer's left) in pixels: x (COLUMNS,), y (2, COLUMNS) upper, lower."""
    ball = BALL * float(p["eye_size"])
    closure = float(p["lid_right"] if side > 0 else p["lid_left"])
    points = []
    for along in np.linspace(-0.92, 0.92, COLUMNS) * side:
        upper, lower, _ = lid_edges(along, closure, p)
        ex = along * ball * 1.02
        radius = np.sqrt(max((ball * 1.06) ** 2 - ex * ex, 1e-4))
        points.append(
            [
                [side * (p["eye_x"] + ex), p["eye_y"] + radius * np.sin(a), BALL_Z + radius * np.cos(a)]
                for a in (max(upper, lower), lower)
            ]
        )
    x, y, _ = project(np.array(points))
    return x[:, 0].astype(np.float32), y.T.astype(np.float32)


def eyeball_directions(p: Params, rect: Rect, side: int, scale: float = 1.0) -> Array:
    """For each pixel the point of the eyeball it sees, in eyeball radii: (h, w, 3), z < 0 beside the ball.

    `scale` pixels for one of the 1280 x 720 picture.
    """
    ball = BALL * float(p["eye_size"])
    seen = rect.scaled(scale)
    y, x = (np.mgrid[seen.y0 : seen.y1, seen.x0 : seen.x1] + 0.5) / scale
    ray = np.stack([(x - 640) / 1620, -(y - 360) / 1620, -np.ones_like(x)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    centre = np.array([side * float(p["eye_x"]), float(p["eye_y"]), BALL_Z])
    to = centre - np.array([0, HEIGHT, DISTANCE])
    near = ray @ to
    inside = near**2 - (to @ to - ball**2)
    out = np.asarray((ray * (near - np.sqrt(np.maximum(inside, 0)))[..., None] - to) / ball)
    out[inside < 0] = (0, 0, -1)
    return out


Image = npt.NDArray[np.float32]
COARSE = 4  # pixels of the 1280 x 720 picture a side for one of the field
# Smooth enough that no turn folds the picture between cheek and neck.
SMOOTH_PX = 10.0
# Largest fall of the depth a pixel, and how far it reaches: a steeper edge between cheek and hair would
# stretch the corner of the eye in a turn.
STEEPEST, REACH_PX = 0.0055, 180
# The same beside a rim of glasses, which a steeper fall would smear.
RIM_MARGIN_PX, FALL = 10.0, 0.010


def turning_depth(distance: Array, p: Params) -> Image:
    """View distance (720, 1280), FAR where nothing is -> (180, 320), continued smoothly beyond the head.

    Glasses and all that is seen through them lie in the plane of the rims, or a turn would bend the rims.
    """
    z = np.where(distance < 1e8, distance, 0.0)
    known = (distance < 1e8).astype(np.float64)
    for sigma in (6, 25, 80):
        blurred, share = cv2.GaussianBlur(z, (0, 0), sigma), cv2.GaussianBlur(known, (0, 0), sigma)
        fill = (share > 0.02) & (known < 0.5)
        z = np.where(fill, blurred / np.maximum(share, 1e-6), z)
        known = np.where(fill, 1.0, known)
    z = _gentle(np.where(known > 0.5, z, DISTANCE).astype(np.float32))
    z = cv2.GaussianBlur(z, (0, 0), SMOOTH_PX)
    if float(p["glasses"]) > 0.5:
        plane, away = _rims(p)
        z = cv2.GaussianBlur(np.minimum(z, plane + FALL * np.maximum(away - RIM_MARGIN_PX, 0)), (0, 0), 4.0)
    size = WIDTH_PX // COARSE, HEIGHT_PX // COARSE
    return np.asarray(cv2.resize(z, size, interpolation=cv2.INTER_AREA), np.float32)


def _gentle(z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Limit the slope of the depth by moving what is far towards the camera; what is near stays."""
    cross, square = (cv2.getStructuringElement(shape, (3, 3)) for shape in (cv2.MORPH_CROSS, cv2.MORPH_RECT))
    for step in range(REACH_PX):  # by turns they make an octagon, nearly a circle
        near = cv2.erode(z, square if step % 3 == 0 else cross)
        z = np.minimum(z, near + np.float32(STEEPEST))
    return z


def _rims(p: Params) -> tuple[Array, Array]:
    """The distance of the plane of the rims at every pixel, and how far a pixel is beside a rim."""
    row, column = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX] + 0.5
    far = np.full((HEIGHT_PX, WIDTH_PX), DISTANCE - RIM_Z)
    for _ in range(3):  # the plane is bent back at its sides
        x = (column - WIDTH_PX / 2) * far / FOCAL_PX
        far = DISTANCE - RIM_Z + RIM_BEND * np.clip(np.abs(x) - 0.05, 0, 0.75) ** 2
    y = HEIGHT - (row - HEIGHT_PX / 2) * far / FOCAL_PX
    wide, high, centre = 0.225 * p["glasses_width"], 0.175 * p["glasses_height"], _centre(p)
    power = float(p["glasses_round"])
    dx, dy = (np.abs(x) - centre) / wide, (y - float(p["eye_y"]) - RIM_Y) / high
    inside = np.abs(dx) ** power + np.abs(dy) ** power < 1
    inside |= (np.abs(x) < centre) & (np.abs(dy - 0.3) < 0.3)  # the bridge
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return far, np.asarray(away, np.float64)


def _centre(p: Params) -> float:
    return float(p["eye_x"]) + 0.03 + 0.12 * (float(p["glasses_width"]) - 1)
