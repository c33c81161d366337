"""How far every point of the picture lies from the camera, made fit for turning the head by it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.face.sculpted.bake.camera import DISTANCE, FOCAL_PX, HEIGHT, HEIGHT_PX, WIDTH_PX
from cvi.face.sculpted.bake.head import RIM_BEND, RIM_Y, RIM_Z
from cvi.face.sculpted.bake.kernel import Array, Params

Image = npt.NDArray[np.float32]
COARSE = 4  # pixels of the 1280 x 720 picture a side for one of the field
# Smooth enough that no turn folds the picture where the cheek ends and the neck begins.
SMOOTH_PX = 16.0
# What lies so near a rim goes with it; beyond, the picture bends down to the face, as temples do.
NEAR_RIM_PX, FADE_PX = 22, 15.0


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
    z = cv2.GaussianBlur(np.where(known > 0.5, z, DISTANCE), (0, 0), SMOOTH_PX)
    if float(p["glasses"]) > 0.5:
        plane, worn = _rims(p)
        z += (plane - z) * worn
    size = WIDTH_PX // COARSE, HEIGHT_PX // COARSE
    return np.asarray(cv2.resize(z, size, interpolation=cv2.INTER_AREA), np.float32)


def _rims(p: Params) -> tuple[Array, Array]:
    """The distance of the plane of the rims at every pixel, and how much a pixel belongs to it, 0..1."""
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
    reach = 2 * NEAR_RIM_PX + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    worn = cv2.GaussianBlur(cv2.dilate(inside.astype(np.float32), disc), (0, 0), FADE_PX)
    return far, np.asarray(worn, np.float64)


def _centre(p: Params) -> float:
    return float(p["eye_x"]) + 0.03 + 0.12 * (float(p["glasses_width"]) - 1)
