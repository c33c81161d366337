"""How far every point of the picture lies from the camera, made fit for turning the head by it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.characters.camera import DISTANCE, FOCAL_PX, HEIGHT, HEIGHT_PX, WIDTH_PX
from cvi.characters.head import RIM_BEND, RIM_Y, RIM_Z
from cvi.characters.kernel import Array, Params

Image = npt.NDArray[np.float32]
COARSE = 4  # pixels of the 1280 x 720 picture a side for one of the field
# Smooth enough that no turn folds the picture where the cheek ends and the neck begins.
SMOOTH_PX = 10.0
# From what is near the depth falls away by so much a pixel and no faster: where a cheek ends and hair begins
# a turn would else stretch the corner of the eye.
STEEPEST, REACH_PX = 0.0055, 180
# Beside a rim the depth falls away by so much a pixel and no faster: a steeper fall would smear the rim.
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
    """Pull what lies far beside something near towards the camera; what is near stays where it is."""
    cross, square = (
        cv2.getStructuringElement(shape, (3, 3)) for shape in (cv2.MORPH_CROSS, cv2.MORPH_RECT)
    )
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
